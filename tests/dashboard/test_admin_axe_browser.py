"""The admin's lists and forms against the same rules as the pages, in both themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser
from pytest_django.live_server_helper import LiveServer

from tests.dashboard import every_page
from tests.dashboard.test_axe_browser import (  # noqa: F401 - two of them fixtures
    AXE,
    COLOURS,
    EVERYTHING,
    RUN,
    chromium,
    cookie,
    go,
    opened,
)
from tests.dashboard.test_first_run import prometheus  # noqa: F401 - a fixture

pytestmark = [pytest.mark.real, pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_axe_finds_nothing_in_the_admin(
    chromium: Browser,  # noqa: F811 - the fixture
    live_server: LiveServer,
    cookie: str,  # noqa: F811 - the fixture
) -> None:
    context = opened(chromium, live_server, cookie, reduced_motion="reduce")
    page, source, found = context.new_page(), AXE.read_text(), list[str]()
    for address in every_page.some(every_page.admin_pages()):
        go(page, address)
        page.evaluate(source)
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        found += [f"{address} light: {wrong}" for wrong in page.evaluate(RUN, EVERYTHING)]
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        found += [f"{address} dark: {wrong}" for wrong in page.evaluate(RUN, COLOURS)]
    context.close()
    assert not found, "\n".join(found)
