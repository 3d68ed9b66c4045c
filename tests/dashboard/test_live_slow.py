"""Gaps, and browsers that are slow, deaf or gone: nothing piles up, and what is missed is fetched."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import Client

from dashboard.live import hub as hubs
from dashboard.live.socket import BEAT_S, BEHIND_S, RESYNC, SILENT_S, WAITING_AT_MOST, Socket
from dashboard.live.wire import AsgiWire, Frame
from tests.dashboard import factories, live_browser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def in_this_process(settings: Any) -> None:
    live_browser.in_this_process(settings)


@pytest.fixture
def client(client: Client) -> Client:
    client.force_login(factories.a_user("approver", name="ann"))
    return client


def test_pieces_can_be_fetched_after_a_gap(client: Client) -> None:
    factories.an_incident(factories.a_rule(factories.a_service("web")), needs_person=True)
    answer = client.get("/live/fragments/?key=attention&key=open&key=incident-head:99&key=nonsense").json()
    assert [piece["key"] for piece in answer["fragments"]] == ["attention", "open"]
    assert answer["gone"] == ["incident-head:99", "nonsense"]
    assert answer["count"] == 1
    have = answer["fragments"][0]["version"]
    again = client.get(f"/live/fragments/?key=attention&key=open&have={have}").json()
    assert [piece["key"] for piece in again["fragments"]] == ["open"]


def test_a_piece_has_nothing_that_differs_between_people(client: Client) -> None:
    asked = factories.a_remediation(factories.an_incident(factories.a_rule(factories.a_service("web"))))
    path = f"/live/fragments/?key=approvals&key=incident-repair:{asked.incident_id}&key=automation"
    mine = client.get(path).json()["fragments"]
    client.force_login(factories.a_user("viewer"))
    assert client.get(path).json()["fragments"] == mine
    assert 'name="csrfmiddlewaretoken" value=""' in mine[0]["html"]


@pytest.mark.parametrize(
    "key", ["incident-head:x", "card:-1", "card:" + "9" * 50, "service-head:\x00", "incidents:page=%00", "x" * 500]
)
def test_a_senseless_key_is_no_error(client: Client, key: str) -> None:
    assert client.get("/live/fragments/", {"key": key}).status_code == 200


class Pipe:
    """A wire whose other end takes something only when told to."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.dropped = False
        self._waiting: list[Frame] = []

    def write(self, frame: Frame) -> None:
        self._waiting.append(frame)

    def waiting(self) -> int:
        return sum(len(frame.encoded) for frame in self._waiting)

    def end(self) -> None: ...

    def drop(self) -> None:
        self.dropped = True

    def take(self) -> None:
        self.taken += [frame.text for frame in self._waiting]
        self._waiting.clear()


BEAT = Frame('{"beat":1}')


def test_a_slow_browser_is_told_to_fetch_anew() -> None:
    pipe = Pipe()
    socket = Socket(pipe, lambda code: None, session="s", user_id=1)
    for number in range(1000):
        socket.put(Frame(f"{number:0>9999}"))
        assert pipe.waiting() <= WAITING_AT_MOST
    socket.tend(socket.beat_at, BEAT)
    pipe.take()
    assert 40 < len(pipe.taken) < 60  # what fitted
    socket.put(Frame("a change it would not understand"))
    socket.tend(socket.beat_at, BEAT)
    socket.put(Frame("a change after that"))
    pipe.take()
    assert pipe.taken[-2:] == [RESYNC.text, "a change after that"]
    assert "a change it would not understand" not in pipe.taken


def test_a_frame_that_is_larger_than_what_may_wait_is_still_sent() -> None:
    pipe = Pipe()
    socket = Socket(pipe, lambda code: None, session="s", user_id=1)
    socket.put(Frame("x" * WAITING_AT_MOST))
    pipe.take()
    assert len(pipe.taken[0]) == WAITING_AT_MOST


def test_a_browser_that_never_reads_is_dropped() -> None:
    pipe, closed = Pipe(), list[int]()
    socket = Socket(pipe, closed.append, session="s", user_id=1)
    for _ in range(100):
        socket.put(Frame("x" * 9999))
    now = time.monotonic()
    socket.heard_at = now + BEHIND_S  # it talks, it only does not read
    socket.tend(now + BEHIND_S - 1, BEAT)
    assert (pipe.dropped, closed) == (False, [])
    socket.tend(now + BEHIND_S + 1, BEAT)
    assert (pipe.dropped, closed) == (True, [4408])


def test_both_sides_notice_within_45_s_that_nobody_is_there() -> None:
    assert SILENT_S + hubs.LOOK_S < 45
    assert 2 * BEAT_S < SILENT_S  # an answer may be lost in a sleep of the browser
    script = (Path(__file__).parents[2] / "dashboard/static/dashboard/live.js").read_text()
    found = re.search(r"SILENT_MS = (\d+)", script)
    assert found is not None
    assert 2 * BEAT_S < int(found.group(1)) / 1000 <= 43  # it looks every 2 s


def test_a_server_without_our_extension_is_written_to_in_order() -> None:
    async def test() -> None:
        sent: list[str] = []

        async def send(text: str) -> None:
            await asyncio.sleep(0.001)
            sent.append(text)

        wire = AsgiWire(send)
        for number in range(5):
            wire.write(Frame(str(number)))
        assert wire.waiting() == 5
        while wire.waiting():
            await asyncio.sleep(0.001)
        assert sent == ["0", "1", "2", "3", "4"]
        wire.drop()

    async_to_sync(test)()
