"""One per web process: hears what changed, renders each affected piece once, and writes it to everybody who shows it.

The sockets register here instead of joining groups: the process holds one subscription, and a frame is encoded once
however many browsers get it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from channels.layers import get_channel_layer
from django.db import connections

from dashboard.live import publish
from dashboard.live.fragments import Rendered
from dashboard.live.publish import GROUP, Notice
from dashboard.live.sessions import still_valid
from dashboard.live.shown import NOTHING, Shown, encoded, render_places, view_of
from dashboard.live.socket import Place, Socket
from dashboard.live.topics import expand
from dashboard.live.wire import Frame
from dashboard.pages.chrome import waiting_count

log = logging.getLogger(__name__)

GATHER_S = 0.01
"""How long the first change waits for those that were committed with it."""

APART_S = 0.075
"""Frames are at least this far apart: an evaluation that moves fifty series is one or two."""

SHARE = 0.5
"""How much of its time this process spends on making frames at most; the rest is for pages and the webhook."""

SESSIONS_S = 15.0
RESUBSCRIBE_S = 2.0
LOOK_S = 1.0

P = ParamSpec("P")
R = TypeVar("R")


class Hub:
    """Lives in one event loop. Everything but `hear` is called from it."""

    def __init__(self) -> None:
        self.epoch = uuid.uuid4().hex[:8]
        self.frame = 0
        self.count = 0
        self._counted_at = -math.inf
        self.sockets: set[Socket] = set()
        self.shown = Shown()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._notices: dict[tuple[Any, ...], Notice] = {}
        self._due = asyncio.Event()
        self._joining = asyncio.Lock()
        self._thread: ThreadPoolExecutor | None = None

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """At the first connection; again when the process has got another event loop (tests)."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop, self._due, self._joining = loop, asyncio.Event(), asyncio.Lock()
        self.sockets, self.shown, self._notices = set(), Shown(), {}
        # Its own, so that no page waits for a frame and no frame for a thousand browsers that sign in.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")
        jobs = (self._subscribe, self._flush_when_due, self._look, self._tend, self._recheck_sessions)
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
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, connections.close_all)
            thread.shutdown()

    async def join(self, socket: Socket, language: str, shown: dict[str, str]) -> None:
        """A socket shows these keys, at these versions. What it shows and is no longer so is sent at once."""
        self.sockets.add(socket)
        socket.joined = False
        self.shown.move(socket, view_of(language, shown))
        async with self._joining:  # a thousand at once are one rendering
            if missing := self.shown.missing(socket.view):
                found = await self._in_thread(render_places, missing)
                self._send(self.shown.take(missing, found))  # a change may have brought it to others meanwhile
            await self._count(at_least_s=1)
        if socket in self.sockets:
            # Nothing is awaited from here on: what changes now comes in a frame after this one.
            socket.put(Frame(self._hello(socket, shown)))
            socket.joined = True

    def leave(self, socket: Socket) -> None:
        self.sockets.discard(socket)
        self.shown.move(socket, NOTHING)

    def _hello(self, socket: Socket, shown: dict[str, str]) -> str:
        pieces = [(place, self.shown.kept[place]) for place in sorted(socket.view) if place in self.shown.kept]
        stale = [place for place, kept in pieces if kept.piece and kept.piece.version != shown.get(place[1])]
        frames = {place[1]: kept.frame for place, kept in pieces}
        hello = encoded({"hello": self.epoch, "v": self.frame, "frames": frames, "count": self.count})
        parts = ",".join(self.shown.part(place, None) for place in stale)
        return f'{hello[:-1]},"fragments":[{parts}]}}'

    # --- what changed -------------------------------------------------------------------------------------------------

    def hear(self, notice: Notice) -> None:
        """From any thread: something changed."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._take, notice)

    def _take(self, notice: Notice) -> None:
        self._notices[tuple(notice.get(name) for name in ("kind", "id", "incident", "service"))] = notice
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
        """The first change after a quiet while goes out at once; those right behind it go together."""
        ready_at = 0.0
        while True:
            await self._due.wait()
            await asyncio.sleep(max(GATHER_S, ready_at - time.monotonic()))
            self._due.clear()
            notices, self._notices = list(self._notices.values()), {}
            began, used = time.monotonic(), time.process_time()
            try:
                await self._send_changed(self.shown.touched(await self._in_thread(expand, notices)))
            except Exception:
                log.exception("live update failed; the next look finds what it missed")
            # Processor time: on a busy machine it would wait twice for what others use.
            ready_at = began + max(APART_S, (time.process_time() - used) / SHARE)

    async def _look(self) -> None:
        """Render again what moves without a notice, and what a lost notice did not tell."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._send_changed(self.shown.due(time.monotonic()))
            except Exception:
                log.exception("live look failed; the next one tries again")

    async def _send_changed(self, places: Iterable[Place]) -> None:
        asked = list(places)
        if not asked:
            return
        found, count = await self._in_thread(_render_and_count, asked)
        self.count, self._counted_at = count, time.monotonic()
        self._send(self.shown.take(asked, found))

    def _send(self, changed: list[tuple[Place, int]]) -> None:
        if not changed:
            return
        self.frame += 1
        for place, _ in changed:
            self.shown.kept[place].frame = self.frame
        parts = {place: self.shown.part(place, after) for place, after in changed}
        self.shown.write(parts, self._frame_of)

    def _frame_of(self, parts: list[str]) -> Frame:
        return Frame(f'{{"v":{self.frame},"count":{self.count},"fragments":[{",".join(parts)}]}}')

    async def _count(self, *, at_least_s: float) -> None:
        """What waits for people; asked again when the number known is older than this."""
        if time.monotonic() - self._counted_at >= at_least_s:
            self.count = await self._in_thread(waiting_count)
            self._counted_at = time.monotonic()

    async def _in_thread(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        call = partial(_with_own_connection, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    # --- who is still there -------------------------------------------------------------------------------------------

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            beat = Frame(encoded({"beat": int(time.time()), "v": self.frame, "count": self.count}))
            now = time.monotonic()
            for socket in list(self.sockets):
                socket.tend(now, beat)

    async def _recheck_sessions(self) -> None:
        """Close what was signed out, deactivated, has another password or other rights now.

        A part of them every second: all at once would hold up the frames of that moment.
        """
        while True:
            await asyncio.sleep(min(LOOK_S, SESSIONS_S))
            now = time.monotonic()
            sockets = [socket for socket in self.sockets if now - socket.checked_at >= SESSIONS_S]
            if not sockets:
                continue
            try:
                valid = await self._in_thread(still_valid, {socket.session: socket.user_id for socket in sockets})
            except Exception:
                log.exception("sessions could not be checked; the next round tries again")
                continue
            for socket in sockets:
                if not socket.checked(valid.get(socket.session), now, every_s=SESSIONS_S):
                    socket.close(4401)


def _render_and_count(places: list[Place]) -> tuple[dict[Place, Rendered], int]:
    return render_places(places), waiting_count()


def _with_own_connection(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The thread keeps its connection from call to call; one that failed is not used again."""
    try:
        return function(*args, **kwargs)
    except Exception:
        connections.close_all()
        raise


hub = Hub()
