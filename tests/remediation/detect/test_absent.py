from __future__ import annotations

import math

import pytest

from remediation.detect.absent import Absent
from remediation.states import Code

from .matrices import matrix


@pytest.mark.parametrize(
    ("rows", "alive", "code", "reason"),
    [
        ([], True, Code.BAD, "no series is there, and the source holds others"),
        ([], False, Code.UNKNOWN, "no series is there, but the source holds no other samples either"),
        ([[1.0]], True, Code.OK, "1 series is there"),
        ([[1.0], [0.0]], True, Code.OK, "2 series are there"),
        ([[math.nan]], True, Code.OK, "1 series is there"),
        ([[1.0]], False, Code.OK, "1 series is there"),
    ],
)
def test_absent_is_one_verdict_about_all(rows: list[list[float]], alive: bool, code: Code, reason: str) -> None:
    detector = Absent()
    found = detector.judge(matrix(rows, alive=alive), detector.parse({"labels": {"service": "cart"}}))
    assert found.labels == ({"service": "cart"},)
    assert (list(found.codes), found.reasons) == ([code], (reason,))


def test_absent_asks_whether_the_source_is_alive() -> None:
    assert Absent.needs_liveness
    assert Absent.parse({}).model_dump() == {"labels": {}}
