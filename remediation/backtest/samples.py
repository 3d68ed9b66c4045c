"""The samples of a range, asked for in bounded pieces, as the matrices that live evaluation saw at each slot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remediation import matchers
from remediation.backtest.slots import Grid, Slots
from remediation.exceptions import ObserveError
from remediation.observe import promql
from remediation.observe.answers import Answer
from remediation.observe.base import Question
from remediation.observe.window import MAX_POINTS, Client, without_names
from remediation.series import Floats, Labels, Matrix

FIRST_COLUMNS = 250
"""Columns of the first piece: it tells how many series there are, and so how large the next may be."""
CELLS = 300_000
"""Samples in one answer, about: some 10 MB of JSON, well below what a client accepts."""

Mask = NDArray[np.bool_]
Key = frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Columns first .. first + T of the grid. present: where there is a sample, be its value NaN."""

    first: int
    raw: tuple[Labels, ...]
    values: Floats
    present: Mask

    @property
    def end(self) -> int:
        return self.first + int(self.values.shape[1])


def moments(client: Client, question: Question, slots: Slots, grid: Grid) -> Iterator[Matrix]:
    """What `observe.window.fetch` answered, or would have, at each slot, oldest first. Raises ObserveError.

    Bounded: a piece of the range is held at a time, with as much before it as the windows reach back.
    """
    reach = promql.reach_s(question.query, lookback_s=client.access.stale_after_s)
    held, number, size = _nothing(0), 0, FIRST_COLUMNS
    final = _column(grid, slots.count - 1) + 1
    while number < slots.count:
        held, size = _longer(client, question.query, grid, held, size=size, final=final)
        last = max(number, min(slots.count, (held.end - 1 - grid.lead) // grid.stride + 1))
        alive = _alive(client, slots, number, last) if question.needs_liveness else np.ones(last - number, dtype=bool)
        names = _Names(held.raw)
        for one in range(number, last):
            yield _moment(held, names, grid, slots.at(one), one, reach=reach, alive=bool(alive[one - number]))
        number = last
        held = _from(held, _column(grid, number) - grid.hop * (grid.points - 1))


def _longer(client: Client, query: str, grid: Grid, held: Block, *, size: int, final: int) -> tuple[Block, int]:
    """With one more piece behind it, and how large the next one may be. What is too much at once for the source is
    asked for again in a small piece."""
    try:
        held = _joined(held, _fetch(client, query, grid, held.end, min(held.end + size, final)))
    except ObserveError:
        if size <= FIRST_COLUMNS:
            raise
        held = _joined(held, _fetch(client, query, grid, held.end, min(held.end + FIRST_COLUMNS, final)))
        return held, FIRST_COLUMNS
    return held, max(1, min(MAX_POINTS - 1, CELLS // max(len(held.raw), 1)))


def alert_moments(client: Client, text: str, slots: Slots, grid: Grid) -> Iterator[Matrix]:
    """The alerts that fit these matchers as Prometheus recorded them in `ALERTS`: 1 firing; 0 once it no longer is,
    NaN where the source itself was not there to tell. Raises ObserveError, MatcherError."""
    question = Question(query=alerts_query(text), needs_liveness=True)
    seen: dict[Key, Labels] = {}
    for matrix in moments(client, question, slots, grid):
        firing = {}
        for labels in matrix.labels:
            bare = {name: value for name, value in labels.items() if name not in ("__name__", "alertstate")}
            firing[frozenset(bare.items())] = bare
        seen |= firing
        otherwise = 0.0 if matrix.alive else np.nan
        values = np.array([[1.0 if key in firing else otherwise] for key in seen]).reshape(len(seen), 1)
        yield Matrix(labels=tuple(seen.values()), times=matrix.times, values=values, now=matrix.now, alive=matrix.alive)


def alerts_query(text: str) -> str:
    """The series in which Prometheus records the alerts that fit. Raises MatcherError."""
    asked = [str(matcher) for matcher in matchers.parse(text) if matcher.name != "alertstate"]
    return "ALERTS{" + ", ".join(['alertstate="firing"', *asked]) + "}"


# --- pieces of the range ----------------------------------------------------------------------------------------------


class _Names:
    """The labels that live evaluation gives the series: without `__name__`, unless two differ in nothing else."""

    def __init__(self, raw: tuple[Labels, ...]) -> None:
        self.raw = raw
        self.bare = without_names(list(raw))
        self.simple = not any("__name__" in labels for labels in self.bare)

    def of(self, rows: Sequence[int]) -> tuple[Labels, ...]:
        if len(rows) == len(self.raw):
            return self.bare
        if self.simple:
            return tuple(self.bare[row] for row in rows)
        return without_names([self.raw[row] for row in rows])


def _moment(block: Block, names: _Names, grid: Grid, at: float, number: int, *, reach: float, alive: bool) -> Matrix:
    end = _column(grid, number) - block.first
    columns = slice(end - grid.hop * (grid.points - 1), end + 1, grid.hop)
    present = block.present[:, columns]
    kept: Mask = np.any(present, axis=1)
    everything = bool(kept.all())
    labels = names.of(range(len(kept)) if everything else np.flatnonzero(kept).tolist())
    values = block.values[:, columns]
    now_ms = round(at * 1000)
    step = grid.hop * grid.step_ms
    return Matrix(
        labels=labels,
        times=(now_ms - step * np.arange(grid.points - 1, -1, -1.0)) / 1000,
        values=values if everything else values[kept],
        now=at,
        reach_s=reach,
        alive=alive,
        note="" if labels else "the query matches no series with a fresh sample",
    )


def _column(grid: Grid, number: int) -> int:
    return grid.lead + number * grid.stride


def _nothing(first: int) -> Block:
    return Block(first=first, raw=(), values=np.empty((0, 0)), present=np.empty((0, 0), dtype=bool))


def _fetch(client: Client, query: str, grid: Grid, first: int, end: int) -> Block:
    start_ms = grid.first_ms + first * grid.step_ms
    last_ms = grid.first_ms + (end - 1) * grid.step_ms
    answer = _range(client, query, start_ms, last_ms, grid.step_ms)
    values = np.full((len(answer.series), end - first), np.nan)
    present = np.zeros(values.shape, dtype=bool)
    for row, series in enumerate(answer.series):
        places = np.rint((series.times * 1000 - start_ms) / grid.step_ms).astype(np.intp)
        if not np.all((places >= 0) & (places < end - first)):
            raise ObserveError("the source answers for other times than it was asked for")
        values[row, places] = series.values
        present[row, places] = True
    return Block(first=first, raw=tuple(series.labels for series in answer.series), values=values, present=present)


def _range(client: Client, query: str, start_ms: int, last_ms: int, step_ms: int) -> Answer:
    answer = client.range(query, start=start_ms / 1000, end=last_ms / 1000, step_s=step_ms / 1000)
    if answer.warnings:
        raise ObserveError(f"the source warns: {'; '.join(answer.warnings[:3])}")
    return answer


def _alive(client: Client, slots: Slots, first: int, end: int) -> Mask:
    """Whether the source held samples at these slots, and some time before: as observe.window asks at each."""
    settled = max(round(client.access.stale_after_s * 1000), 1)
    found = np.zeros(end - first, dtype=bool)
    for begin in range(first, end, MAX_POINTS - 1):
        last = min(end, begin + MAX_POINTS - 1) - 1
        start_ms = slots.first_ms + begin * slots.every_ms
        last_ms = slots.first_ms + last * slots.every_ms
        query = f"count(up) and count(up offset {settled}ms)"
        for series in _range(client, query, start_ms, last_ms, slots.every_ms).series:
            places = np.rint((series.times * 1000 - start_ms) / slots.every_ms).astype(np.intp) + begin - first
            found[places[series.values > 0]] = True
    return found


def _joined(old: Block, new: Block) -> Block:
    """Two pieces side by side, series by series."""
    if not old.values.shape[1]:
        return new
    rows = {frozenset(labels.items()): row for row, labels in enumerate(old.raw)}
    raw = list(old.raw)
    for labels in new.raw:
        if rows.setdefault(frozenset(labels.items()), len(raw)) == len(raw):
            raw.append(labels)
    width = old.values.shape[1]
    values = np.full((len(raw), width + new.values.shape[1]), np.nan)
    present = np.zeros(values.shape, dtype=bool)
    values[: len(old.raw), :width], present[: len(old.raw), :width] = old.values, old.present
    places = [rows[frozenset(labels.items())] for labels in new.raw]
    values[places, width:], present[places, width:] = new.values, new.present
    return Block(first=old.first, raw=tuple(raw), values=values, present=present)


def _from(block: Block, first: int) -> Block:
    """What of a piece the next windows still reach; series that have nothing there are let go."""
    if first >= block.end:
        return _nothing(first)
    cut = max(first - block.first, 0)
    values, present = block.values[:, cut:], block.present[:, cut:]
    kept: Mask = np.any(present, axis=1)
    raw = tuple(labels for labels, keep in zip(block.raw, kept, strict=True) if keep)
    return Block(first=block.first + cut, raw=raw, values=values[kept], present=present[kept])
