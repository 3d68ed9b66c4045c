"""A worker whose broker is away asks for it again, soon and for as long as it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Connection
from kombu.utils import functional
from kombu.utils.imports import symbol_by_name

from dashboard import consumer, up
from dashboard.celery import app
from tests.dashboard.test_live_broker import Server


class Enough(Exception):
    pass


class Waiting(consumer.Consumer):
    """As far as `ensure_connected` goes."""

    def __init__(self) -> None:
        self.app = app
        self.first_connection_attempt = False
        self.broker_connection_retry_attempt = 0


def test_the_worker_is_of_this_kind() -> None:
    assert symbol_by_name(app.conf.worker_consumer) is consumer.Consumer
    assert app.conf.broker_connection_max_retries is None


def test_pauses_stay_short_and_nobody_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    attempts = 0

    def attempt(*_: Any, **__: Any) -> None:
        nonlocal attempts
        attempts += 1
        pauses.append(0.0)
        if attempts > 150:
            raise Enough
        raise ConnectionRefusedError

    monkeypatch.setattr(functional, "sleep", lambda seconds: pauses.append(pauses.pop() + seconds))
    conn = Connection(f"redis+socket://{tmp_path}/nobody.sock")
    monkeypatch.setattr(conn, "_connection_factory", attempt)
    with pytest.raises(Enough):
        Waiting().ensure_connected(conn)
    assert max(pauses) == consumer.LONGEST_PAUSE_S
    assert pauses[:3] == [0.5, 1.0, 1.5]


@pytest.mark.real
def test_a_broker_that_goes_away_is_a_worker_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a connection that was there, kombu hands on what its client raises."""
    server = Server(tmp_path)
    elsewhere = Celery(broker=server.url.replace("unix://", "redis+socket://"))
    elsewhere.conf.broker_transport_options = app.conf.broker_transport_options
    monkeypatch.setattr(up, "app", elsewhere)
    server.start()
    try:
        assert up._worker_answers("nobody@here") is False
    finally:
        server.stop()
    assert up._worker_answers("nobody@here") is False
