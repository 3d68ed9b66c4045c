"""The overview in Chromium: the map by keyboard and on a phone, live, and calm where no motion is wanted."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from remediation.models import Service
from tests.dashboard import factories
from tests.dashboard.test_pages_browser import chromium, note_complaints, signed_in

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def shop() -> Service:
    """web needs store; both watched and well. The store."""
    store = factories.a_service("store")
    web = factories.a_service("web", depends_on=(store,))
    for one in (store, web):
        factories.a_series(factories.a_rule(one))
    return store


def test_the_map_is_one_click_away_and_its_nodes_are_links(chromium: Browser, live_server: LiveServer) -> None:
    shop()
    context = signed_in(chromium, live_server)
    page = context.new_page()
    complaints = note_complaints(page)
    page.goto("/")
    page.get_by_role("link", name="Map", exact=True).click()
    expect(page).to_have_url(f"{live_server.url}/?view=map")
    node = page.get_by_role("link", name="web: OK.")
    page.get_by_role("region", name="Service map").focus()
    page.keyboard.press("Tab")
    expect(node).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{live_server.url}/services/web/")
    assert complaints == []
    context.close()


def test_a_fault_comes_along_the_lines_without_a_reload(chromium: Browser, live_server: LiveServer) -> None:
    store = shop()
    context = signed_in(chromium, live_server)
    page = context.new_page()
    page.goto("/?view=map")
    page.evaluate("window.stillTheSamePage = true")
    expect(page.locator(".map-line.is-off")).to_have_count(1)
    factories.an_incident(factories.a_rule(store))
    expect(page.locator(".map-line.is-firing")).to_have_count(1, timeout=20_000)
    expect(page.locator(".map-node.is-affected")).to_contain_text("Affected by store")
    moving = "getComputedStyle(document.querySelector('.map-line.is-firing')).animationName"
    assert page.evaluate(moving) == "map-flow"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == "none"
    assert page.evaluate("window.stillTheSamePage") is True
    context.close()


@pytest.mark.parametrize("path", ["/", "/?view=map", "/?view=map&show=teams"])
def test_hundreds_of_services_fit_a_phone(chromium: Browser, live_server: LiveServer, path: str) -> None:
    before: tuple[Service, ...] = ()
    for number in range(70):
        team = f"team with a long name {number % 7}"
        one = factories.a_service(f"a-service-with-a-name-of-its-own-{number}", depends_on=before, team=team)
        before = (one,) if number % 9 else ()
    factories.an_incident(factories.a_rule(one))
    context = signed_in(chromium, live_server, size="phone")
    page = context.new_page()
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    expect(page.locator(".card, .map-row").first).to_be_visible()
    context.close()


def test_on_a_phone_the_map_is_a_list_by_layer(chromium: Browser, live_server: LiveServer) -> None:
    store = shop()
    factories.an_incident(factories.a_rule(store))
    context = signed_in(chromium, live_server, size="phone")
    page = context.new_page()
    page.goto("/?view=map")
    expect(page.locator(".map")).to_be_hidden()
    layers = page.locator(".map-list ul")
    expect(layers).to_have_count(2)
    expect(layers.first).to_contain_text("Affected by store")
    layers.first.get_by_role("link", name="store", exact=True).click()
    expect(page).to_have_url(f"{live_server.url}/services/store/")
    context.close()
