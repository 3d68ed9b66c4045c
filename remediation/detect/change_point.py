from __future__ import annotations

from typing import Literal, Self, cast

import numpy as np
from pydantic import Field, model_validator

from remediation import registry
from remediation.detect import baseline
from remediation.detect.rolling import TINY_S, Opinion, RollingHistory, ends, share_of, sided
from remediation.detect.sided import History, HistoryParams, Limit, MinimumPoints, Step
from remediation.detect.wording import number
from remediation.series import Matrix


class ChangePointParams(HistoryParams):
    limit: Limit = Field(default=4.0, description="Scales of the time before by which the level may move.")
    window_s: History = Field(default=14_400.0, description="How far back both parts reach together.")
    step_s: Step = 60.0
    watch: Literal["level", "spread", "both"] = Field(
        default="both", title="Watch", description="Whether a move of the level, of the spread or of either is bad."
    )
    spread_factor: float = Field(
        default=4.0, gt=1, title="Spread factor", description="How many times wider or narrower the spread may become."
    )
    recent_s: float = Field(
        default=900.0, gt=0, title="Recent (seconds)", description="The newest part, compared with what is before it."
    )
    minimum_points: MinimumPoints = Field(
        default=8, description="With fewer points in either part the verdict is unknown."
    )

    @model_validator(mode="after")
    def _must_fit(self) -> Self:
        if self.recent_s > self.window_s / 2:
            raise ValueError("the recent part is longer than what is before it")
        return self


class ChangePoint(RollingHistory):
    """Bad while the last minutes differ from the hours before in level or in spread.

    Use it for what should stay as it is, deployments above all: latency after a release, memory, a rate that became
    jittery or frozen. The level is the median, the spread 1.4826 times the MAD, at least 1 % of the median; single
    outliers do not count. Direction and minimum effect hold for both: high means up, and wider. Bad until the change
    is older than half of the history. From: two-window tests for change, Basseville and Nikiforov, Detection of
    Abrupt Changes (1993), with robust statistics.
    """

    name = "change_point"
    label = "Change point"
    Params = ChangePointParams

    def look(self, window: Matrix, params: registry.Params) -> Opinion:
        asked = cast(ChangePointParams, params)
        new = window.times > window.times[-1] - asked.recent_s + TINY_S
        now, before = baseline.normal(window.values[:, new]), baseline.normal(window.values[:, ~new])
        enough = (now.count >= asked.minimum_points) & (before.count >= asked.minimum_points)
        half = np.maximum(asked.limit * before.scale, asked.minimum_effect)
        half = np.where(enough, half, np.nan)
        moved = share_of(sided(now.median - before.median, asked.direction), half)
        ratio = now.scale / before.scale
        wider = sided(np.log(ratio), asked.direction) / np.log(asked.spread_factor)
        matters = np.abs(now.scale - before.scale) >= asked.minimum_effect
        wider = np.where(np.isfinite(wider) & matters, wider, 0.0)
        wider = np.where(enough & (asked.watch != "level"), wider, 0.0)
        scores = np.where(enough, np.maximum(0.0 if asked.watch == "spread" else moved, wider), np.nan)
        lower, upper = ends(before.median, half, asked.direction)

        def words(row: int) -> str:
            least = min(now.count[row], before.count[row])
            if not enough[row]:
                return f"only {least} points in one of the two parts, {asked.minimum_points} are needed"
            if np.isnan(scores[row]):
                return f"nothing but {number(before.median[row])} before: a minimum effect would tell how much is much"
            if scores[row] > 1 and wider[row] >= scores[row]:
                return f"the spread went from {number(before.scale[row])} to {number(now.scale[row])}"
            level = f"from {number(before.median[row])} to {number(now.median[row])}"
            if scores[row] > 1:
                return f"the level went {level}, {number(round(float(scores[row]), 2))} times what is allowed"
            return f"neither level ({level}) nor spread changed much"

        return Opinion(scores=scores, lower=lower, upper=upper, words=words)
