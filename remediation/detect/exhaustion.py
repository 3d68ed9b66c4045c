from __future__ import annotations

from typing import Literal, Self, cast

import numpy as np
from pydantic import Field, model_validator

from remediation import registry
from remediation.detect.rolling import Opinion, Rolling, middle_of
from remediation.detect.sided import MinimumEffect
from remediation.detect.wording import MAX_SCORE, number
from remediation.series import Floats, Matrix

DAY_S = 86_400.0
MOST_POINTS = 48
"""Slopes are taken between the medians of at most so many equal parts of the window: each pair of them."""
STEADY = 0.65
"""Share of the slopes that must point the same way."""


class ExhaustionParams(registry.Params):
    limit: float = Field(default=0.0, title="Limit", description="Where it is exhausted. In the unit of the query.")
    reached: Literal["falling", "rising"] = Field(
        default="falling",
        title="Reached by",
        description="Whether what is left falls to the limit, or what is used rises to it.",
    )
    within_s: float = Field(
        default=86_400.0, gt=0, title="Within (seconds)", description="Bad when the limit is nearer than this in time."
    )
    minimum_effect: MinimumEffect = Field(
        default=0.0,
        description="A trend that comes to less over the history is none, however steady. In the unit of the query.",
    )
    daily: bool = Field(
        default=False,
        title="Daily rhythm",
        description="Compare each point with the same time of earlier days only; needs two days of history or more.",
    )
    window_s: float = Field(
        default=21_600.0, gt=0, title="History (seconds)", description="What the trend is taken from."
    )
    step_s: float = Field(default=300.0, gt=0, title="Step (seconds)", description="Time between two points of it.")
    minimum_points: int = Field(
        default=12, ge=4, title="Minimum points", description="With fewer points of history the verdict is unknown."
    )

    @model_validator(mode="after")
    def _must_fit(self) -> Self:
        if self.daily and self.window_s < 2 * DAY_S:
            raise ValueError("a daily rhythm needs a history of two days (172800 seconds) or more")
        return self


class Exhaustion(Rolling):
    """Bad while the trend reaches the limit within the given time, or the limit is reached already.

    Use it for what fills up or runs out: disks, inodes, connections, certificates, quotas. The slope is the median of
    the slopes between all pairs of points (with a daily rhythm: pairs whole days apart), so that a third of the points
    may be wrong; where less than 65 % of the slopes agree, or all of it comes to less than the minimum effect, there
    is no trend, and all is well. Less than a quarter of the history is unknown. Score: the time allowed over the time
    left. From: Theil (1950) and Sen (1968); predict_linear of PromQL asks the same with least squares, which one
    outlier can turn.
    """

    name = "exhaustion"
    label = "Forecast to exhaustion"
    Params = ExhaustionParams

    def window_s(self, params: registry.Params) -> float:
        return cast(ExhaustionParams, params).window_s

    def step_s(self, params: registry.Params) -> float:
        return cast(ExhaustionParams, params).step_s

    def look(self, window: Matrix, params: registry.Params) -> Opinion:
        asked = cast(ExhaustionParams, params)
        values = window.values[:, -1]
        history = np.where(np.isfinite(window.values), window.values, np.nan)
        count = np.sum(~np.isnan(history), axis=1)
        times, points = _thinned(window.times - window.times[-1], history, daily=asked.daily)
        slope, agreement = _slope(times, points, daily=asked.daily)
        level = values if asked.daily else middle_of(points - slope[:, None] * times)
        sign = 1.0 if asked.reached == "rising" else -1.0
        left = sign * (asked.limit - level)
        moved = np.abs(slope) * _span(window.times, history)
        pace = np.where((agreement >= STEADY) & (moved >= asked.minimum_effect), sign * slope, 0.0)
        seconds = np.where(left <= 0, 0.0, np.where(pace > 0, left / np.where(pace > 0, pace, 1.0), np.inf))
        over = sign * (asked.limit - values) <= 0
        scores = np.where(over, MAX_SCORE, asked.within_s / np.maximum(seconds, asked.within_s / MAX_SCORE))
        covered = _span(window.times, history) >= asked.window_s / 4
        enough = (count >= asked.minimum_points) & covered & ~np.isnan(slope)
        scores = np.where(enough | over, scores, np.nan)
        lower = np.full(len(values), asked.limit if asked.reached == "falling" else -np.inf)
        upper = np.full(len(values), asked.limit if asked.reached == "rising" else np.inf)

        def words(row: int) -> str:
            if over[row]:
                return f"{number(values[row])} has reached {number(asked.limit)}"
            if not enough[row]:
                return f"only {count[row]} points, or less than a quarter of the history: no trend can be told"
            if not np.isfinite(seconds[row]):
                return f"{number(values[row])} has no steady trend towards {number(asked.limit)}"
            pace_h = f"{number(float(slope[row]) * 3600)} an hour"
            return f"{number(values[row])} reaches {number(asked.limit)} in {_duration(seconds[row])} at {pace_h}"

        return Opinion(scores=scores, lower=lower, upper=upper, words=words)


def _thinned(times: Floats, values: Floats, *, daily: bool) -> tuple[Floats, Floats]:
    """At most MOST_POINTS parts of the window with the median of each; a day is a whole number of parts."""
    span = -times[0] if len(times) else 0.0
    width = max(span / MOST_POINTS, 1e-9)
    if daily:
        width = DAY_S / max(int(DAY_S / width), 4)
    part = np.floor(-times / width + 1e-9)
    first = np.flatnonzero(np.diff(part, prepend=np.inf))
    sizes = np.diff(first, append=len(times))
    if not len(first) or sizes.max() == 1:
        return times, values
    place = np.arange(sizes.max())
    taken = np.minimum(first[:, None] + place, len(times) - 1)
    beyond = place >= sizes[:, None]
    grouped = np.where(beyond, np.nan, values[:, taken])
    middles = middle_of(grouped.reshape(-1, len(place))).reshape(len(values), len(first))
    centres = np.where(beyond, 0.0, times[taken]).sum(axis=1) / sizes
    return centres, middles


def _slope(times: Floats, values: Floats, *, daily: bool) -> tuple[Floats, Floats]:
    """The median slope over all pairs, and the share of pairs with its sign."""
    later, earlier = np.tril_indices(len(times), -1)
    apart = np.abs(times[later] - times[earlier])
    wanted = apart > 0
    if daily:
        days = np.rint(apart / DAY_S)
        wanted &= (days >= 1) & (np.abs(apart - days * DAY_S) < 0.02 * DAY_S)
    later, earlier = later[wanted], earlier[wanted]
    slopes = (values[:, later] - values[:, earlier]) / (times[later] - times[earlier])
    slope = middle_of(slopes)
    there = np.sum(~np.isnan(slopes), axis=1)
    same = np.sum(np.sign(slopes) == np.sign(slope)[:, None], axis=1)
    return slope, same / np.maximum(there, 1)


def _span(times: Floats, values: Floats) -> Floats:
    """Seconds between the first and the last number of each row."""
    there = ~np.isnan(values)
    first = np.argmax(there, axis=1)
    last = len(times) - 1 - np.argmax(there[:, ::-1], axis=1)
    return np.where(there.any(axis=1), times[last] - times[first], 0.0)


def _duration(seconds: float) -> str:
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 2 * DAY_S else f"{seconds / DAY_S:.1f} days"
