"""Every page against axe-core's rules of WCAG 2.1 A and AA, light and dark, wide and on a phone; and the tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from deploy.tools import find
from remediation.models import Source
from tests.dashboard import every_page, factories
from tests.dashboard.test_first_run import prometheus  # noqa: F401 - a fixture
from tests.dashboard.test_pages_browser import ARGUMENTS, SIZES

AXE = settings.BASE_DIR / "deploy/setup/frontend/node_modules/axe-core/axe.min.js"
EVERYTHING: dict[str, Any] = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
COLOURS: dict[str, Any] = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
LOOKS: list[tuple[str, Literal["light", "dark"], dict[str, Any]]] = [
    ("wide", "light", EVERYTHING),
    ("wide", "dark", COLOURS),
    ("phone", "dark", EVERYTHING),
    ("phone", "light", COLOURS),
]
LOOKED_AT = LOOKS if every_page.THOROUGH else [LOOKS[0], LOOKS[2]]
RUN = """async (asked) => {
  const found = await axe.run(document, { ...asked, resultTypes: ["violations"] });
  return found.violations.map((one) => `${one.id}: ` + one.nodes.slice(0, 4).map((node) =>
    `${node.target.join(" ")} [${(node.any[0] || node.all[0] || node.none[0] || {}).message || ""}]`).join(" | "));
}"""
OPEN_ALL = "document.querySelectorAll('main details, .panel details').forEach((one) => { one.open = true; })"
MOVING = """() => [...document.querySelectorAll("*")].filter((one) => {
  const style = getComputedStyle(one);
  return style.animationName !== "none" || style.transitionDuration.split(",").some((text) => parseFloat(text) > 0);
}).map((one) => one.className || one.tagName)"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Playwright's loop lives in this thread; Django would refuse the fixtures' plain queries because of it.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(find("chromium")), args=ARGUMENTS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def cookie(settings: Any, transactional_db: None, prometheus: str) -> str:  # noqa: F811 - the fixture
    """The session of somebody who may do everything, with rows to look at and a source that answers."""
    settings.HOMEOSTAT_DEMO = True
    every_page.fill()
    Source.objects.filter(name="main").update(url=prometheus)
    client = Client()
    client.force_login(factories.a_user("admin", is_staff=True, is_superuser=True))
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


def opened(chromium: Browser, server: LiveServer, cookie: str, **more: Any) -> BrowserContext:
    context = chromium.new_context(base_url=server.url, **more)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": server.url}])
    return context


def go(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_load_state("load")
    page.wait_for_timeout(150)  # what scripts still add


@pytest.mark.real
@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_every_route_says_what_it_is(live_server: LiveServer, cookie: str) -> None:
    """A page that no row of `fill` reaches would never be looked at."""
    found, unreached = every_page.pages(every_page.signed_in(cookie), live_server.url)
    assert unreached == []
    assert {"/", "/incidents/", "/rules/", "/first-run/source/", "/styleguide/", "/login/"} <= set(found)


@pytest.mark.real
@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_axe_finds_nothing_on_any_page(chromium: Browser, live_server: LiveServer, cookie: str) -> None:
    """Each page is loaded once and looked at four times; colours are asked about in each theme, all else in each width
    and in one theme, since it does not depend on colours."""
    addresses, _ = every_page.pages(every_page.signed_in(cookie), live_server.url)
    context = opened(chromium, live_server, cookie, reduced_motion="reduce")
    page, source, found = context.new_page(), AXE.read_text(), list[str]()
    for address in addresses:
        go(page, address)
        page.evaluate(source)
        page.evaluate(OPEN_ALL)
        for size, theme, asked in LOOKED_AT:
            width, height = SIZES[size]
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            found += [f"{address} {size} {theme}: {wrong}" for wrong in page.evaluate(RUN, asked)]
            if page.evaluate("document.documentElement.scrollWidth - innerWidth") > 0:
                found.append(f"{address} {size}: it is wider than the window")
    context.close()
    assert not found, "\n".join(found)


@pytest.mark.real
@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_nothing_moves_where_that_is_not_wanted(chromium: Browser, live_server: LiveServer, cookie: str) -> None:
    addresses, _ = every_page.pages(every_page.signed_in(cookie), live_server.url)
    context = opened(chromium, live_server, cookie, reduced_motion="reduce")
    page = context.new_page()
    moving = {}
    for address in every_page.some(addresses):
        go(page, address)
        if found := page.evaluate(MOVING):
            moving[address] = found
    context.close()
    assert moving == {}


# --- the tokens themselves --------------------------------------------------------------------------------------------
TONES = ("ok", "pending", "firing", "repairing", "unknown", "frozen", "off", "person")
GROUNDS = ("bg", "surface", "sunken", "hover")
TEXTS = ("text", "muted", "accent-text", *TONES)


def tokens(theme: str) -> dict[str, str]:
    """The colours of one theme: the block that names it."""
    text = (settings.BASE_DIR / "dashboard/static/dashboard/tokens.css").read_text()
    block = next(
        body for names, body in re.findall(r"([^{}]+)\{([^{}]*)\}", text) if f'[data-theme="{theme}"]' in names
    )
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})\b", block))


def luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG21/#dfn-relative-luminance"""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_black_on_white_has_the_contrast_of_the_standard() -> None:
    assert round(contrast("#000000", "#ffffff"), 2) == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_tokens_meet_aa(theme: str) -> None:
    colour = tokens(theme)
    texts = [(text, ground) for text in TEXTS for ground in GROUNDS]
    texts += [(tone, f"{tone}-tint") for tone in TONES] + [("text", f"{tone}-tint") for tone in TONES]
    texts += [("on-accent", "accent"), ("bg", "person")]
    shapes = [("field", "surface"), ("focus", "bg"), ("focus", "surface"), ("accent", "surface")]
    low = [(one, on, 4.5) for one, on in texts if contrast(colour[one], colour[on]) < 4.5]
    low += [(one, on, 3) for one, on in shapes if contrast(colour[one], colour[on]) < 3]
    assert low == []
