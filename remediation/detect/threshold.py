from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from remediation import registry
from remediation.detect.base import Band, Detector, Verdicts, codes_of, last_points
from remediation.detect.wording import NO_SAMPLE, bounded, number
from remediation.series import Floats, Matrix

_COMPARE: Mapping[str, Callable[[Floats, float], NDArray[np.bool_]]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_WORDS = {">": "above", ">=": "at or above", "<": "below", "<=": "at or below", "==": "exactly", "!=": "other than"}
_OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}


class ThresholdParams(registry.Params):
    op: Literal[">", ">=", "<", "<=", "==", "!="] = Field(
        title="Bad when the value is", description="The comparison that makes a sample bad."
    )
    value: float = Field(title="Limit", description="In the unit of the query.")


class Threshold(Detector):
    """Bad while the newest value is beyond a fixed limit.

    Use it when the limit is known: an objective, a capacity, a process that is up or not. Infinities compare as
    numbers; no sample and NaN are unknown. Score: 1 at the limit, and 1 more for each time the limit's own size beyond
    it (per unit where the limit is 0). From: every monitoring system; the comparison is PromQL's.
    """

    name = "threshold"
    label = "Threshold"
    Params = ThresholdParams

    def judge(self, matrix: Matrix, params: registry.Params) -> Verdicts:
        asked = cast(ThresholdParams, params)
        values, times = last_points(matrix)
        known = ~np.isnan(values)
        codes = codes_of(_COMPARE[asked.op](values, asked.value), known)
        lower, upper = _expected(asked)
        return Verdicts(
            labels=matrix.labels,
            codes=codes,
            values=values,
            scores=bounded(_scores(values, asked), known),
            lower=np.full(len(values), lower),
            upper=np.full(len(values), upper),
            times=times,
            reasons=tuple(_reason(value, bool(code), asked) for value, code in zip(values, codes, strict=True)),
        )

    def band(self, matrix: Matrix, params: registry.Params) -> Band:
        lower, upper = _expected(cast(ThresholdParams, params))
        return Band(lower=np.full(matrix.values.shape, lower), upper=np.full(matrix.values.shape, upper))


def _expected(asked: ThresholdParams) -> tuple[float, float]:
    """The side of the limit where values are good; anything but one value cannot be drawn as a band."""
    lower = asked.value if asked.op in ("<", "<=", "!=") else -np.inf
    upper = asked.value if asked.op in (">", ">=", "!=") else np.inf
    return lower, upper


def _scores(values: Floats, asked: ThresholdParams) -> Floats:
    if asked.op == "==":
        return np.where(values == asked.value, 1.0, 0.0)
    if asked.op == "!=":
        beyond = np.abs(values - asked.value)
        return np.where(beyond > 0, 1.0, 0.0) + beyond / (abs(asked.value) or 1.0)
    sign = 1.0 if asked.op in (">", ">=") else -1.0
    return 1.0 + sign * (values - asked.value) / (abs(asked.value) or 1.0)


def _reason(value: float, wrong: Any, asked: ThresholdParams) -> str:
    if np.isnan(value):
        return NO_SAMPLE
    op = asked.op if wrong else _OPPOSITE[asked.op]
    return f"{number(value)} is {_WORDS[op]} {number(asked.value)}"
