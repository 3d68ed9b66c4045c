"""What a process keeps between looks: one thread at a time at each thing, and all of it within a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from remediation import conf
from remediation.exceptions import SourceFailed


class Kept(Protocol):
    """Something that is kept. nbytes: how much memory it takes, about."""

    lock: threading.Lock

    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Kept)


class Shelf:
    """Things by key. The least recently used are given up when all together are larger than max_bytes: nothing may be
    kept here that cannot be had anew."""

    def __init__(self, max_bytes: float) -> None:
        self.max_bytes = max_bytes
        self._things: OrderedDict[Hashable, Any] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._lock = threading.Lock()
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._things)

    @contextmanager
    def held(self, key: Hashable, make: Callable[[], T], *, wait_s: float) -> Iterator[T]:
        """The thing of this key, made when there is none, for one thread at a time: who comes second finds what the
        first has fetched. Raises SourceFailed after waiting for wait_s."""
        with self._lock:
            if key not in self._things:
                self._things[key] = make()
            thing: T = self._things[key]
            self._things.move_to_end(key)
        if not thing.lock.acquire(timeout=wait_s):
            raise SourceFailed(f"the same question is under way already, and had no answer within {wait_s:g} s")
        try:
            yield thing
        finally:
            size = thing.nbytes
            thing.lock.release()
            self._weigh(key, thing, size)

    def clear(self) -> None:
        with self._lock:
            self._things.clear()
            self._sizes.clear()
            self.nbytes = 0

    def _weigh(self, key: Hashable, thing: Kept, size: int) -> None:
        with self._lock:
            if self._things.get(key) is not thing:
                return  # given up meanwhile
            self.nbytes += size - self._sizes.get(key, 0)
            self._sizes[key] = size
            while self.nbytes > self.max_bytes:
                oldest, _ = self._things.popitem(last=False)
                self.nbytes -= self._sizes.pop(oldest, 0)


shelf = Shelf(conf.WINDOW_CACHE_MB * 2**20)
"""This process' own. Threads share it, processes do not: a second process asks for its windows once, too."""
