"""The pages of backtests in Chromium: nothing cut off, nothing the policy forbids, progress followed to its end."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from remediation.models import Backtest, Rule
from tests.dashboard import factories
from tests.dashboard.test_backtest import a_backtest, told
from tests.dashboard.test_pages_browser import SIZES, chromium, note_complaints, signed_in

__all__ = ["chromium"]  # the fixture: one browser for this module

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def a_rule() -> Rule:
    return factories.a_rule(factories.a_service("web"), "AppErrors")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", sorted(SIZES))
def test_no_page_is_cut_off_or_breaks_the_policy(
    chromium: Browser, live_server: LiveServer, size: str, theme: str
) -> None:
    rule = a_rule()
    running, done = a_backtest(rule, state="running", progress=0.4), a_backtest(rule, state="done")
    failed = a_backtest(rule, state="failed", error="the source does not answer")
    done.result = told(done)
    done.save()
    context = signed_in(chromium, live_server, size=size, theme=theme)
    page = context.new_page()
    complaints = note_complaints(page)
    pages = [f"/backtests/{row.pk}/" for row in (running, done, failed)]
    for address in (f"/rules/{rule.pk}/backtest/", *pages):
        page.goto(address)
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
    context.close()
    assert complaints == []


def test_progress_moves_and_the_result_appears_by_itself(chromium: Browser, live_server: LiveServer) -> None:
    row = a_backtest(a_rule(), state="running", progress=0.1)
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.goto(f"/backtests/{row.pk}/")
    Backtest.objects.filter(pk=row.pk).update(progress=0.6)
    expect(page.locator("[data-share]")).to_have_text("60 %", timeout=10_000)
    row.refresh_from_db()
    assert row.move("done", now=timezone.now(), result=told(row), progress=1.0)
    expect(page.get_by_text(re.compile("Would have fired"))).to_be_visible(timeout=10_000)
    context.close()


def test_a_click_cancels(chromium: Browser, live_server: LiveServer) -> None:
    row = a_backtest(a_rule(), state="running", progress=0.1)
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.goto(f"/backtests/{row.pk}/")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text(re.compile("cancelled by "))).to_be_visible(timeout=10_000)
    row.refresh_from_db()
    assert row.state == "cancelled"
    context.close()
