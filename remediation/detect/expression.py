from __future__ import annotations

import dataclasses
from typing import Literal, Self, cast

import numpy as np
from pydantic import Field, model_validator

from remediation import registry
from remediation.detect.base import Band, Detector, Verdicts, codes_of, last_points
from remediation.detect.threshold import Threshold
from remediation.detect.wording import NO_SAMPLE, bounded, number, reasons
from remediation.series import Matrix
from remediation.states import Code


class ExpressionParams(registry.Params):
    op: Literal[">", ">=", "<", "<=", "==", "!="] | None = Field(
        default=None,
        title="Bad when the value is",
        description="The comparison that makes a returned sample bad; empty: every returned sample is.",
    )
    value: float | None = Field(default=None, title="Limit", description="In the unit of the query.")

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.op is None) != (self.value is None):
            raise ValueError("a comparison and its limit belong together")
        return self


class Expression(Detector):
    """Bad while an alerting rule of Prometheus with this expression would be active.

    Use it to keep the meaning of rules that were written for Prometheus. Without a comparison every series that the
    query returns is bad; with one, those beyond the limit are. A series that is no longer returned is ok, as it is in
    Prometheus, but only while the source holds other fresh samples: while it is silent or still fills up after a
    restart, the series is unknown. The detector threshold judges alike and takes every missing series for unknown,
    which is better where series have no reason to go. A value that is no finite number is unknown.
    From: Prometheus' alerting rules.
    """

    name = "expression"
    label = "Expression"
    Params = ExpressionParams
    needs_liveness = True

    def well(self, query: str, params: registry.Params) -> str | None:
        asked = cast(ExpressionParams, params)
        return None if asked.op is None else Threshold().well(query, _limit(asked))

    def bad(self, query: str, params: registry.Params) -> str:
        return Threshold().bad(query, _limit(cast(ExpressionParams, params)))

    def judge(self, matrix: Matrix, params: registry.Params) -> Verdicts:
        asked = cast(ExpressionParams, params)
        found = self._returned(matrix) if asked.op is None else Threshold().judge(matrix, _limit(asked))
        gone = "the expression no longer holds"
        if not matrix.alive:
            gone = "the expression returns nothing, but the source holds no other samples either"
        return dataclasses.replace(found, missing=Code.OK if matrix.alive else Code.UNKNOWN, missing_reason=gone)

    def _returned(self, matrix: Matrix) -> Verdicts:
        values, times = last_points(matrix)
        known = ~np.isnan(values)
        codes = codes_of(known, known)
        nothing = np.full(len(values), np.nan)
        return Verdicts(
            labels=matrix.labels,
            codes=codes,
            values=values,
            scores=bounded(np.ones(len(values)), known),
            lower=nothing,
            upper=nothing,
            times=times,
            reasons=reasons(
                codes,
                bad=[f"the expression holds, with the value {number(value)}" for value in values],
                ok=[""] * len(values),
                unknown=[NO_SAMPLE] * len(values),
            ),
        )

    def band(self, matrix: Matrix, params: registry.Params) -> Band:
        """Without a limit nothing: what is expected is that there is no value."""
        asked = cast(ExpressionParams, params)
        if asked.op is not None:
            return Threshold().band(matrix, _limit(asked))
        return Band(lower=np.full(matrix.values.shape, np.nan), upper=np.full(matrix.values.shape, np.nan))


def _limit(asked: ExpressionParams) -> registry.Params:
    return Threshold.parse({"op": asked.op, "value": asked.value})
