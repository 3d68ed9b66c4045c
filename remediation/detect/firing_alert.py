from __future__ import annotations

import numpy as np

from remediation import registry
from remediation.detect.base import Band, Detector, Verdicts, codes_of, last_points
from remediation.detect.wording import bounded, reasons
from remediation.series import Labels, Matrix


class FiringAlert(Detector):
    """Bad while Prometheus or Alertmanager says that an alert fires.

    Use it where good alerting rules exist already: they keep deciding what is wrong, and Homeostat repairs. The query
    of the rule is a set of label matchers; series are alerts with value 1 firing, 0 resolved, NaN nobody can tell.
    """

    name = "firing_alert"
    label = "Firing alert"
    source = "alerts"

    def judge(self, matrix: Matrix, params: registry.Params) -> Verdicts:
        values, times = last_points(matrix)
        known = ~np.isnan(values)
        codes = codes_of(values > 0, known)
        alerts = [_title(labels) for labels in matrix.labels]
        return Verdicts(
            labels=matrix.labels,
            codes=codes,
            values=values,
            scores=bounded(np.where(values > 0, 1.0, 0.0), known),
            lower=np.zeros(len(values)),
            upper=np.zeros(len(values)),
            times=times,
            reasons=reasons(
                codes,
                bad=[f"{alert} is firing" for alert in alerts],
                ok=[f"{alert} is resolved" for alert in alerts],
                unknown=[f"nobody can tell whether {alert} is still firing" for alert in alerts],
            ),
        )

    def band(self, matrix: Matrix, params: registry.Params) -> Band:
        return Band(lower=np.zeros(matrix.values.shape), upper=np.zeros(matrix.values.shape))


def _title(labels: Labels) -> str:
    name = labels.get("alertname", "")
    return f"alert {name}" if name else "the alert"
