"""One per web process: hears what changed, renders each affected piece once, and writes it to everybody who shows it.

The sockets register here instead of joining groups: the process holds one subscription, and a frame is encoded once
however many browsers get it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer

from dashboard.live import publish
from dashboard.live.fragments import Rendered, kind_of, render, topics_of
from dashboard.live.publish import GROUP, Notice
from dashboard.live.sessions import still_valid
from dashboard.live.socket import Socket
from dashboard.live.topics import expand
from dashboard.pages.chrome import waiting_count

log = logging.getLogger(__name__)

COALESCE_S = 0.075
"""How long changes are gathered: an evaluation that moves fifty series is one frame."""

BEAT_S = 15.0
"""A frame at least this often, so that both sides notice a connection that is dead."""

SESSIONS_S = 15.0
RESUBSCRIBE_S = 2.0
LOOK_S = 1.0


@dataclass(kw_only=True)
class Kept:
    """The newest rendering of a piece that somebody shows. `frame` is the number of the frame that carried it."""

    piece: Rendered | None
    frame: int
    looked_at: float


class Hub:
    """Lives in one event loop. Everything but `hear` is called from it."""

    def __init__(self) -> None:
        self.epoch = uuid.uuid4().hex[:8]
        self.frame = 0
        self.count = 0
        self._counted_at = -math.inf
        self.sockets: set[Socket] = set()
        self.wanted: dict[str, set[Socket]] = defaultdict(set)
        self.kept: dict[str, Kept] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._notices: list[Notice] = []
        self._due: asyncio.Event | None = None

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """At the first connection; again when the process has got another event loop (tests)."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop, self._due = loop, asyncio.Event()
        self.sockets, self.wanted, self.kept, self._notices = set(), defaultdict(set), {}, []
        jobs = (self._subscribe, self._flush_when_due, self._look, self._beat, self._recheck_sessions)
        self._tasks = [loop.create_task(job(), name=f"live-{job.__name__}") for job in jobs]
        if self.hear not in publish.listeners:
            publish.listeners.append(self.hear)

    async def stop(self) -> None:
        if self.hear in publish.listeners:
            publish.listeners.remove(self.hear)
        tasks, self._tasks, self._loop = self._tasks, [], None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def join(self, socket: Socket, shown: dict[str, str]) -> None:
        """A socket shows these keys, at these versions. What it shows and is no longer so is sent at once."""
        self.sockets.add(socket)
        for key in socket.keys - shown.keys():
            self._forget(socket, key)
        known = {key for key in shown if kind_of(key)}
        socket.keys = known
        for key in known:
            self.wanted[key].add(socket)
        await self._refresh([key for key in known if key not in self.kept])
        pieces = [(key, self.kept[key]) for key in sorted(known) if key in self.kept]
        stale = [(key, kept) for key, kept in pieces if kept.piece and kept.piece.version != shown[key]]
        frames = {key: kept.frame for key, kept in pieces}
        await self._count()
        hello = {"hello": self.epoch, "v": self.frame, "frames": frames, "count": self.count}
        socket.put(
            _encoded(hello | {"fragments": [_part(kept.piece, kept.frame, None) for _, kept in stale if kept.piece]})
        )

    def leave(self, socket: Socket) -> None:
        self.sockets.discard(socket)
        for key in socket.keys:
            self._forget(socket, key)
        socket.keys = set()

    def _forget(self, socket: Socket, key: str) -> None:
        self.wanted[key].discard(socket)
        if not self.wanted[key]:
            del self.wanted[key]
            self.kept.pop(key, None)

    # --- what changed -------------------------------------------------------------------------------------------------

    def hear(self, notice: Notice) -> None:
        """From any thread: something changed."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._take, notice)

    def _take(self, notice: Notice) -> None:
        self._notices.append(notice)
        if self._due is not None:
            self._due.set()

    async def _subscribe(self) -> None:
        """The one subscription of this process. Without a broker the hub lives on by looking."""
        layer = get_channel_layer()
        while layer is not None:
            try:
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                while True:
                    message = await layer.receive(channel)
                    if message.get("origin") != publish.ORIGIN:
                        self._take(message)
            except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, it is tried again
                log.debug("no subscription: %s", error)
                await asyncio.sleep(RESUBSCRIBE_S)

    async def _flush_when_due(self) -> None:
        assert self._due is not None  # noqa: S101 - start() made it
        while True:
            await self._due.wait()
            await asyncio.sleep(COALESCE_S)
            self._due.clear()
            notices, self._notices = self._notices, []
            try:
                topics = await database_sync_to_async(expand)(notices)
                await self._send_changed([key for key in self.wanted if topics & topics_of(key)])
            except Exception:
                log.exception("live update failed; the next look finds what it missed")

    async def _look(self) -> None:
        """Render again what moves without a notice, and what a lost notice did not tell."""
        while True:
            await asyncio.sleep(LOOK_S)
            now = time.monotonic()
            due = [key for key, kept in self.kept.items() if key in self.wanted and self._is_due(key, kept, now)]
            try:
                await self._send_changed(due)
            except Exception:
                log.exception("live look failed; the next one tries again")

    @staticmethod
    def _is_due(key: str, kept: Kept, now: float) -> bool:
        kind = kind_of(key)
        return kind is not None and kind.every_s > 0 and now - kept.looked_at >= kind.every_s

    async def _refresh(self, keys: Iterable[str]) -> list[tuple[Rendered, int | None]]:
        """Render these once, keep them, and return those that look different, with the frame that had them before."""
        asked = list(keys)
        if not asked:
            return []
        found = await database_sync_to_async(render)(asked)
        now = time.monotonic()
        changed: list[tuple[Rendered, int | None]] = []
        for key in asked:
            piece, before = found.get(key), self.kept.get(key)
            if key not in self.wanted:  # everybody left while it was made
                continue
            if before is None:
                self.kept[key] = Kept(piece=piece, frame=self.frame, looked_at=now)
                continue
            before.looked_at = now
            if piece is not None and (before.piece is None or before.piece.version != piece.version):
                changed.append((piece, before.frame))
                before.piece = piece
        return changed

    async def _count(self, *, at_least_s: float = 1.0) -> None:
        """What waits for people; asked again when the number known is older than this."""
        if time.monotonic() - self._counted_at >= at_least_s:
            self.count = await database_sync_to_async(waiting_count)()
            self._counted_at = time.monotonic()

    async def _send_changed(self, keys: Iterable[str]) -> None:
        changed = await self._refresh(keys)
        if not changed:
            return
        await self._count(at_least_s=0)
        self.frame += 1
        parts: dict[str, str] = {}
        for piece, before in changed:
            if piece.key in self.kept:
                self.kept[piece.key].frame = self.frame
            parts[piece.key] = json.dumps(_part(piece, self.frame, before))
        self._write(parts)

    def _write(self, parts: dict[str, str]) -> None:
        """Sockets that show the same of what changed get the very same bytes."""
        groups: dict[frozenset[str], list[Socket]] = defaultdict(list)
        shown: dict[Socket, set[str]] = defaultdict(set)
        for key in parts:
            for socket in self.wanted.get(key, ()):
                shown[socket].add(key)
        for socket, keys in shown.items():
            groups[frozenset(keys)].append(socket)
        for same, sockets in groups.items():
            inside = ",".join(parts[key] for key in sorted(same))
            frame = f'{{"v":{self.frame},"count":{self.count},"fragments":[{inside}]}}'
            for socket in sockets:
                socket.put(frame)

    # --- who is still there -------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            frame = _encoded({"beat": int(time.time()), "v": self.frame, "count": self.count})
            for socket in list(self.sockets):
                if socket.is_dead():
                    socket.close(4408)
                else:
                    socket.put(frame)

    async def _recheck_sessions(self) -> None:
        """Close what was signed out, deactivated or has another password now. One query for all sockets."""
        while True:
            await asyncio.sleep(SESSIONS_S)
            sockets = list(self.sockets)
            try:
                valid = await sync_to_async(still_valid)({socket.session: socket.user_id for socket in sockets})
            except Exception:
                log.exception("sessions could not be checked; the next round tries again")
                continue
            for socket in sockets:
                if socket.session not in valid:
                    socket.close(4401)


def _part(piece: Rendered | None, frame: int, before: int | None) -> dict[str, object]:
    assert piece is not None  # noqa: S101 - callers leave out what is gone
    return {"key": piece.key, "html": piece.html, "version": piece.version, "v": frame, "after": before}


def _encoded(frame: dict[str, object]) -> str:
    return json.dumps(frame, separators=(",", ":"))


hub = Hub()
