from __future__ import annotations

from typing import cast

import numpy as np
from pydantic import Field

from remediation import registry
from remediation.detect.rolling import Opinion, RollingHistory, sided
from remediation.detect.sided import History, HistoryParams, Limit, Step
from remediation.detect.wording import number, span
from remediation.series import Floats, Matrix


class RateOfChangeParams(HistoryParams):
    limit: Limit = Field(
        default=0.5,
        description="Change over the time below that is bad: in the unit of the query, or as a share (0.5 is half).",
    )
    window_s: History = Field(
        default=900.0, title="Over (seconds)", description="The time over which the change is measured."
    )
    step_s: Step = 60.0
    relative: bool = Field(
        default=True, title="As a share", description="Whether the limit is a share of the value before."
    )
    counter: bool = Field(
        default=False,
        title="Counter",
        description="The value only counts up: what it fell by at a restart is not a change. Not with shares.",
    )


class RateOfChange(RollingHistory):
    """Bad while the value changed by more than the limit within the given time.

    Use it where the level may be anything but must not jump or crumble: queue length, stock, members of a cluster,
    money. Compares the newest value with the oldest one of the time, scaled to all of it; with less than half of the
    time covered it is unknown. A share of nothing is unknown as well unless nothing changed. From: delta() and
    increase() of PromQL.
    """

    name = "rate_of_change"
    label = "Rate of change"
    Params = RateOfChangeParams

    def look(self, window: Matrix, params: registry.Params) -> Opinion:
        asked = cast(RateOfChangeParams, params)
        history = np.where(np.isfinite(window.values), window.values, np.nan)
        there = ~np.isnan(history)
        first = np.argmax(there, axis=1)
        before = np.take_along_axis(history, first[:, None], axis=1)[:, 0]
        covered = window.times[-1] - window.times[first]
        change = _increase(history) if asked.counter else window.values[:, -1] - before
        relative = asked.relative and not asked.counter
        allowed = asked.limit * np.abs(before) if relative else np.full(len(before), asked.limit)
        # The minimum effect is about the move that was seen, not about what it comes to over all of the time.
        stretch = asked.window_s / np.where(covered > 0, covered, np.nan)
        allowed = np.maximum(allowed, np.nan_to_num(asked.minimum_effect * stretch))
        away = sided(change * stretch, asked.direction)
        scores = np.where(allowed > 0, away / np.where(allowed > 0, allowed, 1.0), np.where(away == 0, 0.0, np.nan))
        scores = np.where(covered >= asked.window_s / 2, scores, np.nan)
        reach = allowed * covered / asked.window_s
        known = ~np.isnan(scores) & ~np.array([asked.counter] * len(before))
        lower = np.where(known, before - (reach if asked.direction != "high" else np.inf), np.nan)
        upper = np.where(known, before + (reach if asked.direction != "low" else np.inf), np.nan)

        def words(row: int) -> str:
            if not covered[row] >= asked.window_s / 2:
                return f"points cover {covered[row]:.0f} s, half of {span(asked.window_s)} are needed"
            if np.isnan(scores[row]):
                return f"a change from {number(before[row])} is no share of it: give a minimum effect"
            what = f"changed by {number(change[row])} in {covered[row]:.0f} s, from {number(before[row])}"
            return f"{what}: {number(round(float(max(scores[row], 0)), 2))} times what is allowed"

        return Opinion(scores=scores, lower=lower, upper=upper, words=words)


def _increase(values: Floats) -> Floats:
    """How much each counter counted, resets taken for starts from 0; NaN in between is passed over."""
    filled = values.copy()
    for at in range(1, filled.shape[1]):
        filled[:, at] = np.where(np.isnan(filled[:, at]), filled[:, at - 1], filled[:, at])
    rise = np.diff(filled, axis=1)
    found: Floats = np.nansum(np.where(rise < 0, filled[:, 1:], rise), axis=1)
    return found
