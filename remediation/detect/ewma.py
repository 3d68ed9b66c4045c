from __future__ import annotations

from typing import cast

import numpy as np
from pydantic import Field

from remediation import registry
from remediation.detect.baseline import MEAN_TO_SIGMA, RELATIVE_FLOOR
from remediation.detect.rolling import TINY_S, Opinion, RollingHistory, ends, share_of, sided
from remediation.detect.sided import BaselineParams, Limit
from remediation.detect.wording import number
from remediation.series import Floats, Matrix


class EwmaParams(BaselineParams):
    limit: Limit = Field(default=8.0, description="Standard deviations of the smoothed value that are bad.")
    smoothing_s: float = Field(
        default=60.0,
        gt=0,
        title="Smoothing (seconds)",
        description="Time constant of the smoothed value: longer sees smaller but lasting moves.",
    )


class Ewma(RollingHistory):
    """Bad while a smoothed value is farther from the level of the past than chance explains.

    Use it for small moves that last, in series without a daily rhythm: error rates, latencies, queue lengths. The level
    is an exponentially weighted mean of the history, three time constants long; its scale is 1.2533 times the mean
    absolute deviation and at least 1 % of the level; points beyond 4 scales are drawn to it. From: Roberts, Control
    Chart Tests Based on Geometric Moving Averages (1959).
    """

    name = "ewma"
    label = "EWMA control band"
    Params = EwmaParams

    def look(self, window: Matrix, params: registry.Params) -> Opinion:
        asked = cast(EwmaParams, params)
        ages = window.times[-1] - window.times
        old = (ages >= asked.skip_s - TINY_S) & (ages > 0)
        level, scale, count = _level(window.values[:, old], np.exp(-3 * ages[old] / asked.window_s))
        recent = np.where(np.isfinite(window.values[:, :-1]), window.values[:, :-1], np.nan)
        weights = np.where(np.isnan(recent), 0.0, np.exp(-ages[:-1] / asked.smoothing_s))
        total = 1 + weights.sum(axis=1)
        noise = np.sqrt(1 + np.square(weights).sum(axis=1)) / total
        rest = np.nansum(weights * recent, axis=1) / total
        half = np.maximum(asked.limit * scale * noise, asked.minimum_effect)
        half = np.where(count >= asked.minimum_points, half, np.nan)
        smooth = rest + window.values[:, -1] / total
        scores = share_of(sided(smooth - level, asked.direction), half)
        lower, upper = ends(level, half, asked.direction)

        def words(row: int) -> str:
            if count[row] < asked.minimum_points:
                return f"only {count[row]} points of history, {asked.minimum_points} are needed"
            if np.isnan(scores[row]):
                return f"nothing but {number(level[row])} before: a minimum effect would tell how much is much"
            times = f"{number(round(float(scores[row]), 2))} times what is allowed"
            return f"smoothed {number(smooth[row])} differs from the level {number(level[row])} by {times}"

        return Opinion(scores=scores, lower=(lower - rest) * total, upper=(upper - rest) * total, words=words)


def _level(history: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """The weighted mean and scale of each row, and how many points there were."""
    history = np.where(np.isfinite(history), history, np.nan)
    weighted = np.where(np.isnan(history), 0.0, weights)
    count = np.sum(~np.isnan(history), axis=1)
    total = np.where(count > 0, np.cumsum(weighted, axis=1)[:, -1] if history.shape[1] else 0.0, np.nan)
    level = np.nansum(weighted * history, axis=1) / total
    for _ in range(2):  # the second pass with outliers drawn to what the first one found
        scale = MEAN_TO_SIGMA * np.nansum(weighted * np.abs(history - level[:, None]), axis=1) / total
        reach = 4 * scale[:, None]
        history = np.clip(history, level[:, None] - reach, level[:, None] + reach)
        level = np.nansum(weighted * history, axis=1) / total
    return level, np.maximum(scale, RELATIVE_FLOOR * np.abs(level)), count.astype(np.float64)
