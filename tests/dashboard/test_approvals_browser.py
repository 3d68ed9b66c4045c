"""The cards of approvals and the charts of analytics in Chromium: what moves, what is said aloud, what a thumb gets."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from remediation.models import Remediation
from tests.dashboard import factories
from tests.dashboard.test_analytics import fill
from tests.dashboard.test_pages_browser import SIZES, chromium, note_complaints, signed_in

__all__ = ["chromium"]  # the fixture: one browser for this module

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def asked(**more: Any) -> Remediation:
    return factories.a_remediation(factories.an_incident(factories.a_rule(factories.a_service("web"))), **more)


def with_a_series(page: Page) -> None:
    """Without a Prometheus: what the source would have said."""
    now = timezone.now().timestamp()
    times = [now - 600 + 60 * number for number in range(10)]
    values = [*[0.01 * number for number in range(5)], None, 0.2, 0.3, 0.4, 0.41]
    found = {"times": times, "values": values, "lower": [None] * 10, "upper": [0.05] * 10, "markers": []}

    def answer(route: Route) -> None:
        route.fulfill(status=200, content_type="application/json", body=json.dumps(found))

    page.route("**/series.json*", answer)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", sorted(SIZES))
def test_no_page_is_cut_off_or_breaks_the_policy(
    chromium: Browser, live_server: LiveServer, size: str, theme: str
) -> None:
    asked(verb="failover", approvals_needed=2)
    fill(4, 12)
    context = signed_in(chromium, live_server, size=size, theme=theme)
    page = context.new_page()
    with_a_series(page)
    complaints = note_complaints(page)
    for address in ("/approvals/", "/analytics/", "/analytics/?service=nobody&weeks=52"):
        page.goto(address)
        for summary in page.locator(".more-details > summary").all():
            summary.click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
    context.close()
    assert complaints == []


def test_the_small_chart_has_line_and_bound_and_outlives_an_update(chromium: Browser, live_server: LiveServer) -> None:
    row = asked()
    context = signed_in(chromium, live_server)
    page = context.new_page()
    with_a_series(page)
    page.goto("/approvals/")
    spark = page.locator(".spark svg")
    expect(spark).to_be_visible(timeout=10_000)
    assert spark.locator(".spark-line").count() == 2  # the gap is not bridged
    assert spark.locator(".spark-edge").count() == 1
    expect(page.get_by_role("img", name=re.compile("The series that fired"))).to_be_visible()
    incident = row.incident
    incident.value = 0.77
    incident.save()
    expect(page.locator(".numbers-line")).to_contain_text("0.77", timeout=15_000)
    expect(spark.locator(".spark-line").first).to_be_visible()
    context.close()


PAGES = {"approvals": "/approvals/", "incident": "/incidents/{}/"}
"""Where something waits for an answer, by a word: the place stands for the incident."""


@pytest.mark.parametrize("where", sorted(PAGES))
def test_the_time_left_is_seen_each_second_and_said_three_times(
    chromium: Browser, live_server: LiveServer, where: str
) -> None:
    row = asked(expires_at=timezone.now() + timedelta(seconds=3600))
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.clock.install(time=timezone.now())
    page.goto(PAGES[where].format(row.incident_id))
    clock, said = page.get_by_role("timer"), page.locator("#approvals-said")
    assert clock.get_attribute("aria-live") == "off"
    seen = []
    for seconds in (10, 3300, 235, 60):
        page.clock.run_for(seconds * 1000)
        seen.append((clock.inner_text(), said.inner_text()))
    shown, words = zip(*seen, strict=True)
    assert re.match(r"in (59 min \d\d s|1 h 00 min)$", shown[0])
    assert words[0] == ""
    assert words[1].startswith("Five minutes are left to answer: restart ")
    assert words[3].startswith("The time to answer is over: restart ")
    assert shown[3] == "expired"
    context.close()


@pytest.mark.parametrize("where", sorted(PAGES))
def test_who_else_looks_is_named(chromium: Browser, live_server: LiveServer, where: str) -> None:
    row = asked()
    context = signed_in(chromium, live_server)
    page = context.new_page()
    complaints = note_complaints(page)
    told = {"looking": {str(row.pk): "bob looks at this now"}, "answered": {}}
    sent: list[str | None] = []

    def answer(route: Route) -> None:
        sent.append(route.request.post_data)
        route.fulfill(status=200, content_type="application/json", body=json.dumps(told))

    page.route("**/approvals/looking/", answer)
    page.goto(PAGES[where].format(row.incident_id))
    notice = page.locator("[data-looking-at]")
    expect(notice).to_have_text("bob looks at this now")
    assert sent[0] == f"pk={row.pk}"
    told["looking"] = {}
    expect(notice).to_be_hidden(timeout=15_000)
    context.close()
    assert complaints == []


@pytest.mark.parametrize("where", sorted(PAGES))
def test_who_is_slower_hears_of_it_while_the_form_is_open(
    chromium: Browser, live_server: LiveServer, where: str
) -> None:
    row = asked()
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.goto(PAGES[where].format(row.incident_id))
    page.get_by_text("Reject…").click()
    page.get_by_label("Why not?").fill("because")
    row.approvals.create(
        user=factories.a_user("approver", "zoe"), answer="approve", digest=row.digest, at=timezone.now()
    )
    Remediation.objects.filter(pk=row.pk).update(state="ready")
    notice = page.locator("[data-answered]")
    expect(notice).to_contain_text("zoe approved it", timeout=15_000)
    expect(page.get_by_label("Why not?")).to_have_value("because")
    context.close()


def test_a_thumb_finds_the_answer(chromium: Browser, live_server: LiveServer) -> None:
    asked()
    context = signed_in(chromium, live_server, size="phone")
    page = context.new_page()
    page.goto("/approvals/")
    buttons = [page.get_by_role("button", name=re.compile("^Approve: restart")), page.locator(".reject summary")]
    for button in buttons:
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["width"] >= 300
    above, below = (button.bounding_box() for button in buttons)
    assert above is not None
    assert below is not None
    assert below["y"] - above["y"] - above["height"] >= 8
    context.close()


def test_a_filter_is_one_click_and_has_an_address(chromium: Browser, live_server: LiveServer) -> None:
    fill(2, 3)
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.goto("/analytics/")
    page.get_by_text("26 weeks").click()
    expect(page).to_have_url(re.compile(r"weeks=26"))
    page.get_by_label("Team").select_option("team 1")
    expect(page).to_have_url(re.compile(r"weeks=26&service=&team=team\+1"))
    expect(page.locator("#services-title + table tbody tr")).to_have_count(1)
    context.close()


def test_an_incident_that_comes_to_wait_is_looked_at(chromium: Browser, live_server: LiveServer) -> None:
    """Its page was open before anything waited there."""
    row = asked()
    Remediation.objects.filter(pk=row.pk).update(state="gated")
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.goto(f"/incidents/{row.incident_id}/")
    expect(page.get_by_text("Held by guards").first).to_be_visible()
    with page.expect_request(lambda request: request.url.endswith("/approvals/looking/")) as sent:
        Remediation.objects.filter(pk=row.pk).update(state="awaiting_approval")
    assert sent.value.post_data == f"pk={row.pk}"
    context.close()
