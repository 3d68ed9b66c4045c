from __future__ import annotations

from typing import Self, cast

import numpy as np
from pydantic import Field, model_validator

from remediation import registry
from remediation.detect import baseline
from remediation.detect.rolling import TINY_S, Opinion, RollingHistory, ends, share_of, sided
from remediation.detect.sided import History, HistoryParams, Limit, Step
from remediation.detect.wording import number
from remediation.series import Floats, Matrix

DAY_S, WEEK_S = 86_400.0, 604_800.0


class SeasonalParams(HistoryParams):
    limit: Limit = Field(default=6.0, description="Scales (robust standard deviations) from usual that are bad.")
    window_s: History = Field(default=4 * WEEK_S, ge=2 * DAY_S)
    step_s: Step = 900.0
    around_s: float = Field(
        default=1800.0,
        gt=0,
        lt=DAY_S / 4,
        title="Around (seconds)",
        description="How far before and after the same time of day points count as comparable.",
    )
    minimum_days: int = Field(
        default=3,
        ge=2,
        title="Minimum days",
        description="Days with points at this time that are needed; as many weeks: the same weekday is compared.",
    )

    @model_validator(mode="after")
    def _must_fit(self) -> Self:
        if self.window_s < self.minimum_days * DAY_S:
            raise ValueError("the history is shorter than the minimum days")
        if self.window_s / self.step_s > 50_000:
            raise ValueError("history divided by step is more than 50,000 points")
        return self


class Seasonal(RollingHistory):
    """Bad while the newest value is far from what it was at the same time of earlier days.

    Use it for what follows people's day: traffic, logins, orders, load. Compares with the same time of the same weekday
    where at least minimum_days earlier weeks have points there, else with the same time of all earlier days, else it is
    unknown; days without points are passed over. Usual is the median, the scale 1.4826 times the MAD and at least 1 %
    of the median. From: the seasonal baselines of Brutlag, Aberrant Behavior Detection (2000), made robust.
    """

    name = "seasonal"
    label = "Seasonal baseline"
    Params = SeasonalParams

    def look(self, window: Matrix, params: registry.Params) -> Opinion:
        asked = cast(SeasonalParams, params)
        values = window.values[:, -1]
        week, weeks = _usual(window, WEEK_S, asked)
        day, days = _usual(window, DAY_S, asked)
        by_week = weeks >= asked.minimum_days
        median = np.where(by_week, week.median, day.median)
        scale = np.where(by_week, week.scale, day.scale)
        half = np.maximum(asked.limit * scale, asked.minimum_effect)
        half = np.where(by_week | (days >= asked.minimum_days), half, np.nan)
        scores = share_of(sided(values - median, asked.direction), half)
        lower, upper = ends(median, half, asked.direction)

        def words(row: int) -> str:
            if np.isnan(half[row]):
                return f"only {days[row]:.0f} earlier days have points at this time, {asked.minimum_days} are needed"
            usual = f"the usual {number(median[row])} at this time of {'this weekday' if by_week[row] else 'day'}"
            if np.isnan(scores[row]):
                before = f"{number(values[row])} after nothing but {number(median[row])} at this time"
                return f"{before}: a minimum effect would tell how much is much"
            if scores[row] > 1:
                way = "above" if values[row] > median[row] else "below"
                times = number(round(float(scores[row]), 2))
                return f"{number(values[row])} is {way} {usual} by {times} times what is allowed"
            return f"{number(values[row])} is near {usual}"

        return Opinion(scores=scores, lower=lower, upper=upper, words=words)


def _usual(window: Matrix, period_s: float, asked: SeasonalParams) -> tuple[baseline.Normal, Floats]:
    """What is normal at the same place of earlier periods, and how many of those have points there."""
    ages = window.times[-1] - window.times
    periods = np.rint(ages / period_s)
    near = (periods >= 1) & (np.abs(ages - periods * period_s) <= asked.around_s + TINY_S)
    history, periods = window.values[:, near], periods[near]
    there = np.isfinite(history)
    found = [there[:, periods == period].any(axis=1) for period in np.unique(periods)]
    count: Floats = np.array(found, dtype=np.float64).reshape(-1, len(history)).sum(axis=0)
    return baseline.normal(history), count
