"""Judging point after point: a detector that keeps state, or the window of one that does not. No plug-in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from remediation.registry import Params
from remediation.series import Floats, Labels, Matrix
from remediation.states import Code

if TYPE_CHECKING:
    from remediation.detect.base import Detector


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One point of S series: as in Verdicts, without the words."""

    codes: NDArray[np.int8]
    scores: Floats
    lower: Floats
    upper: Floats


class Stream(ABC):
    """The state of S series, which do not touch each other. A point whose time is not later than the last of its series
    is unknown and not learnt; points without a sample before the first one leave no trace. Can be pickled: between
    looks it is kept as bytes (`detect.following`)."""

    @abstractmethod
    def update(self, times: Floats, values: Floats) -> Judged:
        """The next point of each series: times and values (S,), NaN where there is none; infinite is none."""

    @abstractmethod
    def reasons(self) -> tuple[str, ...]:
        """Why the last point of each series was judged so."""


class WindowStream(Stream):
    """Any detector as a stream: keeps the window it asks for and judges its last point. All series share one clock."""

    def __init__(self, detector: Detector, params: Params, count: int) -> None:
        self._detector, self._params, self._count = detector, params, count
        self._window_s = detector.window_s(params)
        self._labels: tuple[Labels, ...] = tuple({"series": str(row)} for row in range(count))
        self._times, self._values = np.empty(1024), np.empty((count, 1024))
        self._first = self._end = 0
        self._reasons: tuple[str, ...] = ()

    def update(self, times: Floats, values: Floats) -> Judged:
        now = float(times[0]) if len(times) else float("nan")
        if np.isnan(now) or (self._end and now <= self._times[self._end - 1]):
            self._reasons = ("not later than the point before",) * self._count
            return unknown(self._count)
        self._keep(now, values)
        kept = slice(self._first, self._end)
        matrix = Matrix(labels=self._labels, times=self._times[kept], values=self._values[:, kept], now=now)
        found = self._detector.judge(matrix, self._params)
        self._reasons = found.reasons
        return Judged(codes=found.codes, scores=found.scores, lower=found.lower, upper=found.upper)

    def reasons(self) -> tuple[str, ...]:
        return self._reasons

    def _keep(self, now: float, values: Floats) -> None:
        if self._end == len(self._times):
            kept = self._end - self._first
            room = max(1024, 2 * kept)
            times, history = np.empty(room), np.empty((self._count, room))
            times[:kept], history[:, :kept] = self._times[self._first : self._end], self._values[:, self._first :]
            self._times, self._values, self._first, self._end = times, history, 0, kept
        self._times[self._end], self._values[:, self._end] = now, values
        self._end += 1
        while self._times[self._first] < now - self._window_s - 1e-6:
            self._first += 1


def unknown(count: int) -> Judged:
    """Nothing can be said of any of the series."""
    nothing = np.full(count, np.nan)
    codes = np.full(count, Code.UNKNOWN, dtype=np.int8)
    return Judged(codes=codes, scores=nothing, lower=nothing.copy(), upper=nothing.copy())


def stream_of(detector: Detector, params: Params, count: int) -> Stream:
    """The detector's own stream, or one that keeps its window."""
    return detector.stream(params, count) or WindowStream(detector, params, count)
