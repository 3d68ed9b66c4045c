from __future__ import annotations

import dataclasses
import math

from remediation.detect.firing_alert import FiringAlert
from remediation.states import Code

from .matrices import matrix


def test_firing_alert_reads_one_zero_and_nothing() -> None:
    detector = FiringAlert()
    given = matrix([[1.0], [0.0], [math.nan], [1.0]])
    given = dataclasses.replace(given, labels=(*({"alertname": name} for name in "ABC"), {"service": "cart"}))
    found = detector.judge(given, detector.parse({}))
    assert detector.source == "alerts"
    assert list(found.codes) == [Code.BAD, Code.OK, Code.UNKNOWN, Code.BAD]
    assert list(found.scores[:2]) == [1.0, 0.0]
    assert found.reasons == (
        "alert A is firing",
        "alert B is resolved",
        "nobody can tell whether alert C is still firing",
        "the alert is firing",
    )
