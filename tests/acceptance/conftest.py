"""The demo, started once for all acceptance and browser tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashboard.ports import free_port
from tests.acceptance.running import RunningDemo


@pytest.fixture(scope="session")
def demo() -> Iterator[RunningDemo]:
    running = RunningDemo(port=free_port())
    try:
        running.start()
        yield running
    finally:
        running.stop()
        running.remove()
