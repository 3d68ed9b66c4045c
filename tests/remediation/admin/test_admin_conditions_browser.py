"""Further conditions of a rule, written in Chromium: a block is added, its detector brings its fields, it is stored."""

from __future__ import annotations

import pytest
from django.test import Client
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from remediation.models import Rule, Source
from tests.dashboard.test_pages_browser import chromium, note_complaints
from tests.remediation.admin.test_admin_browser import ADMIN, at, rule

__all__ = ["chromium", "rule"]  # the fixtures

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_condition_is_added_filled_in_and_taken_away(
    chromium: Browser, live_server: LiveServer, admin: Client, source: Source, rule: Rule
) -> None:
    context = at(chromium, live_server, admin)
    page = context.new_page()
    complaints = note_complaints(page)
    page.goto(f"{ADMIN}{rule.pk}/change/")
    expect(page.locator("[data-condition]")).to_have_count(0)
    for at_number, (query, detector, field) in enumerate(
        [("errors", "zscore", "limit"), ("queue", "absent", "labels")]
    ):
        page.get_by_role("button", name="Add a condition").click()
        page.fill(f"[name=conditions-{at_number}-query]", query)
        page.select_option(f"[name=conditions-{at_number}-detector]", detector)
        expect(page.locator(f"[name=conditions-{at_number}-params-{field}]")).to_be_visible(timeout=10_000)
    page.fill("[name=conditions-0-params-limit]", "9")
    page.fill("[name=need]", "2")
    page.click("button[name=_continue]")
    expect(page.locator("[name=conditions-1-query]")).to_have_value("queue", timeout=10_000)
    rule.refresh_from_db()
    assert rule.conditions == [
        {"query": "errors", "detector": "zscore", "params": {"limit": 9.0}},
        {"query": "queue", "detector": "absent", "params": {}},
    ]
    assert rule.need == "2"
    page.locator("[name=conditions-0-remove]").check(force=True)
    page.click("button[name=_continue]")
    expect(page.locator("[data-condition]")).to_have_count(1, timeout=10_000)
    context.close()
    rule.refresh_from_db()
    assert [one["query"] for one in rule.conditions] == ["queue"]
    assert complaints == []
