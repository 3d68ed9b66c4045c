"""How many questions may wait for one source, so that a source that hangs does not hold every thread of a worker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation.exceptions import SourceFailed

AT_ONCE = 4
"""Questions under way to one source from one process. Half of a worker's threads: the other half is for the others."""
PATIENCE_S = 0.25
"""How long a question waits for a place; answers take milliseconds, so that nobody waits longer while all is well."""


@dataclass
class Gate:
    """The way to one source. After a failure one question at a time goes through, until one is answered."""

    places: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE))
    scout: threading.Lock = field(default_factory=threading.Lock)
    failing: tuple[object, ...] = ()
    """What the last failure said: looked up in the language of whoever is told of it."""

    @contextmanager
    def question(self) -> Iterator[None]:
        """Ask within this. Raises SourceFailed at once where asking would only mean waiting with the others."""
        if self.failing:
            with self._as_scout():
                yield
            return
        if not self.places.acquire(timeout=PATIENCE_S):
            said = _("{n} questions wait for the source already; it is slow or hangs")
            raise SourceFailed(format_lazy(said, n=AT_ONCE))
        try:
            with self._noting():
                yield
        finally:
            self.places.release()

    @contextmanager
    def _as_scout(self) -> Iterator[None]:
        if not self.scout.acquire(blocking=False):
            raise SourceFailed(*self.failing)
        try:
            with self._noting():
                yield
        finally:
            self.scout.release()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Remember a failure of the source, and that it is over; an error of one question is neither."""
        try:
            yield
        except SourceFailed as error:
            self.failing = error.args
            raise
        self.failing = ()


_gates: dict[int, Gate] = {}
_lock = threading.Lock()


def gate_of(source_id: int) -> Gate:
    """This process' gate of a source."""
    with _lock:
        return _gates.setdefault(source_id, Gate())
