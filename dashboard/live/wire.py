"""The way out to one browser: straight to the transport under our own uvicorn, through ASGI under any other server.

ASGI knows neither how much a peer has not taken yet nor how to drop one that takes nothing. `LiveProtocol` (uvicorn's
option `--ws`) adds both to the scope as an extension, and a way to write what is a whole websocket frame already: the
same bytes for everybody, framed once, without a task or a buffer per browser.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, Protocol, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame as WebsocketFrame
from websockets.frames import Opcode
from websockets.http11 import Request

EXTENSION = "homeostat.transport"
END_WITHIN_S = 5.0


class Frame:
    """What browsers get: its text, and the bytes of the websocket frame that holds it, made at most once."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def encoded(self) -> bytes:
        """Unmasked and uncompressed, which RFC 6455 and 7692 allow also where compression was agreed."""
        return WebsocketFrame(Opcode.TEXT, self.text.encode()).serialize(mask=False)


class Wire(Protocol):
    """What a socket needs of a server. Nothing here waits or raises."""

    def write(self, frame: Frame) -> None: ...

    def waiting(self) -> int:
        """How much was written and not taken by the peer's kernel yet, in bytes or characters."""

    def end(self) -> None:
        """The connection is over: what waits may go out for a moment, then it is thrown away."""

    def drop(self) -> None:
        """Let go of a peer that takes nothing, at once."""


class TransportWire:
    """Past ASGI. Only whole frames are written, so what uvicorn writes meanwhile (pings, a close) stays in order."""

    def __init__(self, protocol: WebSocketsSansIOProtocol) -> None:
        self._protocol = protocol
        self._transport = protocol.transport

    def write(self, frame: Frame) -> None:
        if not (self._protocol.close_sent or self._transport.is_closing()):
            self._transport.write(frame.encoded)

    def waiting(self) -> int:
        return self._transport.get_write_buffer_size()

    def end(self) -> None:
        # uvicorn has closed it, which waits for ever for a peer that reads nothing.
        asyncio.get_running_loop().call_later(END_WITHIN_S, self._transport.abort)

    def drop(self) -> None:
        self._transport.abort()


class AsgiWire:
    """Through ASGI's `send`, which may wait: a queue, and a task that empties it."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._frames: deque[Frame] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._writer = asyncio.create_task(self._write(), name="live-wire")

    def write(self, frame: Frame) -> None:
        if not self._writer.done():
            self._frames.append(frame)
            self._size += len(frame.text)
            self._wake.set()

    def waiting(self) -> int:
        return self._size

    def end(self) -> None:
        self.drop()

    def drop(self) -> None:
        self._writer.cancel()
        self._frames.clear()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._frames:
                frame = self._frames.popleft()
                try:
                    await self._send(frame.text)
                except Exception:  # noqa: BLE001 - whatever the server raises, nobody is there any more
                    return
                self._size -= len(frame.text)


class LiveProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, with one extension more in the scope: a TransportWire."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        scope = cast("dict[str, Any] | None", getattr(self, "scope", None))  # there is none when it was refused
        if scope is not None:
            scope["extensions"][EXTENSION] = TransportWire(self)
