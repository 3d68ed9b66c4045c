"""The page of a rule in Chromium: reached by the keyboard, charts that wait, live, and nothing cut off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from dashboard.pages import charts
from remediation.history import History
from remediation.models import Rule, RuleStatus, SeriesState, record
from tests.dashboard import factories
from tests.dashboard.test_pages_browser import chromium, note_complaints, signed_in

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def history(rule: Rule, *, start: float, end: float, **_: Any) -> History:
        times = [start + (end - start) * at / 60 for at in range(61)]
        return History(times=times, values=[1.0] * 61, lower=[None] * 61, upper=[5.0] * 61)

    monkeypatch.setattr(charts, "history", history)
    charts.lines.clear()
    yield
    charts.lines.clear()


def a_watched_rule(count: int = 2) -> Rule:
    rule = factories.a_rule(factories.a_service("web"), "WebErrors")
    for number in range(count):
        factories.a_series(rule, {"instance": f"10.0.0.{number}:9100"})
    return rule


def a_rule_with_everything() -> Rule:
    """Long and hostile wherever a person or a source may write."""
    long = "word" * 40
    condition = {"name": HOSTILE, "query": long, "detector": "gone", "params": {long: HOSTILE}}
    rule = factories.a_rule(
        factories.a_service("w" * 50),
        f"{HOSTILE} {'x' * 60}",
        query=f"sum({long})",
        conditions=[condition],
        traffic_query=long,
        minimum_traffic=1,
        labels={"tier": HOSTILE, "team": long},
        annotations={"summary": HOSTILE, "description": long, "owner": long, "wiki": f"https://example.org/{long}"},
        error=f"{HOSTILE} {long}",
    )
    factories.a_series(rule, {"instance": HOSTILE, "path": long}, verdict="bad", reason=long)
    factories.a_remediation(factories.an_incident(rule, labels={"instance": HOSTILE}))
    rule.query = f"max({long})"
    rule.save()
    rule.keep_version(author=f"{HOSTILE}, insisting", now=timezone.now())
    record(rule, "saved_anyway", now=timezone.now(), reason=f"{HOSTILE} {long}", actor="bo")
    return rule


@pytest.mark.parametrize(("size", "theme"), [("wide", "dark"), ("phone", "light")])
def test_nothing_is_cut_off_whatever_it_is_called(
    chromium: Browser, live_server: LiveServer, size: str, theme: str
) -> None:
    rule = a_rule_with_everything()
    context = signed_in(chromium, live_server, size=size, theme=theme)
    page = context.new_page()
    complaints = note_complaints(page)
    page.goto(f"/rules/{rule.pk}/")
    page.locator("[data-chart]").scroll_into_view_if_needed()
    expect(page.locator(".u-over")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    width = page.evaluate("innerWidth")
    for part in page.locator("main .panel, main .hero, main .callout, main td, main dd, main pre").all():
        box = part.bounding_box()
        assert box is None or box["x"] + box["width"] <= width + 1, part.inner_text()[:80]
    context.close()
    assert complaints == []


def test_the_keyboard_and_the_palette_lead_to_a_rule(chromium: Browser, live_server: LiveServer) -> None:
    rule = a_watched_rule()
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.goto("/rules/")
    page.wait_for_load_state("load")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/rules/{rule.pk}/$"))
    page.goto("/system/")
    page.wait_for_load_state("load")
    page.keyboard.press("Control+k")
    page.keyboard.type("webErr")
    expect(page.get_by_role("option", name=re.compile("WebErrors"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/rules/{rule.pk}/$"))
    context.close()


def test_a_series_is_drawn_alone_and_the_address_says_so(chromium: Browser, live_server: LiveServer) -> None:
    rule = a_watched_rule(3)
    context = signed_in(chromium, live_server)
    page = context.new_page()
    complaints = note_complaints(page)
    page.goto(f"/rules/{rule.pk}/")
    expect(page.locator("[data-chart]")).to_have_count(3)
    page.locator("#series").get_by_role("link", name="10.0.0.1:9100").click()
    expect(page.locator("[data-chart]")).to_have_count(1)
    expect(page.locator(".u-over")).to_be_visible()
    expect(page.locator(".small-chart")).to_contain_text("10.0.0.1:9100")
    page.get_by_role("link", name="All series").click()
    expect(page.locator("[data-chart]")).to_have_count(3)
    assert complaints == []
    context.close()


def asked_for(page: Page) -> list[str]:
    found: list[str] = []
    page.on("request", lambda one: found.append(one.url) if "/series/" in one.url else None)
    return found


def test_charts_wait_until_they_come_into_view(chromium: Browser, live_server: LiveServer) -> None:
    rule = a_watched_rule(4)
    context = signed_in(chromium, live_server, size="phone")
    page = context.new_page()
    asked = asked_for(page)
    page.goto(f"/rules/{rule.pk}/")
    expect(page.locator(".u-over").first).to_be_visible()
    assert len({one.partition("?")[0] for one in asked}) < 4
    page.locator("[data-chart]").last.scroll_into_view_if_needed()
    expect(page.locator(".u-over")).to_have_count(4)
    context.close()


def test_what_changes_is_seen_without_a_reload(chromium: Browser, live_server: LiveServer) -> None:
    rule = a_watched_rule()
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.goto(f"/rules/{rule.pk}/")
    expect(page.locator("#pill")).to_have_text("polling", timeout=10_000)
    expect(page.locator(".hero .state")).to_have_text("OK")
    page.evaluate("window.stillTheSamePage = true")
    bad = {"instance": "10.0.0.1:9100"}
    SeriesState.objects.filter(rule=rule, labels=bad).update(phase="firing", verdict="bad")
    row = factories.an_incident(rule, labels=bad)
    RuleStatus.objects.filter(rule=rule).update(bad=1)
    expect(page.locator(".hero .state")).to_have_text("Firing", timeout=15_000)
    first = page.locator("#series tbody tr").first
    expect(first).to_contain_text("10.0.0.1:9100")
    expect(first.get_by_role("link", name=f"Incident {row.pk}")).to_be_visible()
    expect(page.locator(f"#incident-{row.pk}")).to_be_visible()
    assert page.evaluate("window.stillTheSamePage") is True
    context.close()
