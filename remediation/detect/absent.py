from __future__ import annotations

from typing import cast

import numpy as np
from pydantic import Field

from remediation import registry
from remediation.detect.base import Band, Detector, Verdicts
from remediation.series import Matrix
from remediation.states import Code


class AbsentParams(registry.Params):
    labels: dict[str, str] = Field(
        default_factory=dict,
        title="Labels of what is missing",
        description="A missing series has no labels to tell whose it is: name the service, job or instance here.",
    )


class Absent(Detector):
    """Bad while the query finds no series at all, on a source that does hold other samples.

    Use it for what should always report: a service that vanished with all its series, a batch job, a heartbeat. One
    verdict for the whole query, whatever the number of series; a series whose value is NaN is there. While the source
    itself is empty, as after a restart, absence is unknown. From: PromQL's absent(), which cannot tell the two apart.
    """

    name = "absent"
    label = "Absent"
    Params = AbsentParams
    needs_liveness = True

    def judge(self, matrix: Matrix, params: registry.Params) -> Verdicts:
        asked = cast(AbsentParams, params)
        count = len(matrix.labels)
        code, reason = Code.OK, f"{count} series {'is' if count == 1 else 'are'} there"
        if not count:
            code, reason = Code.BAD, "no series is there, and the source holds others"
            if not matrix.alive:
                code, reason = Code.UNKNOWN, "no series is there, but the source holds no other samples either"
        return Verdicts(
            labels=(asked.labels,),
            codes=np.array([code], dtype=np.int8),
            values=np.array([np.nan if code is Code.UNKNOWN else float(count)]),
            scores=np.array([{Code.OK: 0.0, Code.BAD: 1.0}.get(code, np.nan)]),
            lower=np.ones(1),
            upper=np.full(1, np.inf),
            times=np.array([np.nan if code is Code.UNKNOWN else matrix.now]),
            reasons=(reason,),
        )

    def band(self, matrix: Matrix, params: registry.Params) -> Band:
        """Nothing: what is expected is not a value of these series."""
        return Band(lower=np.full(matrix.values.shape, np.nan), upper=np.full(matrix.values.shape, np.nan))
