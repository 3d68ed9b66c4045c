"""The admin's pages about rules in Chromium: nothing cut off, nothing broken, and what only a browser can do."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, expect
from pytest_django.live_server_helper import LiveServer

from remediation.models import Rule, Source
from tests.dashboard.test_pages_browser import SIZES, chromium, note_complaints

__all__ = ["chromium"]  # the fixture: one browser for this module

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
ADMIN = "/admin/remediation/rule/"


@pytest.fixture
def rule(source: Source) -> Rule:
    found = Rule.objects.create(
        name="CartDown", source=source, query="up", detector="threshold", params={"op": "<", "value": 1}
    )
    found.keep_version(author="ann", now=timezone.now())
    found.query = "up * 2"
    found.save()
    found.keep_version(author="bob", now=timezone.now())
    return found


def at(chromium: Browser, server: LiveServer, admin: Client, *, size: str = "wide") -> BrowserContext:
    width, height = SIZES[size]
    context = chromium.new_context(base_url=server.url, viewport={"width": width, "height": height})
    cookie = admin.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": server.url}])
    return context


@pytest.mark.parametrize("size", sorted(SIZES))
def test_no_page_about_rules_is_cut_off(
    chromium: Browser, live_server: LiveServer, admin: Client, rule: Rule, size: str
) -> None:
    managed = Rule.objects.create(name="M", source=rule.source, query="up", detector="absent", managed_by="files")
    context = at(chromium, live_server, admin, size=size)
    page = context.new_page()
    complaints = note_complaints(page)
    own = [f"{rule.pk}/change/", f"{rule.pk}/restore/1/", f"{managed.pk}/change/"]
    for address in ("", "add/", "library/", *own):
        page.goto(ADMIN + address)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
    context.close()
    assert complaints == []


def test_doubts_appear_while_a_query_is_typed_and_saving_takes_an_insisting_person(
    chromium: Browser, live_server: LiveServer, admin: Client, rule: Rule
) -> None:
    context = at(chromium, live_server, admin)
    page = context.new_page()
    page.goto(f"{ADMIN}{rule.pk}/change/")
    panel = page.get_by_label("Preview on live data")
    expect(panel).to_contain_text("1 series now", timeout=10_000)
    page.fill("#id_query", "up > 7")
    expect(panel).to_contain_text("Speaks against it: The comparison", timeout=10_000)
    page.click("button[name=_continue]")
    page.get_by_label("Save anyway").check(timeout=10_000)
    page.click("button[name=_continue]")
    expect(page.get_by_text("Saved all the same")).to_be_visible(timeout=10_000)
    context.close()
    rule.refresh_from_db()
    assert rule.query == "up > 7"


def test_an_edited_rule_is_backtested_without_being_saved(
    chromium: Browser, live_server: LiveServer, admin: Client, rule: Rule
) -> None:
    context = at(chromium, live_server, admin)
    page = context.new_page()
    page.goto(f"{ADMIN}{rule.pk}/change/")
    page.fill("#id_query", "up * 3")
    page.fill("#id_params-value", "0.25")
    with context.expect_page() as opened:
        page.get_by_role("button", name="Backtest as edited").click()
    other = opened.value
    expect(other.get_by_label("Query")).to_have_value("up * 3", timeout=10_000)
    expect(other.get_by_label("Limit", exact=True)).to_have_value("0.25")
    expect(page.locator("#id_query")).to_have_value("up * 3")  # the form is still there
    context.close()
    rule.refresh_from_db()
    assert rule.query == "up * 2"
