from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

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
_FINITE = "% Inf"
"""PromQL for: leaves numbers as they are, and makes infinities NaN. Every comparison binds less."""
_OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}


class ThresholdParams(registry.Params):
    op: Literal[">", ">=", "<", "<=", "==", "!="] = Field(
        title="Bad when the value is", description="The comparison that makes a sample bad."
    )
    value: float = Field(title="Limit", description="In the unit of the query.")
    clear: float | None = Field(
        default=None,
        title="Clear at",
        description="Once bad, it stays so until it is back beyond this, on the good side of the limit (hysteresis).",
    )
    window_s: float = Field(
        default=3600.0, gt=0, title="Memory (seconds)", description="How far back the last clear sample is looked for."
    )
    step_s: float = Field(default=15.0, gt=0, title="Step (seconds)", description="Time between two points of it.")

    @field_validator("clear")
    @classmethod
    def _must_be_good(cls, clear: float | None, given: ValidationInfo) -> float | None:
        op, limit = given.data.get("op"), given.data.get("value")
        if clear is None or op is None or limit is None:
            return clear
        if op in ("==", "!="):
            raise ValueError("only a limit that is above or below has another one to clear at")
        if clear > limit if op in (">", ">=") else clear < limit:
            raise ValueError(f"must lie on the good side of {limit:g}")
        return clear


class Threshold(Detector):
    """Bad while the newest value is beyond a fixed limit.

    Use it when the limit is known: an objective, a capacity, a process that is up or not. No sample,
    NaN and infinities are unknown. With `clear`, a value between the two limits is as bad as the last one that
    was beyond either of them. Score: 1 at the limit, and 1 more for each time the limit's own size beyond
    it (per unit where the limit is 0). From: every monitoring system; the comparison is PromQL's.
    """

    name = "threshold"
    label = "Threshold"
    Params = ThresholdParams

    def window_s(self, params: registry.Params) -> float:
        asked = cast(ThresholdParams, params)
        return 0.0 if asked.clear is None else asked.window_s

    def step_s(self, params: registry.Params) -> float:
        asked = cast(ThresholdParams, params)
        return 0.0 if asked.clear is None else asked.step_s

    def well(self, query: str, params: registry.Params) -> str | None:
        asked = cast(ThresholdParams, params)
        # What is not a number differs from every limit, and so would count as well.
        countable = asked.clear is None and asked.op != "=="
        return f"({query}\n) {_FINITE} {_OPPOSITE[asked.op]} bool ({asked.value!r})" if countable else None

    def bad(self, query: str, params: registry.Params) -> str:
        asked = cast(ThresholdParams, params)
        return f"({query}\n) {_FINITE} {asked.op} ({asked.value!r})"

    def judge(self, matrix: Matrix, params: registry.Params) -> Verdicts:
        asked = cast(ThresholdParams, params)
        values, times = last_points(matrix)
        known = ~np.isnan(values)
        beyond = _COMPARE[asked.op](values, asked.value)
        held = known & ~beyond & _held(matrix, asked)
        codes = codes_of(beyond | held, known)
        lower, upper = _expected(asked)
        return Verdicts(
            labels=matrix.labels,
            codes=codes,
            values=values,
            scores=bounded(np.where(held, 1.0, _scores(values, asked)), known),
            lower=np.full(len(values), lower),
            upper=np.full(len(values), upper),
            times=times,
            reasons=tuple(_reason(value, bool(bad), asked) for value, bad in zip(values, beyond | held, strict=True)),
        )

    def band(self, matrix: Matrix, params: registry.Params) -> Band:
        lower, upper = _expected(cast(ThresholdParams, params))
        return Band(lower=np.full(matrix.values.shape, lower), upper=np.full(matrix.values.shape, upper))


def _held(matrix: Matrix, asked: ThresholdParams) -> NDArray[np.bool_]:
    """Whether the last sample that was beyond either limit was beyond the bad one."""
    if asked.clear is None or not matrix.times.size:
        return np.zeros(len(matrix.labels), dtype=bool)
    values = matrix.values[:, matrix.times >= matrix.times[-1] - asked.window_s - 1e-6]
    bad = _COMPARE[asked.op](values, asked.value)
    clear = _COMPARE[_OPPOSITE[asked.op]](values, asked.clear)
    told = (bad | clear)[:, ::-1]
    newest = values.shape[1] - 1 - np.argmax(told, axis=1)
    found: NDArray[np.bool_] = told.any(axis=1) & bad[np.arange(len(values)), newest]
    return found


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
    if wrong and not _COMPARE[asked.op](np.array(value), asked.value):
        return f"{number(value)} has not come back to {number(cast(float, asked.clear))} since it was bad"
    op = asked.op if wrong else _OPPOSITE[asked.op]
    return f"{number(value)} is {_WORDS[op]} {number(asked.value)}"
