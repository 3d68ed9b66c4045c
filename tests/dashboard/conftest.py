"""What no test of the dashboard leaves to the next: a request that still runs, and what a process remembers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started

from dashboard.pages import audit, charts

QUIET_S = 0.05
"""A request that a closing browser had sent already begins within this time."""
ENDS_WITHIN_S = 10


class InFlight:
    """The threads of the live server that answer a request now."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def began(self, **_: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.threads.add(threading.get_ident())

    def ended(self, **_: Any) -> None:
        self.threads.discard(threading.get_ident())

    def wait_for_none(self) -> None:
        deadline = time.monotonic() + ENDS_WITHIN_S
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < QUIET_S and time.monotonic() < deadline:
            if self.threads:
                quiet_since = time.monotonic()
            time.sleep(0.005)


@pytest.fixture(autouse=True)
def _no_request_outlives_its_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """The tables of a test are emptied after its browser's last request has ended, not under it."""
    if "live_server" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("transactional_db")  # set up first, so that its end comes after the waiting
    in_flight = InFlight()
    request_started.connect(in_flight.began)
    request_finished.connect(in_flight.ended)
    yield
    in_flight.wait_for_none()
    request_started.disconnect(in_flight.began)
    request_finished.disconnect(in_flight.ended)


@pytest.fixture(autouse=True)
def _nothing_of_the_chain_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process verifies history once and goes on from there; each test has a history of its own."""
    monkeypatch.setattr(audit, "walk", audit.Walk())


@pytest.fixture(autouse=True)
def _no_answer_of_a_chart_is_kept() -> Iterator[None]:
    """A process shares one answer per series and range among those who look."""
    charts.lines.clear()
    yield
    charts.lines.clear()
