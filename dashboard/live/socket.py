"""One browser's connection, bounded: a slow one is told to fetch anew, one that takes nothing is dropped."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable

from dashboard.live.sessions import Rights
from dashboard.live.wire import Frame, Wire

WAITING_AT_MOST = 512 * 1024
"""Bytes that may wait for one browser; a single frame may be larger."""

BEHIND_S = 20.0
"""A browser that has not caught up within this time is dropped; one that is alive comes back."""

BEAT_S = 15.0
"""A frame at least this often, so that both sides notice a connection that is dead."""

SILENT_S = 35.0
"""A browser answers every beat. One that missed two is gone, whatever its socket says."""

RESYNC = Frame('{"resync":true}')

Place = tuple[str, str]
"""Language and key of a piece that is shown."""


class Socket:
    """What the hub knows of a browser. `joined` is False until it was told how things stand."""

    def __init__(self, wire: Wire, hang_up: Callable[[int], None], *, session: str, user_id: int) -> None:
        self.session = session
        self.user_id = user_id
        self.rights: Rights | None = None  # learned at the first check, together with all who came in that second
        self.checked_at = -math.inf
        self.view: frozenset[Place] = frozenset()
        self.joined = False
        now = time.monotonic()
        self.heard_at = now
        # Spread, so that a thousand browsers that came back together do not answer together.
        self.beat_at = now - random.random() * BEAT_S  # noqa: S311 - no secret
        self._behind_since: float | None = None
        self._wire, self._hang_up = wire, hang_up

    def put(self, frame: Frame) -> None:
        """Never waits. What a slow browser misses, it fetches after the resync."""
        if self._behind_since is not None:
            return
        waiting = self._wire.waiting()
        if waiting and waiting + len(frame.text) > WAITING_AT_MOST:
            self._behind_since = time.monotonic()
            return
        self._wire.write(frame)

    def tend(self, now: float, beat: Frame) -> None:
        """Once a second: a beat when it is due, a resync when it caught up, the end when nobody is there."""
        if now - self.heard_at > SILENT_S or (self._behind_since is not None and now - self._behind_since > BEHIND_S):
            self.drop()
            return
        if self._behind_since is not None and not self._wire.waiting():
            self._behind_since = None
            self.put(RESYNC)
        if now - self.beat_at >= BEAT_S:
            self.beat_at = now
            self.put(beat)

    def heard(self) -> None:
        self.heard_at = time.monotonic()

    def checked(self, rights: Rights | None, at: float, *, every_s: float) -> bool:
        """Whether the person is signed in (None: no) and may do what they might at the check before."""
        if self.rights is None:
            self.rights, at = rights, at - random.random() * every_s  # noqa: S311 - spread, as above
        self.checked_at = at
        return rights is not None and rights == self.rights

    def close(self, code: int) -> None:
        """Say goodbye to somebody who is there."""
        self._hang_up(code)

    def drop(self) -> None:
        """Nobody is there: the goodbye would only wait with the rest."""
        self._wire.drop()
        self._hang_up(4408)

    def end(self) -> None:
        """The connection is over."""
        self._wire.end()
