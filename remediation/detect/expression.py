from __future__ import annotations

import numpy as np

from remediation import registry
from remediation.detect.base import Band, Detector, Verdicts, codes_of, last_points
from remediation.detect.wording import NO_SAMPLE, bounded, number, reasons
from remediation.series import Matrix
from remediation.states import Code


class Expression(Detector):
    """Bad while the query returns the series at all: the meaning of an alerting rule's expression in Prometheus.

    Use it for expressions of Prometheus that cannot be taken apart into a value and a limit, such as `a > 5 and b < 3`.
    Where they can, the detector threshold is better: it has good values to draw and to learn from, and it can tell a
    series that became well from one that went away. A series that is no longer returned is ok only while the source
    holds other fresh samples; while it is silent or still fills up after a restart, the series is unknown. A value that
    is not a number is unknown. From: Prometheus' alerting rules.
    """

    name = "expression"
    label = "Expression"
    needs_liveness = True

    def judge(self, matrix: Matrix, params: registry.Params) -> Verdicts:
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
            missing=Code.OK if matrix.alive else Code.UNKNOWN,
            missing_reason="the expression no longer holds"
            if matrix.alive
            else "the expression returns nothing, but the source holds no other samples either",
        )

    def band(self, matrix: Matrix, params: registry.Params) -> Band:
        """Nothing: what is expected is that there is no value."""
        return Band(lower=np.full(matrix.values.shape, np.nan), upper=np.full(matrix.values.shape, np.nan))
