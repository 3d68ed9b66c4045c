"""A database that several threads can use at once: PostgreSQL as it is, SQLite in a file, as it runs in earnest.

The test database of SQLite lives in memory with a shared cache, where a second writer fails instead of waiting.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection, connections

Apart = Callable[[Callable[[], None]], None]
"""Runs a test's body in a thread of its own, where every connection is one to that database."""


@pytest.fixture
def threaded_database(transactional_db: None, tmp_path: Path) -> Iterator[Apart]:
    """Begins as the test database is: migrated, and empty but for what migrations put there."""
    if connection.vendor != "sqlite":
        yield run_apart
        return
    connection.ensure_connection()
    file = sqlite3.connect(tmp_path / "threads.sqlite3")
    connection.connection.backup(file)
    file.close()
    before = connections.settings["default"]
    connections.settings["default"] = {**before, "NAME": str(tmp_path / "threads.sqlite3")}
    try:
        yield run_apart
    finally:
        connections.settings["default"] = before


def run_apart(body: Callable[[], None]) -> None:
    """Run it in a thread of its own, and raise here what it raised there."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            body()
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            raised.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
