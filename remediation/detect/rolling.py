"""Detectors that judge the newest point by the window that ends with it. No plug-in lives here."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from remediation import registry
from remediation.detect.base import Band, Detector, Verdicts, codes_of, last_points
from remediation.detect.sided import HistoryParams
from remediation.detect.wording import NO_SAMPLE, bounded
from remediation.series import Floats, Matrix

TINY_S = 1e-6
"""Times are sums of steps: what lies exactly on a border counts as there."""


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """Of S series: scores (bad above 1; NaN where nothing can be said), what is expected, and why in words by row."""

    scores: Floats
    lower: Floats
    upper: Floats
    words: Callable[[int], str]


class Rolling(Detector):
    """Judges by a window; the band of a point is what judging the window that ends there expects."""

    @abstractmethod
    def look(self, window: Matrix, params: registry.Params) -> Opinion:
        """The opinion about the last point of a window with at least one point; NaN last need not be minded."""

    def judge(self, matrix: Matrix, params: registry.Params) -> Verdicts:
        values, times = last_points(matrix)
        found = self._opinion(matrix, params)
        known = ~np.isnan(values) & ~np.isnan(found.scores)
        scores = bounded(found.scores, known)
        codes = codes_of(known & (scores > 1), known)
        return Verdicts(
            labels=matrix.labels,
            codes=codes,
            values=values,
            scores=scores,
            lower=found.lower,
            upper=found.upper,
            times=times,
            reasons=tuple(NO_SAMPLE if np.isnan(value) else found.words(row) for row, value in enumerate(values)),
        )

    def band(self, matrix: Matrix, params: registry.Params) -> Band:
        lower, upper = np.full((2, *matrix.values.shape), np.nan)
        for at in range(len(matrix.times)):
            part = dataclasses.replace(matrix, times=matrix.times[: at + 1], values=matrix.values[:, : at + 1])
            found = self._opinion(part, params)
            lower[:, at], upper[:, at] = found.lower, found.upper
        return Band(lower=lower, upper=upper)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def _opinion(self, matrix: Matrix, params: registry.Params) -> Opinion:
        count = len(matrix.labels)
        if not count or not matrix.times.size:
            nothing = np.full(count, np.nan)
            return Opinion(scores=nothing, lower=nothing, upper=nothing, words=lambda row: NO_SAMPLE)
        first = np.searchsorted(matrix.times, matrix.times[-1] - self.window_s(params) - TINY_S)
        values = matrix.values[:, first:]
        return self.look(dataclasses.replace(matrix, times=matrix.times[first:], values=values), params)


class RollingHistory(Rolling):
    """A rolling detector whose parameters say how long its history is."""

    def window_s(self, params: registry.Params) -> float:
        return cast(HistoryParams, params).window_s

    def step_s(self, params: registry.Params) -> float:
        return cast(HistoryParams, params).step_s


def sided(away: Floats, direction: str) -> Floats:
    """The distance in the direction that is watched."""
    found: Floats = {"high": away, "low": -away, "both": np.abs(away)}[direction]
    return found


def ends(middle: Floats, half: Floats, direction: str) -> tuple[Floats, Floats]:
    """What is expected around the middle; infinite on a side that nobody watches, NaN where nothing is known."""
    nothing = np.isnan(half) | np.isnan(middle)
    lower = middle - half if direction != "high" else np.where(nothing, np.nan, -np.inf)
    upper = middle + half if direction != "low" else np.where(nothing, np.nan, np.inf)
    return lower, upper


def share_of(away: Floats, half: Floats) -> Floats:
    """Distance over the distance allowed: 0 at the middle; unknown where no distance is allowed and there is one."""
    found: Floats = np.where(half > 0, away / np.where(half > 0, half, 1.0), np.where(away == 0, 0.0, np.nan))
    return np.where(np.isnan(half), np.nan, np.where((half == 0) & (away < 0), 0.0, found))


def middle_of(values: Floats) -> Floats:
    """The median of each row (S, N), NaN left out; NaN for a row without numbers."""
    ordered = np.sort(values, axis=1)
    count = np.sum(~np.isnan(ordered), axis=1)
    if not ordered.shape[1]:
        return np.full(len(ordered), np.nan)
    pair = np.stack([np.maximum(count - 1, 0) // 2, np.minimum(count // 2, ordered.shape[1] - 1)], axis=1)
    found = np.take_along_axis(ordered, pair, axis=1)
    median: Floats = found[:, 0] + (found[:, 1] - found[:, 0]) / 2
    return median
