"""A rule's question becomes a matrix: one column for the newest sample, or a grid of points that ends now."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from remediation.exceptions import ObserveError
from remediation.observe import promql
from remediation.observe.answers import Answer
from remediation.observe.base import Access, Question
from remediation.series import Floats, Labels, Matrix
from remediation.series import fingerprint as fingerprint_of

Mask = NDArray[np.bool_]

MAX_POINTS = 11_000
"""Points per series that Prometheus answers at most."""


class Client(Protocol):
    """What is asked of a source's client; both questions raise ObserveError."""

    access: Access

    def instant(self, query: str, *, at: float) -> Answer: ...

    def range(self, query: str, *, start: float, end: float, step_s: float) -> Answer: ...


@dataclass(frozen=True, kw_only=True)
class Columns:
    """S series at T times, as answered. raw: their labels, with `__name__`. times: (T,) seconds since the epoch.
    values: (S, T). present: (S, T), where there is a sample, be its value NaN."""

    raw: tuple[Labels, ...]
    times: Floats
    values: Floats
    present: Mask


def fetch(client: Client, question: Question, *, now: float) -> Matrix:
    """What the source says at `now`, and before it where the question has a window.

    Causal: the last column is `now` itself, so that the newest sample is in it; earlier columns lie whole steps before.
    Raises ObserveError when the source gives no usable answer, and also when it warns: then something may be missing.
    """
    found = columns(client, question, times_of(question, now))
    return Matrix(
        labels=without_names(found.raw),
        times=found.times,
        values=found.values,
        now=now,
        reach_s=promql.reach_s(question.query, lookback_s=client.access.stale_after_s),
        alive=is_alive(columns(client, liveness_of(client), found.times[-1:])) if question.needs_liveness else True,
        note=note_on(found.raw),
    )


def columns(client: Client, question: Question, times: Floats) -> Columns:
    """What the source says at the last of the question's times, as many as are given. Raises ObserveError."""
    if len(times) == 1:
        answer = client.instant(question.query, at=times[0])
    else:
        answer = client.range(question.query, start=times[0], end=times[-1], step_s=question.step_s)
    if answer.warnings:
        raise ObserveError(f"the source warns: {'; '.join(answer.warnings[:3])}")
    return _in_columns(answer, times, step_s=step_ms(question) / 1000)


def note_on(labels: Sequence[Labels]) -> str:
    """Why there is nothing, where there is nothing."""
    return "" if labels else "the query matches no series with a fresh sample"


def select(matrix: Matrix, fingerprint: str) -> Matrix:
    """The same matrix with the one series that has this fingerprint, or with none."""
    rows = [row for row, labels in enumerate(matrix.labels) if fingerprint_of(labels) == fingerprint][:1]
    return Matrix(
        labels=tuple(matrix.labels[row] for row in rows),
        times=matrix.times,
        values=matrix.values[rows],
        now=matrix.now,
        reach_s=matrix.reach_s,
        alive=matrix.alive,
        note=matrix.note if rows else "this series is not in the answer",
    )


def without_names(found: Sequence[Labels]) -> tuple[Labels, ...]:
    """Label sets without `__name__`, except where only the name tells two series apart."""
    bare = [{name: value for name, value in labels.items() if name != "__name__"} for labels in found]
    times_seen = Counter(frozenset(labels.items()) for labels in bare)
    return tuple(
        labels if times_seen[frozenset(labels.items())] == 1 else whole
        for labels, whole in zip(bare, found, strict=True)
    )


def times_of(question: Question, now: float) -> Floats:
    """The columns' times (T,), in whole milliseconds as the source counts them; never later than now. Raises
    ObserveError for more than a source answers."""
    end = whole_ms(now)
    if question.window_s <= 0 or question.step_s <= 0:
        return np.array([end / 1000])
    step = step_ms(question)
    steps = int(question.window_s * 1000 // step)
    if steps >= MAX_POINTS:
        raise ObserveError(f"{steps + 1} points per series are too many; shorten the window or lengthen the step")
    times: Floats = (end - step * np.arange(steps, -1, -1.0)) / 1000
    return times


def whole_ms(now: float) -> int:
    """Milliseconds since the epoch, not later than now. What is a whole number but for its rounding is that number."""
    return math.floor(now * 1000 + 1e-3)


def step_ms(question: Question) -> int:
    return max(round(question.step_s * 1000), 1)


def liveness_of(client: Client) -> Question:
    """The question whether the source holds samples, and did some time ago: see is_alive."""
    return Question(query=liveness(client))


def liveness(client: Client) -> str:
    """The question whether the source holds samples, and did some time ago: a series above 0 when it does. While it
    fills up after a restart with an empty disk, a series that is missing means nothing."""
    settled = max(round(client.access.stale_after_s * 1000), 1)
    return f"count(up) and count(up offset {settled}ms)"


def is_alive(answered: Columns) -> bool:
    return bool(np.any(answered.values[:, -1:] > 0))


def _in_columns(answer: Answer, times: Floats, *, step_s: float) -> Columns:
    """Samples put in their columns, all series at once: a loop over them would cost more than their parsing."""
    values = np.full((len(answer.series), len(times)), np.nan)
    present = np.zeros(values.shape, dtype=bool)
    if answer.series:
        counts = [series.times.size for series in answer.series]
        places = np.rint((np.concatenate([series.times for series in answer.series]) - times[0]) / step_s)
        if not np.all((places >= 0) & (places < len(times))):
            raise ObserveError(
                "the query gives samples of other times than it was asked for: a range such as up[5m] needs a function "
                "around it, such as avg_over_time(up[5m])"
            )
        where = np.repeat(np.arange(len(counts)), counts), places.astype(np.intp)
        values[where] = np.concatenate([series.values for series in answer.series])
        present[where] = True
    return Columns(raw=tuple(series.labels for series in answer.series), times=times, values=values, present=present)
