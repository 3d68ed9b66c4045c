"""The demo, started once for all tests of this folder, and stopped after them: it takes a part of a processor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashboard.ports import free_port
from tests.acceptance.running import RunningDemo


@pytest.fixture(scope="package")
def demo() -> Iterator[RunningDemo]:
    running = RunningDemo(port=free_port())
    try:
        running.start()
        yield running
    finally:
        running.stop()
        running.remove()
