from __future__ import annotations

import math
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from remediation import registry
from remediation.detect import baseline
from remediation.detect.base import Band, Detector, Verdicts, codes_of, last_points
from remediation.detect.baseline import Normal
from remediation.detect.rolling import ends, sided
from remediation.detect.sided import BaselineParams, Limit
from remediation.detect.wording import NO_SAMPLE, bounded, number, span
from remediation.series import Floats, Matrix
from remediation.states import Code


class ZscoreParams(BaselineParams):
    limit: Limit = Field(default=6.0, description="Scales (robust standard deviations) from the median that are bad.")

    @model_validator(mode="after")
    def _must_fit(self) -> Self:
        points = (self.window_s - self.skip_s) / self.step_s
        if points < self.minimum_points:
            raise ValueError(f"history less skip holds {max(points, 0):.0f} points, fewer than the minimum points")
        if self.window_s / self.step_s > 10_000:
            raise ValueError("history divided by step is more than 10,000 points, the most that Prometheus answers")
        return self


class Zscore(Detector):
    """Bad while the newest value is far from the median of its own recent past, measured in robust scales.

    Use it where no fixed limit is known but the last hour is a fair example: latencies, queue lengths, memory. Not for
    daily rhythms, nor for series that are zero nearly always.

    The baseline of a point is what lies between window_s and skip_s before it, never the point itself. The scale is
    1.4826 times the median absolute deviation (MAD); where more than half of the points are equal the MAD is 0 and
    1.2533 times the mean absolute deviation serves; it is at least 1 % of the median. What is expected is the median
    plus and minus limit times the scale, and at least minimum_effect. A series that was nothing but zero has no scale:
    without a minimum effect any other value is unknown, since nobody knows how much is much.
    Score: distance from the median over the distance at which it becomes bad.
    From: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993): modified z-score.
    """

    name = "zscore"
    label = "Robust z-score"
    Params = ZscoreParams

    def window_s(self, params: registry.Params) -> float:
        return cast(ZscoreParams, params).window_s

    def step_s(self, params: registry.Params) -> float:
        return cast(ZscoreParams, params).step_s

    def judge(self, matrix: Matrix, params: registry.Params) -> Verdicts:
        asked = cast(ZscoreParams, params)
        values, times = last_points(matrix)
        first, last = baseline.places(matrix.times, window_s=asked.window_s, skip_s=asked.skip_s)
        history = matrix.values[:, first[-1] : last[-1]] if matrix.times.size else np.empty((len(values), 0))
        normal = baseline.normal(history)
        half = _allowed(normal, asked)
        with np.errstate(invalid="ignore"):
            away = sided(values - normal.median, asked.direction)
        # Nothing but zero so far, and now something else: rare, but nobody knows how much is much.
        scaleless = (half == 0) & (values != normal.median)
        known = ~np.isnan(values) & ~np.isnan(half) & ~scaleless
        with np.errstate(over="ignore"):  # a half that is nearly nothing: the score is cut below anyway
            scores = np.divide(away, half, out=np.zeros_like(away), where=half > 0)
        lower, upper = ends(normal.median, half, asked.direction)
        codes = codes_of(known & (half > 0) & (away > half), known)
        return Verdicts(
            labels=matrix.labels,
            codes=codes,
            values=values,
            scores=bounded(scores, known),
            lower=lower,
            upper=upper,
            times=times,
            reasons=_reasons(codes, values, bounded(scores, known), normal, asked),
        )

    def band(self, matrix: Matrix, params: registry.Params) -> Band:
        asked = cast(ZscoreParams, params)
        first, last = baseline.places(matrix.times, window_s=asked.window_s, skip_s=asked.skip_s)
        lower, upper = np.full((2, *matrix.values.shape), np.nan)
        for at, row in enumerate(matrix.values):
            normal = baseline.normal(baseline.windows(row, first, last))
            lower[at], upper[at] = ends(normal.median, _allowed(normal, asked), asked.direction)
        return Band(lower=lower, upper=upper)


def _allowed(normal: Normal, asked: ZscoreParams) -> Floats:
    """How far from the median a value may be (N,); NaN where there are too few points to say."""
    half = np.maximum(asked.limit * normal.scale, asked.minimum_effect)
    return np.where(normal.count >= asked.minimum_points, half, np.nan)


def _reasons(
    codes: NDArray[np.int8], values: Floats, scores: Floats, normal: Normal, asked: ZscoreParams
) -> tuple[str, ...]:
    texts = []
    columns = (codes, values, scores, normal.median, normal.count)
    window = span(asked.window_s)
    # Python's own numbers: NumPy's cost several times as much one by one.
    for code, value, score, median, count in zip(*(column.tolist() for column in columns), strict=True):
        usual = f"the median {number(median)} of the last {window}"
        if math.isnan(value):
            text = NO_SAMPLE
        elif count < asked.minimum_points:
            text = f"only {count} points of history, {asked.minimum_points} are needed"
        elif code == Code.UNKNOWN:
            text = f"{number(value)} after nothing but {number(median)}: a minimum effect would tell how much is much"
        elif code == Code.BAD:
            way = "above" if value > median else "below"
            text = f"{number(value)} is {way} {usual} by {number(score)} times what is allowed"
        else:
            text = f"{number(value)} is as near as usual to {usual}"
        texts.append(text)
    return tuple(texts)
