from __future__ import annotations

from typing import Literal, cast

import numpy as np
from pydantic import Field

from remediation import registry
from remediation.detect.base import Band, Detector, Verdicts, last_points
from remediation.detect.learner import Learner
from remediation.detect.stream import Judged, unknown
from remediation.series import Matrix


class AdaptiveParams(registry.Params):
    false_alarms_per_week: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        title="False alarms per week",
        description="How many false alarms per series you can live with. One who has used them up must show more, "
        "the more the further it is beyond; four can be saved up. Something very large and new is still told.",
    )
    direction: Literal["high", "low", "both"] = Field(
        default="both", title="Direction", description="Whether values that are too high, too low or both are bad."
    )
    minimum_effect: float = Field(
        default=0.0,
        ge=0,
        title="Minimum effect",
        description="Smaller distances from what is usual are never bad, however odd. In the unit of the query "
        "(per second for counters).",
    )
    warm_up_points: int = Field(
        default=48, ge=24, title="Warm-up (points)", description="With fewer points of history the verdict is unknown."
    )
    history_s: float = Field(
        default=604_800.0,
        gt=0,
        title="History (seconds)",
        description="How much of the past is read to learn from; four days are needed to know the time of day.",
    )
    step_s: float = Field(default=300.0, gt=0, title="Step (seconds)", description="Time between two points of it.")


class Adaptive(Detector):
    """Bad while a series is far from what is usual for it, and such a thing has hardly happened to it before.

    Use it when you know nothing about the metric: it learns level, time of day, hour of the week, noise, and whether
    the series counts up, each from the series' own past alone, and follows a lasting shift. It alarms for one of three:

    - effect: a short mean lies 6.1 scales from the long level, or the value 6.1 scales from the median of its time of
      day (a scale is a robust standard deviation, at least 0.3 of the mean deviation ever seen); and novelty: the value
      is not near one that was seen on two visits before; and rarity: its tail probability is small enough;
    - in a series whose next value is predictable: a one-step error of 10 scales that is rarer than one in 10,000;
    - what lasts: the mean of some 48 deviations, each cut at 2 scales, from the level or from what is usual at this
      hour, lies 2.3 of its own scales from its centre (6 at the start, less over a week), 1.35 times as far as ever
      before, and where it hardly was before.

    The budget: each alarm costs one, and so many a week come in. A series in debt must show more, for each alarm of
    debt a fifth more and twice as rare, up to five; so what recurs stops alarming, and a series that is always odd
    keeps about to the budget. Score: 1.0 tells people; 1.2 is for acting alone: 1.2 times as far, no precedent at all,
    and 2.2 times as rare as chance alone would show as often as the budget. A series of nothing but one value takes any
    other value for odd; set a minimum effect where that is too strict. From: EWMA charts (Roberts 1959), Holt and
    Winters with clipped updates, tail probabilities by Hill (1975), nearest precedents; measured by bench/detect.py.
    """

    name = "adaptive"
    label = "Adaptive"
    Params = AdaptiveParams

    def window_s(self, params: registry.Params) -> float:
        return cast(AdaptiveParams, params).history_s

    def step_s(self, params: registry.Params) -> float:
        return cast(AdaptiveParams, params).step_s

    def stream(self, params: registry.Params, count: int) -> Learner:
        asked = cast(AdaptiveParams, params)
        return Learner(
            count,
            weekly=asked.false_alarms_per_week,
            direction=asked.direction,
            minimum_effect=asked.minimum_effect,
            warm_up=asked.warm_up_points,
        )

    def judge(self, matrix: Matrix, params: registry.Params) -> Verdicts:
        """Learns from all columns of the matrix, and judges the last."""
        learner = self.stream(params, len(matrix.labels))
        found = unknown(len(matrix.labels))
        for time, values in zip(matrix.times, matrix.values.T, strict=True):
            found = learner.update(np.full(len(values), time), values)
        values, times = last_points(matrix)
        return Verdicts(
            labels=matrix.labels,
            codes=found.codes,
            values=values,
            scores=found.scores,
            lower=found.lower,
            upper=found.upper,
            times=times,
            reasons=learner.reasons(),
        )

    def band(self, matrix: Matrix, params: registry.Params) -> Band:
        learner = self.stream(params, len(matrix.labels))
        found: list[Judged] = [
            learner.update(np.full(len(values), time), values)
            for time, values in zip(matrix.times, matrix.values.T, strict=True)
        ]
        if not found:
            return Band(lower=np.empty(matrix.values.shape), upper=np.empty(matrix.values.shape))
        return Band(
            lower=np.stack([point.lower for point in found], axis=1),
            upper=np.stack([point.upper for point in found], axis=1),
        )
