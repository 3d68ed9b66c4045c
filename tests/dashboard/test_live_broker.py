"""A notice from another process reaches a browser through a real Valkey, and again after Valkey was away."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from dashboard import valkey
from dashboard.live import publish
from dashboard.live.hub import Hub

pytestmark = pytest.mark.real


class Server:
    """A Valkey that can be stopped and started again."""

    def __init__(self, home: Path) -> None:
        self.url = f"unix://{valkey.socket_path(home)}"
        self._argv = valkey.child(home).argv
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not valkey.answers(self.url):
            assert time.monotonic() < deadline, "valkey did not start"
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def server(tmp_path: Path, settings: Any) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    config = {"hosts": [server.url], "prefix": "test"}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": config}}
    yield server
    server.stop()


async def heard(notices: list[publish.Notice], number: int, within_s: float) -> bool:
    deadline = asyncio.get_running_loop().time() + within_s
    while asyncio.get_running_loop().time() < deadline:
        if number in [notice["id"] for notice in notices]:
            return True
        await asyncio.sleep(0.01)
    return False


def test_a_notice_crosses_processes_and_survives_a_restart_of_the_broker(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        notices: list[publish.Notice] = []
        hub = Hub()
        monkeypatch.setattr(hub, "_take", notices.append)
        hub.start()
        elsewhere = publish.Sender()
        try:
            await asyncio.sleep(0.3)  # the subscription
            elsewhere.put({"kind": "incident", "id": 1, "origin": "another process"})
            elsewhere.put({"kind": "incident", "id": 2, "origin": publish.ORIGIN})
            elsewhere.put({"kind": "incident", "id": 3, "origin": "another process"})
            assert await heard(notices, 3, 5)
            assert [notice["id"] for notice in notices] == [1, 3]  # its own echo is left out
            server.stop()
            elsewhere.put({"kind": "incident", "id": 4, "origin": "another process"})
            await asyncio.sleep(0.2)
            server.start()
            for number in range(5, 60):
                elsewhere.put({"kind": "incident", "id": number, "origin": "another process"})
                if await heard(notices, number, 0.2):
                    break
            else:
                pytest.fail("nothing came through after the broker was back")
        finally:
            await hub.stop()

    async_to_sync(test)()
