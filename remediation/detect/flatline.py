from __future__ import annotations

from typing import cast

import numpy as np
from pydantic import Field

from remediation import registry
from remediation.detect.base import Verdicts
from remediation.detect.rolling import Opinion, Rolling
from remediation.detect.wording import number, span
from remediation.series import Floats, Matrix
from remediation.states import Code


class FlatlineParams(registry.Params):
    for_s: float = Field(
        default=1800.0, gt=0, title="Unchanged for (seconds)", description="Bad when the value stays the same so long."
    )
    tolerance: float = Field(
        default=0.0, ge=0, title="Tolerance", description="Smaller moves are no change. In the unit of the query."
    )
    idle: float | None = Field(
        default=None, title="Idle value", description="A value at which standing still is well, such as 0 at night."
    )
    stale_after_s: float = Field(
        default=0.0,
        ge=0,
        title="Stale after (seconds)",
        description="Bad when a series that reported has no sample for so long; 0: that is unknown.",
    )
    step_s: float = Field(default=60.0, gt=0, title="Step (seconds)", description="Time between two points.")


class Flatline(Rolling):
    """Bad while a value that should move stays exactly the same; on request also while it stopped reporting.

    Use it for heartbeats, counters and sensors: a frozen exporter repeats its last number and looks well to every other
    detector. Samples that are missing in between do not end the standstill. Score: how long it lasts over how long it
    may. A series that is gone from the answer altogether has no verdict: see Absent. From: stuck-sensor checks of
    process control; changes() of PromQL.
    """

    name = "flatline"
    label = "Flatline and stale"
    Params = FlatlineParams

    def window_s(self, params: registry.Params) -> float:
        asked = cast(FlatlineParams, params)
        return max(asked.for_s, asked.stale_after_s) + 2 * asked.step_s

    def step_s(self, params: registry.Params) -> float:
        return cast(FlatlineParams, params).step_s

    def judge(self, matrix: Matrix, params: registry.Params) -> Verdicts:
        found = super().judge(matrix, params)
        asked = cast(FlatlineParams, params)
        if not asked.stale_after_s or not matrix.times.size:
            return found
        return _with_stale(found, matrix, asked)

    def look(self, window: Matrix, params: registry.Params) -> Opinion:
        asked = cast(FlatlineParams, params)
        values = window.values[:, -1]
        same = (np.abs(window.values - values[:, None]) <= asked.tolerance) | (window.values == values[:, None])
        moved = ~np.isnan(window.values) & ~same
        after = window.values.shape[1] - np.argmax(moved[:, ::-1], axis=1)
        start = np.where(moved.any(axis=1), after, 0)
        still = ~np.isnan(window.values) & (np.arange(window.values.shape[1]) >= start[:, None])
        lasts = window.times[-1] - window.times[np.argmax(still, axis=1)]
        short = ~moved.any(axis=1) & (lasts < asked.for_s)
        scores = np.where(lasts >= asked.for_s, np.maximum(lasts / asked.for_s, 1 + 1e-9), lasts / asked.for_s)
        scores = np.where(short, np.nan, scores)
        idle = np.zeros(len(values), dtype=bool) if asked.idle is None else values == asked.idle
        scores = np.where(idle, 0.0, scores)
        nothing = np.full(len(values), np.nan)

        def words(row: int) -> str:
            if idle[row]:
                return f"{number(values[row])} is the idle value"
            if short[row]:
                return f"{number(values[row])} all along, for {lasts[row]:.0f} s: too short to tell"
            return f"{number(values[row])} for {lasts[row]:.0f} s; it may stay so for {span(asked.for_s)}"

        return Opinion(scores=scores, lower=nothing, upper=nothing, words=words)


def _with_stale(found: Verdicts, matrix: Matrix, asked: FlatlineParams) -> Verdicts:
    """The same, with bad for series that reported within the window but not of late."""
    there = ~np.isnan(matrix.values)
    newest = matrix.times[len(matrix.times) - 1 - np.argmax(there[:, ::-1], axis=1)]
    reach = matrix.times[-1] - newest
    window = max(asked.for_s, asked.stale_after_s) + 2 * asked.step_s
    stale = ~there[:, -1] & there.any(axis=1) & (reach > asked.stale_after_s) & (reach <= window)
    words = (f"no sample for {seconds:.0f} s; {span(asked.stale_after_s)} are allowed" for seconds in reach)
    scores: Floats = np.where(stale, np.maximum(reach / asked.stale_after_s, 1.0), found.scores)
    return Verdicts(
        labels=found.labels,
        codes=np.where(stale, Code.BAD, found.codes).astype(np.int8),
        values=found.values,
        scores=scores,
        lower=found.lower,
        upper=found.upper,
        times=np.where(stale, matrix.times[-1], found.times),
        reasons=tuple(word if bad else old for word, bad, old in zip(words, stale, found.reasons, strict=True)),
    )
