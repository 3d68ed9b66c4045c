"""A rule's question becomes a matrix: one column for the newest sample, or a grid of points that ends now."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import numpy as np

from remediation.exceptions import ObserveError
from remediation.observe import promql
from remediation.observe.answers import Answer
from remediation.observe.base import Access, Question
from remediation.series import Floats, Labels, Matrix
from remediation.series import fingerprint as fingerprint_of

MAX_POINTS = 11_000
"""Points per series that Prometheus answers at most."""


class Client(Protocol):
    """What is asked of a source's client; both questions raise ObserveError."""

    access: Access

    def instant(self, query: str, *, at: float) -> Answer: ...

    def range(self, query: str, *, start: float, end: float, step_s: float) -> Answer: ...


def fetch(client: Client, question: Question, *, now: float) -> Matrix:
    """What the source says at `now`, and before it where the question has a window.

    Causal: the last column is `now` itself, so that the newest sample is in it; earlier columns lie whole steps before.
    Raises ObserveError when the source gives no usable answer, and also when it warns: then something may be missing.
    """
    times = _times(question, now)
    if len(times) == 1:
        answer = client.instant(question.query, at=times[0])
    else:
        answer = client.range(question.query, start=times[0], end=times[-1], step_s=question.step_s)
    _refuse_warnings(answer)
    labels = without_names([series.labels for series in answer.series])
    return Matrix(
        labels=labels,
        times=times,
        values=_grid(answer, times),
        now=now,
        reach_s=promql.reach_s(question.query, lookback_s=client.access.stale_after_s),
        alive=_alive(client, now) if question.needs_liveness else True,
        note="" if labels else "the query matches no series with a fresh sample",
    )


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


def without_names(found: list[Labels]) -> tuple[Labels, ...]:
    """Label sets without `__name__`, except where only the name tells two series apart."""
    bare = [{name: value for name, value in labels.items() if name != "__name__"} for labels in found]
    times_seen = Counter(frozenset(labels.items()) for labels in bare)
    return tuple(
        labels if times_seen[frozenset(labels.items())] == 1 else whole
        for labels, whole in zip(bare, found, strict=True)
    )


def _times(question: Question, now: float) -> Floats:
    """The columns' times (T,), in whole milliseconds as the source counts them; never later than now."""
    end = np.floor(now * 1000)
    if question.window_s <= 0 or question.step_s <= 0:
        return np.array([end / 1000])
    step = max(round(question.step_s * 1000), 1)
    steps = int(question.window_s * 1000 // step)
    if steps >= MAX_POINTS:
        raise ObserveError(f"{steps + 1} points per series are too many; shorten the window or lengthen the step")
    times: Floats = (end - step * np.arange(steps, -1, -1.0)) / 1000
    return times


def _grid(answer: Answer, times: Floats) -> Floats:
    """Samples put in their columns: (S, T), NaN where there is none."""
    values = np.full((len(answer.series), len(times)), np.nan)
    step = times[1] - times[0] if len(times) > 1 else 1.0
    for row, series in enumerate(answer.series):
        columns = np.rint((series.times - times[0]) / step)
        if not np.all((columns >= 0) & (columns < len(times))):
            raise ObserveError(
                "the query gives samples of other times than it was asked for: a range such as up[5m] needs a function "
                "around it, such as avg_over_time(up[5m])"
            )
        values[row, columns.astype(np.intp)] = series.values
    return values


def _alive(client: Client, now: float) -> bool:
    """Whether the source holds samples, and did some time ago: while it fills up after a restart with an empty disk,
    a series that is missing means nothing."""
    answer = client.instant(liveness(client), at=now)
    _refuse_warnings(answer)
    return any(series.values.size and series.values[-1] > 0 for series in answer.series)


def liveness(client: Client) -> str:
    """The question whether the source holds samples, and did some time ago: a series above 0 when it does."""
    settled = max(round(client.access.stale_after_s * 1000), 1)
    return f"count(up) and count(up offset {settled}ms)"


def _refuse_warnings(answer: Answer) -> None:
    if answer.warnings:
        raise ObserveError(f"the source warns: {'; '.join(answer.warnings[:3])}")
