"""The script of the live page in Chromium, with a server whose frames the test writes: gaps, silence, lost rights."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect
from pytest_django.live_server_helper import LiveServer

from tests.dashboard.test_pages_browser import chromium, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
__all__ = ["chromium"]


class Hub:
    """The server's end. Greets each announcement as ours does; what it heard is in `said`."""

    def __init__(self, page: Page) -> None:
        self.routes: list[WebSocketRoute] = []
        self.said: list[dict[str, Any]] = []
        self.closed = 0
        self.deaf = False  # as over a line that is dead: nothing comes back
        page.route_web_socket("**/ws/live/", self._take)

    def _take(self, route: WebSocketRoute) -> None:
        self.routes.append(route)
        route.on_message(lambda text: self._hear(route, json.loads(text)))
        route.on_close(lambda code, reason: self._gone())

    def _hear(self, route: WebSocketRoute, message: dict[str, Any]) -> None:
        self.said.append(message)
        if "shows" in message and not self.deaf:
            frames = dict.fromkeys(message["shows"], 7)
            route.send(json.dumps({"hello": "epoch", "v": 7, "frames": frames, "count": 0, "fragments": []}))

    def _gone(self) -> None:
        self.closed += 1

    def says(self, **frame: Any) -> None:
        self.routes[-1].send(json.dumps(frame))

    def announced(self) -> list[dict[str, Any]]:
        return [message for message in self.said if "shows" in message]


def piece(key: str, html: str, *, v: int, after: int) -> dict[str, Any]:
    return {"key": key, "html": html, "version": f"version {v}", "v": v, "after": after}


def opened(chromium: Browser, live_server: LiveServer) -> tuple[Page, Hub]:
    page = signed_in(chromium, live_server).new_page()
    hub = Hub(page)
    page.clock.install()
    page.goto("/")
    expect(page.locator("#pill")).to_have_attribute("data-state", "live")
    return page, hub


def test_a_page_says_what_it_shows_and_in_which_language(chromium: Browser, live_server: LiveServer) -> None:
    page, hub = opened(chromium, live_server)
    (first,) = hub.announced()
    assert first["language"] == "en"
    assert {"events", "attention"} <= set(first["shows"])
    page.context.close()


def test_a_frame_that_follows_is_shown_and_one_after_a_gap_asks_for_the_rest(
    chromium: Browser, live_server: LiveServer
) -> None:
    page, hub = opened(chromium, live_server)
    hub.says(v=8, count=0, fragments=[piece("events", "<p>the eighth</p>", v=8, after=7)])
    expect(page.get_by_text("the eighth")).to_be_visible()
    assert len(hub.announced()) == 1
    hub.says(v=10, count=0, fragments=[piece("events", "<p>the tenth</p>", v=10, after=9)])  # the ninth was lost
    expect(page.get_by_text("the tenth")).to_be_visible()
    assert len(hub.announced()) == 2
    assert hub.announced()[1]["shows"]["events"] == "version 10"
    page.context.close()


def test_a_browser_that_was_too_slow_asks_for_all_it_shows(chromium: Browser, live_server: LiveServer) -> None:
    page, hub = opened(chromium, live_server)
    hub.says(resync=True)
    page.wait_for_function("() => true")
    assert len(hub.announced()) == 2
    page.context.close()


def test_a_beat_is_answered_and_a_silent_connection_is_given_up_within_45_s(
    chromium: Browser, live_server: LiveServer
) -> None:
    page, hub = opened(chromium, live_server)
    hub.says(beat=1, v=7, count=0)
    page.wait_for_function("() => true")
    assert hub.said[-1] == {"pong": 1}
    page.clock.run_for(30_000)
    assert hub.closed == 0
    hub.deaf = True
    page.clock.run_for(15_000)
    expect(page.locator("#pill")).not_to_have_attribute("data-state", "live")
    assert hub.closed == 1
    page.context.close()


def test_a_browser_that_woke_asks_at_once_and_gives_up_a_dead_line(chromium: Browser, live_server: LiveServer) -> None:
    page, hub = opened(chromium, live_server)
    page.clock.run_for(20_000)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#pill")).to_have_attribute("data-state", "live")
    assert len(hub.announced()) == 2
    page.clock.run_for(4_000)
    assert hub.closed == 0  # it answered
    hub.deaf = True
    page.clock.run_for(17_000)
    page.evaluate("dispatchEvent(new Event('online'))")
    page.clock.run_for(4_000)
    expect(page.locator("#pill")).not_to_have_attribute("data-state", "live")
    assert hub.closed == 1
    page.context.close()


def test_without_a_network_it_does_not_say_live(chromium: Browser, live_server: LiveServer) -> None:
    page, hub = opened(chromium, live_server)
    hub.deaf = True
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.locator("#pill")).not_to_have_attribute("data-state", "live")
    assert hub.closed == 1
    page.context.close()


def test_whose_rights_changed_gets_the_page_anew(chromium: Browser, live_server: LiveServer) -> None:
    page, hub = opened(chromium, live_server)
    page.evaluate("window.stillTheSamePage = true")
    with page.expect_navigation():
        hub.routes[-1].close(code=4401)
    assert page.evaluate("window.stillTheSamePage") is None
    page.context.close()
