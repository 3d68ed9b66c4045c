"""The Content-Security-Policy in Chromium: no page violates it, whatever is clicked that changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as BrowserError
from pytest_django.live_server_helper import LiveServer

from dashboard.csp import STRICT
from tests.dashboard import every_page
from tests.dashboard.test_axe_browser import chromium, cookie, go, opened  # noqa: F401 - two of them fixtures
from tests.dashboard.test_first_run import prometheus  # noqa: F401 - a fixture

pytestmark = [pytest.mark.real, pytest.mark.browser, pytest.mark.django_db(transaction=True)]

COLLECT = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  violations.push(`${event.effectiveDirective}: ${event.blockedURI} ${event.sourceFile || ""}:${event.lineNumber}`);
}, true);
"""
CLICKED_EVERY = 4
"""In the fast suite; see every_page.THOROUGH."""
HARMLESS = "summary, button[type=button], [role=tab], [role=switch], a[href^='#'], input, select, textarea"
"""What can be clicked and sends nothing. Buttons that submit are left out, and so are links to elsewhere."""

SENDS = "(one) => one.matches('input, select') && Boolean(one.closest('form:not([method=post])'))"
"""Filters: they are sent as soon as they are changed, which leaves the page."""


def click_everything(page: Page) -> int:
    """How many clicks were made. What is hidden is opened by what comes before it."""
    clicked = 0
    for element in page.query_selector_all(HARMLESS):
        try:
            if element.is_visible() and element.is_enabled() and not element.evaluate(SENDS):
                element.click(timeout=200, no_wait_after=True)
                clicked += 1
        except BrowserError:
            page.keyboard.press("Escape")  # a dialog or a menu lies over it, or a click has replaced it
    for key in ("?", "Escape", "Control+k", "Escape", "j", "k"):
        page.keyboard.press(key)
    return clicked


def test_every_page_keeps_to_the_policy(
    chromium: Browser,  # noqa: F811 - the fixture
    live_server: LiveServer,
    cookie: str,  # noqa: F811 - the fixture
) -> None:
    session = every_page.signed_in(cookie)
    addresses, _ = every_page.pages(session, live_server.url)
    context = opened(chromium, live_server, cookie, viewport={"width": 1280, "height": 900})
    context.add_init_script(COLLECT)
    page, found, clicked = context.new_page(), dict[str, Any](), 0
    for number, address in enumerate(addresses):
        assert session.get(live_server.url + address, timeout=30).headers["Content-Security-Policy"] == STRICT, address
        go(page, address)
        before = page.url
        if every_page.THOROUGH or number % CLICKED_EVERY == 0:
            clicked += click_everything(page)
        assert page.url.partition("#")[0] == before.partition("#")[0], f"a click on {address} left it"
        if violations := page.evaluate("window.violations"):
            found[address] = violations
    context.close()
    assert found == {}
    assert clicked > len(addresses) / CLICKED_EVERY


def test_the_admin_keeps_to_its_own_policy(
    chromium: Browser,  # noqa: F811 - the fixture
    live_server: LiveServer,
    cookie: str,  # noqa: F811 - the fixture
) -> None:
    context = opened(chromium, live_server, cookie)
    context.add_init_script(COLLECT)
    page, found = context.new_page(), dict[str, Any]()
    for address in every_page.some(every_page.admin_pages()):
        go(page, address)
        if violations := page.evaluate("window.violations"):
            found[address] = violations
    context.close()
    assert found == {}


def test_an_inline_script_and_style_are_seen(
    chromium: Browser,  # noqa: F811 - the fixture
    live_server: LiveServer,
    cookie: str,  # noqa: F811 - the fixture
) -> None:
    """The test above can fail: what the policy forbids is counted."""
    context = opened(chromium, live_server, cookie)
    context.add_init_script(COLLECT)
    page = context.new_page()
    go(page, "/styleguide/")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">x</p>')")
    page.wait_for_function("window.violations.length > 0")
    assert page.evaluate("window.violations[0]").startswith("style-src")
    context.close()
