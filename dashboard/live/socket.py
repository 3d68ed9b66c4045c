"""One browser's connection, bounded: a slow one is told to fetch anew, it never piles up memory."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

FRAMES_WAITING = 8
CHARACTERS_WAITING = 512 * 1024
SILENT_S = 45.0
"""A browser answers every beat. One that was silent for longer is gone, whatever its socket says."""

SEND_WITHIN_S = 30.0
RESYNC = '{"resync":true}'


class Socket:
    """Frames wait here for one writer. When too many wait, they are dropped for one word: resync."""

    def __init__(
        self,
        send: Callable[[str], Awaitable[None]],
        close: Callable[[int], Awaitable[None]],
        *,
        session: str,
        user_id: int,
    ) -> None:
        self.session = session
        self.user_id = user_id
        self.keys: set[str] = set()
        self.heard_at = time.monotonic()
        self._send, self._close = send, close
        self._waiting: deque[str] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._close_code: int | None = None
        self._writer = asyncio.create_task(self._write(), name="live-socket")

    def put(self, frame: str) -> None:
        """Never waits."""
        if len(self._waiting) >= FRAMES_WAITING or self._size + len(frame) > CHARACTERS_WAITING:
            self._waiting.clear()
            self._size = 0
            frame = RESYNC
        if frame is RESYNC and self._waiting and self._waiting[-1] is RESYNC:
            return
        self._waiting.append(frame)
        self._size += len(frame)
        self._wake.set()

    def close(self, code: int) -> None:
        self._close_code = code
        self._wake.set()

    def is_dead(self) -> bool:
        return time.monotonic() - self.heard_at > SILENT_S

    def heard(self) -> None:
        self.heard_at = time.monotonic()

    def end(self) -> None:
        self._writer.cancel()

    async def _write(self) -> None:
        try:
            while self._close_code is None:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting and self._close_code is None:
                    frame = self._waiting.popleft()
                    self._size -= len(frame)
                    await asyncio.wait_for(self._send(frame), SEND_WITHIN_S)
        except Exception:  # noqa: BLE001 - a send that fails or takes forever means one thing: nobody is there
            self._close_code = self._close_code or 4408
        await self._close(self._close_code)
