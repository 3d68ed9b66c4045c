"""The manners in Chromium: keyboard, palette, filters, theme, titles, the pill, and the phone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from remediation.models import Freeze, Incident, SavedView, change
from remediation.states import IncidentState
from tests.dashboard import factories
from tests.dashboard.test_pages_browser import chromium, signed_in

__all__ = ["chromium"]  # the fixture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(chromium: Browser, live_server: LiveServer) -> Iterator[Page]:
    context = signed_in(chromium, live_server)
    yield context.new_page()
    context.close()


def two_incidents() -> tuple[Incident, Incident]:
    cart = factories.a_rule(factories.a_service("cart"), "CartErrors", severity="critical")
    pay = factories.a_rule(factories.a_service("pay"), "PaySlow", severity="warning")
    return factories.an_incident(cart, age_s=60), factories.an_incident(pay, age_s=600)


# --- the palette --------------------------------------------------------------------------------------------------


def test_the_palette_goes_anywhere_by_keys_alone(page: Page) -> None:
    row, _ = two_incidents()
    page.goto("/rules/")
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Go to, or do")
    expect(field).to_be_focused()
    chosen = page.locator('#palette [role="option"][aria-selected="true"]')
    expect(chosen).to_contain_text("Overview")
    page.keyboard.press("ArrowDown")
    expect(chosen).to_contain_text("Incidents")
    assert field.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    page.keyboard.type("carterrors")
    page.keyboard.press("Enter")  # at once: what was typed counts, not what was found before
    expect(page).to_have_url(re.compile(rf"/incidents/{row.pk}/$"))


def test_freezing_from_the_palette_only_leads_to_the_form(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("freeze")
    page.keyboard.press("Enter")
    expect(page.locator('.automation input[name="reason"]')).to_be_focused()
    expect(page.get_by_text("Automation runs inside the limits")).to_be_visible()


def test_the_language_is_switched_from_the_palette_on_the_same_page(page: Page) -> None:
    two_incidents()
    page.goto("/incidents/?state=all")
    page.keyboard.press("Control+k")
    page.keyboard.type("简体")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page).to_have_url(re.compile(r"/incidents/\?state=all$"))


def test_the_palette_closes_and_gives_the_keys_back(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    page.keyboard.type("g")
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"/$"))


# --- filters and the selection ------------------------------------------------------------------------------------


def test_a_filter_is_typed_with_offers_and_stands_in_the_address(page: Page) -> None:
    row, other = two_incidents()
    page.goto("/incidents/")
    page.keyboard.press("/")
    field = page.get_by_label("Filter by labels")
    expect(field).to_be_focused()
    page.keyboard.type("serv")
    offer = page.locator("#matchers-list")
    expect(offer.get_by_role("option", name="service")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value('service="')
    expect(offer.get_by_role("option", name="cart")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value('service="cart"')
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("match=service%3D%22cart%22"))
    expect(page.locator(f"#incident-{row.pk}")).to_be_visible()
    expect(page.locator(f"#incident-{other.pk}")).to_have_count(0)


def test_a_click_on_a_label_filters_and_with_shift_excludes(page: Page) -> None:
    row, other = two_incidents()
    page.goto("/incidents/")
    page.locator(f"#incident-{row.pk} a.severity").click(modifiers=["Shift"])
    expect(page.get_by_label("Filter by labels")).to_have_value('severity!="critical"')
    expect(page.locator(f"#incident-{row.pk}")).to_have_count(0)
    page.locator(f"#incident-{other.pk} a.label").first.click()
    expect(page.get_by_label("Filter by labels")).to_have_value(re.compile(r'severity!="critical", instance="'))
    expect(page.locator(f"#incident-{other.pk}")).to_be_visible()


def test_while_a_row_is_selected_nothing_moves_and_all_selected_are_acknowledged(page: Page) -> None:
    row, other = two_incidents()
    page.goto("/incidents/")
    for key in "jxjx":
        page.keyboard.press(key)
    expect(page.get_by_text("2 selected")).to_be_visible()
    assert change(other, IncidentState.RESOLVED, now=timezone.now(), reason="over")
    expect(page.locator("#pill")).to_have_text("polling · held", timeout=15_000)
    expect(page.locator(f"#incident-{other.pk}")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("1 incident is acknowledged.")).to_be_visible()
    row.refresh_from_db()
    assert row.acknowledged_by is not None
    expect(page.locator(f"#incident-{other.pk}")).to_have_count(0)


def test_keys_open_a_row_and_take_a_selection_back(page: Page) -> None:
    row, _ = two_incidents()
    page.goto("/incidents/")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_text("One selected")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("One selected")).to_be_hidden()
    page.locator("body").click(position={"x": 600, "y": 700})
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/incidents/{row.pk}/$"))
    page.wait_for_load_state("load")  # its scripts have to be there to hear the keys
    page.keyboard.press("g")
    page.keyboard.press("u")
    expect(page).to_have_url(re.compile(r"/audit/$"))


def test_a_view_is_saved_and_opened(page: Page) -> None:
    two_incidents()
    page.goto("/incidents/?match=severity%3D%22critical%22")
    page.get_by_text("Views", exact=True).click()
    page.get_by_label("Save this filter as").fill("At night")
    page.get_by_role("button", name="Save view").click()
    expect(page.get_by_text("View “At night” is saved.")).to_be_visible()
    assert SavedView.objects.get().owner == User.objects.latest("pk")
    page.goto("/rules/")
    page.keyboard.press("Control+k")
    page.keyboard.type("at night")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Filter by labels")).to_have_value('severity="critical"')


# --- theme, title, pill -------------------------------------------------------------------------------------------


def test_the_theme_is_chosen_per_browser_and_stays(page: Page) -> None:
    page.goto("/rules/")
    light = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    page.get_by_label(re.compile("Account")).click()
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    assert dark != light
    page.goto("/system/", wait_until="commit")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    page.get_by_label(re.compile("Account")).click()
    page.get_by_role("button", name="System", exact=True).click()
    assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") == light
    assert not [one for one in page.context.cookies() if one["name"] == "homeostat_theme"]


def test_the_title_counts_what_is_open_and_then_what_waits(page: Page) -> None:
    row, _ = two_incidents()
    page.goto("/rules/")
    expect(page).to_have_title(re.compile(r"^\[2\] Rules"))
    factories.a_remediation(row)
    expect(page).to_have_title(re.compile(r"^\(1\) Rules"), timeout=15_000)
    assert "%3E1%3C" in (page.locator('link[rel="icon"]').get_attribute("href") or "")
    expect(page.locator("#toasts")).to_contain_text("Something waits for a person.")


def test_the_pill_says_since_when_nothing_is_heard(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#pill")).to_have_text("polling", timeout=15_000)
    page.route("**/live/fragments/**", lambda route: route.abort())
    expect(page.locator("#pill")).to_have_text(re.compile(r"^stale since \d\d:\d\d:\d\d"), timeout=30_000)
    page.unroute("**/live/fragments/**")
    expect(page.locator("#pill")).to_have_text("polling", timeout=15_000)


# --- the phone ----------------------------------------------------------------------------------------------------


def test_on_a_phone_all_pages_are_within_reach_of_the_thumb(chromium: Browser, live_server: LiveServer) -> None:
    two_incidents()
    context = signed_in(chromium, live_server, size="phone")
    page = context.new_page()
    page.goto("/incidents/?state=all")
    bar = page.get_by_role("navigation", name="Pages")
    for name in ("Overview", "Incidents", "Approvals", "Playbooks", "System"):
        expect(bar.get_by_role("link", name=re.compile(f"^{name}")).first).to_be_in_viewport()
    bar.get_by_text("More").click()
    expect(bar.get_by_role("link", name="Audit").last).to_be_in_viewport()
    page.get_by_role("button", name="Search and commands").click()
    expect(page.get_by_role("combobox", name="Go to, or do")).to_be_focused()
    page.get_by_role("option", name="Rules").click()
    expect(page).to_have_url(re.compile(r"/rules/$"))
    for address in ("/incidents/?state=all&match=severity%3D%22", "/rules/", "/audit/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
        for part in page.locator(".filters, .panel, .callout").all():
            box = part.bounding_box()
            assert box is None or box["x"] + box["width"] <= 375, address
    context.close()


def test_on_a_phone_an_incident_has_the_whole_width(chromium: Browser, live_server: LiveServer) -> None:
    two_incidents()
    context = signed_in(chromium, live_server, size="phone")
    page = context.new_page()
    page.goto("/incidents/?state=all")
    row = page.locator(".incidents tbody tr").first
    title, whole = row.locator(".main").bounding_box(), row.bounding_box()
    assert title and whole
    assert title["width"] > 0.85 * whole["width"]
    expect(row.locator(".chips .label, .label").first).to_be_visible()
    assert page.get_by_role("row").count() >= 2  # it is a table still for those who do not see
    context.close()


def test_what_a_menu_shows_is_not_behind_the_bar_of_a_phone(chromium: Browser, live_server: LiveServer) -> None:
    rule = factories.a_rule(factories.a_service("web"), annotations={"description": "a long story " * 80})
    incident = factories.an_incident(rule)
    context = signed_in(chromium, live_server, size="phone")
    page = context.new_page()
    page.goto(f"/incidents/{incident.pk}/")
    opener = page.get_by_text("I am on it…")
    opener.evaluate("one => scrollBy(0, one.getBoundingClientRect().bottom - innerHeight + 80)")  # just above the bar
    opener.click()
    button, bar = page.get_by_role("button", name="I am on it"), page.locator("nav.nav")
    expect(button).to_be_in_viewport(ratio=1)
    low, top = button.bounding_box(), bar.bounding_box()
    assert low and top
    assert low["y"] + low["height"] <= top["y"]
    context.close()


def test_a_long_word_in_a_reason_leaves_the_buttons_where_they_are(chromium: Browser, live_server: LiveServer) -> None:
    Freeze.objects.create(reason="x" * 400, by="ada", at=timezone.now())
    context = signed_in(chromium, live_server, size="phone")
    page = context.new_page()
    page.goto("/")
    page.locator(".automation summary").click()
    button = page.get_by_role("button", name="Let automation run again").bounding_box()
    assert button
    assert button["x"] + button["width"] <= 375
    context.close()


def test_a_page_works_without_scripts(chromium: Browser, live_server: LiveServer) -> None:
    row, _ = two_incidents()
    client = Client()
    client.force_login(factories.a_user("operator"))
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    for name, morsel in client.cookies.items():
        context.add_cookies([{"name": name, "value": morsel.value, "url": live_server.url}])
    page = context.new_page()
    page.goto("/incidents/")
    page.locator(f"#incident-{row.pk} input[type=checkbox]").check()
    page.get_by_role("button", name="Acknowledge").click()
    row.refresh_from_db()
    assert row.acknowledged_by is not None
    context.close()
