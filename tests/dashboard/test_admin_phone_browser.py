"""The admin on a phone, in both themes: its lists and forms fit, and what one needs can be reached."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser
from pytest_django.live_server_helper import LiveServer

from tests.dashboard import every_page
from tests.dashboard.test_axe_browser import chromium, cookie, go, opened  # noqa: F401 - two of them fixtures
from tests.dashboard.test_first_run import prometheus  # noqa: F401 - a fixture

pytestmark = [pytest.mark.real, pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CUT_OFF = """() => [...document.querySelectorAll("input, select, textarea, button[type=submit], a[href*='/add/']")]
  .filter((one) => {
    const box = one.getBoundingClientRect();
    if (!box.width || one.closest("[aria-hidden=true]") || getComputedStyle(one).visibility === "hidden") return false;
    for (let up = one.parentElement; up; up = up.parentElement)
      if (/(auto|scroll)/.test(getComputedStyle(up).overflowX) && up.scrollWidth > up.clientWidth) return false;
    return box.right > innerWidth + 1 || box.left < -1;
  }).map((one) => one.name || one.textContent.trim() || one.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("theme", ["light", "dark"] if every_page.THOROUGH else ["dark"])
def test_lists_and_forms_fit_a_phone(
    chromium: Browser,  # noqa: F811 - the fixture
    live_server: LiveServer,
    cookie: str,  # noqa: F811 - the fixture
    theme: Any,
) -> None:
    context = opened(chromium, live_server, cookie, viewport={"width": 375, "height": 760}, color_scheme=theme)
    page, found = context.new_page(), dict[str, Any]()
    for address in every_page.admin_pages():
        go(page, address)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        wrong = page.evaluate(CUT_OFF) + ([f"{wide} px too wide"] if wide > 0 else [])
        dark = page.evaluate("document.documentElement.classList.contains('dark')")
        wrong += [] if dark == (theme == "dark") else ["it has the other theme"]
        if wrong:
            found[address] = wrong
    context.close()
    assert found == {}
