"""One answer for everybody who asks the same within a short time, so that many open pages cost one question."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Found = TypeVar("Found")
KEPT = 256
"""Answers that are kept at most; those that nobody asked for longest go first."""


@dataclass
class _Place(Generic[Found]):
    """The newest answer to one question, and the lock of whoever asks it."""

    asking: threading.Lock = field(default_factory=threading.Lock)
    found: list[Found] = field(default_factory=list)
    fresh_until: float = 0.0


class Shared(Generic[Found]):
    """Answers by question, kept for a while in this process. What asking raises is raised to whoever asked, and kept
    by nobody: callers turn what they expect to fail into an answer."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._places: OrderedDict[Hashable, _Place[Found]] = OrderedDict()

    def get(self, key: Hashable, ask: Callable[[], Found], *, for_s: float) -> Found:
        """The kept answer while it is younger than `for_s`; else the answer of `ask`, which one caller runs for all.

        While it runs, the others get the answer before it, or wait for the first one.
        """
        place = self._place(key)
        if place.found and self._clock() < place.fresh_until:
            return place.found[0]
        if not place.asking.acquire(blocking=not place.found):
            return place.found[0]
        try:
            if not (place.found and self._clock() < place.fresh_until):
                place.found[:] = [ask()]
                place.fresh_until = self._clock() + for_s
            return place.found[0]
        finally:
            place.asking.release()

    def _place(self, key: Hashable) -> _Place[Found]:
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            while len(self._places) > KEPT:
                self._places.popitem(last=False)
            return place

    def clear(self) -> None:
        with self._lock:
            self._places.clear()
