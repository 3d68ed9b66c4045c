"""Charts in Chromium: zoom and back, ranges, reading by keyboard, points that come later, small ones that wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from dashboard.pages import charts, condition_charts
from remediation.history import History
from remediation.models import Incident, Rule
from tests.dashboard import factories
from tests.dashboard.test_pages_browser import chromium, note_complaints, signed_in

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def history(rule: Rule, *, start: float, end: float, points: int, **_: Any) -> History:
        times = [start + (end - start) * at / points for at in range(points + 1)]
        values: list[float | None] = [float(at % 9) for at in range(points + 1)]
        return History(times=times, values=values, lower=[None] * len(times), upper=[5.0] * len(times))

    monkeypatch.setattr(charts, "history", history)
    charts.lines.clear()
    yield
    charts.lines.clear()


def an_incident(**more: Any) -> Incident:
    rule = factories.a_rule(factories.a_service("web"), annotations={"summary": HOSTILE}, **more)
    return factories.an_incident(rule, reason=HOSTILE)


def asked_by(page: Page) -> list[str]:
    found: list[str] = []
    page.on("request", lambda one: found.append(one.url.partition("?")[2]) if "/series" in one.url else None)
    return found


def test_a_chart_is_zoomed_by_dragging_and_goes_back(chromium: Browser, live_server: LiveServer) -> None:
    row = an_incident()
    context = signed_in(chromium, live_server)
    page = context.new_page()
    complaints, asked = note_complaints(page), asked_by(page)
    page.goto(f"/incidents/{row.pk}/")
    plot = page.locator(".u-over")
    expect(plot).to_be_visible()
    place = plot.bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + place["width"] * 0.3, place["y"] + 50)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] * 0.6, place["y"] + 50, steps=4)
    with page.expect_request(lambda request: "start=" in request.url):
        page.mouse.up()
    out = page.get_by_role("button", name="Zoom out")
    expect(out).to_be_visible()
    start, end = (float(part.partition("=")[2]) for part in asked[-1].split("&"))
    assert 0 < end - start < 300
    page.wait_for_function("document.querySelectorAll('.u-over').length === 1")
    with page.expect_request(lambda request: "range=incident" in request.url):
        page.locator(".u-over").dblclick()
    expect(out).to_be_hidden()
    with page.expect_request(lambda request: "range=3600" in request.url):
        page.get_by_role("button", name="1 h").click()
    assert complaints == []
    context.close()


def test_a_chart_is_read_by_keyboard(chromium: Browser, live_server: LiveServer) -> None:
    row = an_incident()
    context = signed_in(chromium, live_server)
    page = context.new_page()
    complaints = note_complaints(page)
    page.goto(f"/incidents/{row.pk}/")
    expect(page.locator(".u-over")).to_be_visible()
    chart, aloud = page.locator("[data-chart]"), page.locator("[data-chart-aloud]")
    chart.focus()
    page.keyboard.press("End")
    last = aloud.inner_text()
    assert "expected at most 5" in last
    page.keyboard.press("ArrowLeft")
    assert aloud.inner_text() != last
    page.keyboard.press("Shift+ArrowLeft")
    expect(aloud).to_contain_text("Firing")
    expect(page.locator(".chart-tip")).to_be_visible()
    assert complaints == []
    context.close()


def test_new_points_are_appended_and_nothing_else_is_sent(chromium: Browser, live_server: LiveServer) -> None:
    row = an_incident()
    context = signed_in(chromium, live_server)
    page = context.new_page()
    asked = asked_by(page)
    page.goto(f"/incidents/{row.pk}/")
    expect(page.locator(".u-over")).to_be_visible()
    with page.expect_response(lambda answer: "after=" in answer.url, timeout=20_000) as tail:
        pass
    told = tail.value.json()
    assert told["whole"] is False
    assert len(told["times"]) < 20
    assert asked[0] == "range=incident"
    context.close()


def test_small_charts_are_asked_for_when_they_come_into_view(chromium: Browser, live_server: LiveServer) -> None:
    web = factories.a_service("web")
    rule = factories.a_rule(web)
    for at in range(6):
        factories.a_series(rule, {"i": f"{HOSTILE}{at}"})
    context = signed_in(chromium, live_server, size="phone")
    page = context.new_page()
    complaints, asked = note_complaints(page), asked_by(page)
    page.goto("/services/web/")
    expect(page.locator(".u-over").first).to_be_visible()
    assert len(asked) < 6
    page.locator("[data-chart]").last.scroll_into_view_if_needed()
    expect(page.locator("[data-chart]").last.locator(".u-over")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert complaints == []
    context.close()


def test_the_states_of_an_alert_are_drawn(chromium: Browser, live_server: LiveServer) -> None:
    row = an_incident(detector="firing_alert", params={}, query="{}")
    context = signed_in(chromium, live_server, theme="dark")
    page = context.new_page()
    complaints = note_complaints(page)
    page.goto(f"/incidents/{row.pk}/")
    expect(page.locator(".chart.is-states .u-over")).to_be_visible()
    page.locator("[data-chart]").focus()
    page.keyboard.press("End")
    expect(page.locator("[data-chart-aloud]")).to_contain_text("Firing")
    assert complaints == []
    context.close()


def test_the_conditions_of_a_rule_follow_the_range_of_its_chart(
    chromium: Browser, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def history(_rule: Rule, _number: int, *, start: float, end: float, points: int, **_: Any) -> History:
        times = [start + (end - start) * at / points for at in range(points + 1)]
        return History(
            times=times, values=[3.0] * len(times), lower=[None] * len(times), upper=[5.0] * len(times), of=3
        )

    monkeypatch.setattr(condition_charts, "history_of_condition", history)
    condition = {"name": HOSTILE, "query": "latency", "detector": "threshold", "params": {"op": ">", "value": 5}}
    row = an_incident(conditions=[condition])
    context = signed_in(chromium, live_server)
    page = context.new_page()
    complaints, asked = note_complaints(page), asked_by(page)
    page.goto(f"/incidents/{row.pk}/")
    panel = page.locator("#conditions")
    panel.scroll_into_view_if_needed()
    expect(panel.locator(".u-over")).to_be_visible()
    expect(panel.locator(".small-head")).to_contain_text("3 expected at most 5", use_inner_text=True)
    expect(panel).to_contain_text("2 more series belong to it")
    asked.clear()
    with page.expect_response(lambda answer: "conditions/2/series.json?range=3600" in answer.url):
        page.get_by_role("button", name="1 h").click()
    expect(panel.locator(".u-over")).to_be_visible()
    assert "range=3600" in asked
    assert complaints == []
    context.close()
