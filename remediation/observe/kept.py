"""Windows that are kept from look to look, so that a look costs what is new and not what the window holds.

`fetch` gives what `window.fetch` gives, series by series; the rows may stand in another order. It asks for the columns
that are new, and again for those that may not have been complete when they were asked for (see `overlap`). What
arrives still later is seen when the window is asked for as a whole: every REBUILD_S, and whenever it is not kept.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from zlib import crc32

import numpy as np

from remediation.exceptions import ObserveError
from remediation.observe import promql, window
from remediation.observe.base import Access, Question
from remediation.observe.shelf import shelf
from remediation.observe.window import Client, Columns, Mask
from remediation.series import Floats, Labels, Matrix

REBUILD_S = 3600
"""Seconds of the source's time between two questions for a whole window, each at a moment of its own. With a look
every 15 s that is one in 240; and what was backfilled an hour ago is known."""

_MOVING = re.compile(r"@\s*(?:start|end)|\boffset\s*-|\b(?:step|range)\s*\(\s*\)|#", re.IGNORECASE)
"""What makes a value depend on where the question ends, or on what comes later: then no column is ever complete. A
comment might hide it."""
_LABEL_BYTES, _SERIES_BYTES = 120, 750
"""Measured: what a series takes beside its samples, with its labels in three forms."""

_reach_s = lru_cache(maxsize=4096)(promql.reach_s)


def fetch(client: Client, source_id: int, question: Question, *, now: float) -> Matrix:
    """As window.fetch. Whoever asks the same at the same time, in any thread, shares the answer or the error."""
    with _held(client, source_id, question, now=now) as kept:
        found = kept.at(client, question, now=now)
        labels = kept.names(found.raw)
    return Matrix(
        labels=labels,
        times=found.times,
        values=found.values,
        now=now,
        reach_s=_reach_s(question.query, lookback_s=client.access.stale_after_s),
        alive=_alive(client, source_id, now=now) if question.needs_liveness else True,
        note=window.note_on(labels),
    )


def columns(client: Client, source_id: int, question: Question, *, now: float) -> Columns:
    """As fetch, with the labels as they were answered."""
    with _held(client, source_id, question, now=now) as kept:
        return kept.at(client, question, now=now)


def _alive(client: Client, source_id: int, *, now: float) -> bool:
    return window.is_alive(columns(client, source_id, window.liveness_of(client), now=now))


def overlap(access: Access, step_ms: int) -> int:
    """How many of the newest columns are asked for again with the next look.

    A scrape, or a recording rule, writes its samples with the time at which it began, once it has ended: up to a
    scrape interval later; the marker that a series has ended comes up to two intervals late. stale_after_s is three to
    four of them, and a source later than that has no fresh sample at any look. So a column is complete stale_after_s
    after its own time.
    """
    return (max(round(access.stale_after_s * 1000), 1) - 1) // step_ms + 1


@contextmanager
def _held(client: Client, source_id: int, question: Question, *, now: float) -> Iterator[_Window]:
    points = window.times_of(question, now).size
    end, step = window.whole_ms(now), window.step_ms(question) if points > 1 else 1
    # Two phases of one grid share no column.
    key = (source_id, question.query, points, step, end % step)
    with shelf.held(key, lambda: _Window(key), wait_s=client.access.timeout_s) as kept:
        yield kept


class _Window:
    """One question's newest columns, or the error of its last look."""

    def __init__(self, key: tuple[object, ...]) -> None:
        self.lock = threading.Lock()
        self._stagger_s = crc32(repr(key).encode()) % REBUILD_S
        self._access: Access | None = None
        self._buffer: _Buffer | None = None
        self._failed: tuple[int, ObserveError] | None = None
        self._end = self._era = 0
        self._named: tuple[tuple[Labels, ...], tuple[Labels, ...]] = ((), ())

    @property
    def nbytes(self) -> int:
        return self._buffer.nbytes if self._buffer else 0

    def names(self, raw: tuple[Labels, ...]) -> tuple[Labels, ...]:
        """As window.without_names; the same object as long as the series are the same."""
        if raw is not self._named[0]:
            self._named = raw, window.without_names(raw)
        return self._named[1]

    def at(self, client: Client, question: Question, *, now: float) -> Columns:
        """The whole window that ends now. Raises ObserveError; what was kept stays as it was then."""
        times = window.times_of(question, now)
        end = window.whole_ms(now)
        if client.access != self._access:  # another address, or another notion of stale: nothing here is about that
            self._access, self._buffer, self._failed, self._end = client.access, None, None, 0
        if self._failed is not None and self._failed[0] == end:
            error = self._failed[1]
            raise type(error)(*error.args)
        if self._buffer is None or end != self._end:
            try:
                self._buffer = self._brought_up(client, question, times, end)
            except ObserveError as error:
                self._failed = end, error
                raise
            self._failed, self._end = None, end
        return self._buffer.last(times)

    def _brought_up(self, client: Client, question: Question, times: Floats, end: int) -> _Buffer:
        step = window.step_ms(question)
        new = (end - self._end) // step
        asked = new + overlap(client.access, step)
        era = (end // 1000 + self._stagger_s) // REBUILD_S
        if self._buffer is None or new < 1 or asked >= len(times) or era != self._era or _MOVING.search(question.query):
            whole = window.columns(client, question, times)
            self._era = era
            return _Buffer(whole)
        self._buffer.put(window.columns(client, question, times[-asked:]), new=new)
        return self._buffer


class _Buffer:
    """The newest columns of a growing table: (S, room) of which the first `used` are filled."""

    def __init__(self, whole: Columns) -> None:
        self.width = self.used = len(whole.times)
        self._values, self._present = whole.values, whole.present
        self._raw: tuple[Labels, ...] = whole.raw
        self._index = {frozenset(labels.items()): row for row, labels in enumerate(whole.raw)}
        self._answered: tuple[tuple[Labels, ...], Mask | slice | list[int]] = (whole.raw, slice(None))
        self._shown: tuple[bytes, tuple[Labels, ...]] = (b"", ())

    @property
    def nbytes(self) -> int:
        labels = sum(map(len, self._raw)) * _LABEL_BYTES + len(self._raw) * _SERIES_BYTES
        return self._values.nbytes + self._present.nbytes + labels

    def put(self, part: Columns, *, new: int) -> None:
        """`new` further columns, and those before them that are in the part, too, once more."""
        self._make_room(new)
        rows = self._rows(part.raw)
        self.used += new
        place = slice(self.used - len(part.times), self.used)
        self._values[:, place], self._present[:, place] = np.nan, False
        self._values[rows, place], self._present[rows, place] = part.values, part.present

    def last(self, times: Floats) -> Columns:
        """The newest `width` columns with the series that have a sample there. A copy: a detector may do with it what
        it likes, and the next look writes where this one has read."""
        place = slice(self.used - self.width, self.used)
        there = _any(self._present[:, place])
        name = there.tobytes()
        if name != self._shown[0] or not name:
            self._shown = name, _chosen(self._raw, there)
        return Columns(
            raw=self._shown[1],
            times=times,
            values=self._values[there, place],
            present=self._present[there, place],
        )

    def _make_room(self, new: int) -> None:
        """Gives up the oldest columns, and the series that had samples there only. Each column is moved some four
        times in its life."""
        if self.used + new <= self._values.shape[1]:
            return
        place = slice(self.used - self.width, self.used)
        there = _any(self._present[:, place])
        room = self.width + self.width // 4 + new + 4
        values, present = np.full((int(there.sum()), room), np.nan), np.zeros((int(there.sum()), room), dtype=bool)
        values[:, : self.width], present[:, : self.width] = self._values[there, place], self._present[there, place]
        self._values, self._present, self.used = values, present, self.width
        if not there.all():
            self._know(_chosen(self._raw, there))

    def _rows(self, raw: tuple[Labels, ...]) -> Mask | slice | list[int]:
        """Where the series stand; those that were not seen before get rows of their own."""
        if raw != self._answered[0]:
            keys = [frozenset(labels.items()) for labels in raw]
            fresh = [labels for key, labels in zip(keys, raw, strict=True) if key not in self._index]
            if fresh:
                self._values = np.pad(self._values, ((0, len(fresh)), (0, 0)), constant_values=np.nan)
                self._present = np.pad(self._present, ((0, len(fresh)), (0, 0)))
                self._know((*self._raw, *fresh))
            self._answered = raw, [self._index[key] for key in keys]
        return self._answered[1]

    def _know(self, raw: tuple[Labels, ...]) -> None:
        self._raw = raw
        self._index = {frozenset(labels.items()): row for row, labels in enumerate(raw)}
        self._answered, self._shown = ((), []), (b"", ())


def _any(present: Mask) -> Mask:
    found: Mask = np.any(present, axis=1)
    return found


def _chosen(raw: Sequence[Labels], there: Mask) -> tuple[Labels, ...]:
    return tuple(labels for labels, kept in zip(raw, there, strict=True) if kept)
