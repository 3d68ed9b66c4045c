"""Frames on a real connection of a real uvicorn: whole, in order, and thrown away with a browser that never reads."""

from __future__ import annotations

import asyncio
import socket as sockets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect

from dashboard.live.socket import BEHIND_S, WAITING_AT_MOST, Socket
from dashboard.live.wire import EXTENSION, Frame, LiveProtocol, TransportWire

pytestmark = pytest.mark.real

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Server:
    """Accepts whoever comes, puts their wire into `wires` and, when they are gone, their code into `gone`."""

    def __init__(self) -> None:
        self.wires: asyncio.Queue[TransportWire] = asyncio.Queue()
        self.gone: asyncio.Queue[int] = asyncio.Queue()
        self.port = 0

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.wires.put_nowait(scope["extensions"][EXTENSION])
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})
        self.gone.put_nowait(message["code"])


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    application = Server()
    app: Any = application
    config = uvicorn.Config(app, port=0, ws=LiveProtocol, lifespan="off", log_level="critical", ws_ping_interval=0.02)
    config.timeout_graceful_shutdown = 1  # a test that fails must not hang
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]  # they are pytest's
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    application.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield application
    finally:
        server.should_exit = True
        await task


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_frames_arrive_whole_and_in_order_between_what_the_server_writes_itself(compression: str | None) -> None:
    texts = ["", "x", "é" * 125, "y" * 126, "z" * 65_535, "键" * 65_536]

    async def test() -> None:
        async with serving() as server, connect(f"ws://127.0.0.1:{server.port}", compression=compression) as client:
            wire = await server.wires.get()
            for text in texts:
                wire.write(Frame(text))
            await client.send("asked")
            await asyncio.sleep(0.1)  # pings go out meanwhile
            wire.write(Frame("last"))
            assert [await asyncio.wait_for(client.recv(), 5) for _ in range(len(texts) + 2)] == [
                *texts,
                "asked",
                "last",
            ]

    asyncio.run(test())


def test_one_frame_is_encoded_once_for_everybody() -> None:
    frame = Frame("to all")
    assert frame.encoded is frame.encoded


def test_what_is_written_after_the_end_goes_nowhere() -> None:
    async def test() -> None:
        async with serving() as server:
            async with connect(f"ws://127.0.0.1:{server.port}"):
                wire = await server.wires.get()
            await asyncio.wait_for(server.gone.get(), 5)
            wire.write(Frame("late"))
            assert wire.waiting() == 0

    asyncio.run(test())


def test_a_browser_that_never_reads_keeps_a_bounded_amount_of_memory_and_is_dropped() -> None:
    async def test() -> None:
        async with serving() as server:
            with sockets.create_connection(("127.0.0.1", server.port)) as deaf:
                deaf.sendall(HANDSHAKE)
                wire, codes = await asyncio.wait_for(server.wires.get(), 5), list[int]()
                one = Socket(wire, codes.append, session="s", user_id=1)
                most = 0
                for number in range(2000):
                    one.put(Frame(f"{number:0>16384}"))  # 32 MB in all; the kernel takes some of it
                    most = max(most, wire.waiting())
                    if number % 100 == 0:
                        await asyncio.sleep(0)
                assert 0 < most <= WAITING_AT_MOST
                one.tend(time.monotonic() + BEHIND_S + 1, Frame("beat"))
                assert codes == [4408]
                await asyncio.wait_for(server.gone.get(), 5)
                assert wire.waiting() == 0

    asyncio.run(test())
