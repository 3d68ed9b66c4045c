"""The other end of the live websocket, for tests in one process: without a server, without a broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.test import Client

from dashboard.asgi import application
from dashboard.live.hub import hub

ORIGIN = "http://localhost:8000"


def in_this_process(settings: Any) -> None:
    settings.HOMEOSTAT_ORIGINS = [ORIGIN]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine and end the hub with it: each test has an event loop of its own."""

    async def whole() -> None:
        try:
            await test()
        finally:
            await hub.stop()

    async_to_sync(whole)()


class Browser:
    """The other end of a websocket, message by message."""

    def __init__(self, scope: dict[str, Any]) -> None:
        communicator: Any = ApplicationCommunicator  # asgiref gives no types for it
        self._end = communicator(application, scope)

    async def connect(self) -> bool:
        await self._end.send_input({"type": "websocket.connect"})
        return bool((await self.output())["type"] == "websocket.accept")

    async def say(self, text: str) -> None:
        await self._end.send_input({"type": "websocket.receive", "text": text})

    async def hear(self) -> str:
        message = await self.output()
        assert message["type"] == "websocket.send", message
        return str(message["text"])

    async def output(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._end.receive_output(timeout=5)
        return message

    async def hears_nothing(self, timeout: float) -> bool:
        return bool(await self._end.receive_nothing(timeout=timeout))

    async def leave(self) -> None:
        await self._end.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._end.wait(timeout=5)


def browser(client: Client | None, origin: str | None = ORIGIN, path: str = "/ws/live/") -> Browser:
    headers = [(b"origin", origin.encode())] if origin is not None else []
    if client is not None:
        cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
        headers.append((b"cookie", cookie.encode()))
    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": headers, "subprotocols": []}
    return Browser(scope)


async def shows(socket: Browser, **keys: str) -> dict[str, Any]:
    """Say what the page shows; the hello that comes back."""
    await socket.say(json.dumps({"shows": {key.replace("__", ":"): at for key, at in keys.items()}}))
    return await frame(socket)


async def frame(socket: Browser) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await socket.hear())
    return answer
