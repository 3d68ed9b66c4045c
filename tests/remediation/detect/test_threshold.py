from __future__ import annotations

import math

import numpy as np
import pytest

from remediation.detect.threshold import Threshold
from remediation.exceptions import ConfigurationError
from remediation.states import Code

from .matrices import NOW, matrix

INF, NAN = math.inf, math.nan
NO_SAMPLE = "no fresh sample, or one that is no finite number"


@pytest.mark.parametrize(
    ("op", "limit", "value", "code", "score", "reason"),
    [
        (">", 0.1, 0.25, Code.BAD, 2.5, "0.25 is above 0.1"),
        (">", 0.1, 0.1, Code.OK, 1.0, "0.1 is at or below 0.1"),
        (">=", 0.1, 0.1, Code.BAD, 1.0, "0.1 is at or above 0.1"),
        (">", 10, INF, Code.UNKNOWN, NAN, NO_SAMPLE),
        (">", 10, -INF, Code.UNKNOWN, NAN, NO_SAMPLE),
        ("<", 1, 0, Code.BAD, 2.0, "0 is below 1"),
        ("<", 1, 1, Code.OK, 1.0, "1 is at or above 1"),
        ("<=", 1, 1, Code.BAD, 1.0, "1 is at or below 1"),
        ("<=", 0, 3, Code.OK, 0.0, "3 is above 0"),
        ("==", 0, 0, Code.BAD, 1.0, "0 is exactly 0"),
        ("==", 0, 2, Code.OK, 0.0, "2 is other than 0"),
        ("!=", 1, 3, Code.BAD, 3.0, "3 is other than 1"),
        ("!=", 1, 1, Code.OK, 0.0, "1 is exactly 1"),
        (">", 1e6, 1234567.8, Code.BAD, 1.2345678, "1,234,568 is above 1,000,000"),
        (">", 1, NAN, Code.UNKNOWN, NAN, NO_SAMPLE),
    ],
)
def test_threshold(  # noqa: PLR0917 - a table
    op: str, limit: float, value: float, code: Code, score: float, reason: str
) -> None:
    detector = Threshold()
    found = detector.judge(matrix([[value]]), detector.parse({"op": op, "value": limit}))
    assert (found.codes[0], found.reasons) == (code, (reason,))
    np.testing.assert_allclose(found.scores, [score])
    np.testing.assert_array_equal(found.times, [NAN if code is Code.UNKNOWN else NOW])


@pytest.mark.parametrize(
    ("op", "band"),
    [
        (">", (-INF, 5)),
        (">=", (-INF, 5)),
        ("<", (5, INF)),
        ("<=", (5, INF)),
        ("!=", (5, 5)),
        ("==", (-INF, INF)),
    ],
)
def test_threshold_band_is_the_good_side(op: str, band: tuple[float, float]) -> None:
    detector = Threshold()
    found = detector.band(matrix([[1, NAN], [2, 3]]), detector.parse({"op": op, "value": 5}))
    np.testing.assert_array_equal(found.lower, np.full((2, 2), band[0]))
    np.testing.assert_array_equal(found.upper, np.full((2, 2), band[1]))


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"op": "~", "value": 1}, "op"),
        ({"op": ">"}, "value"),
        ({"op": ">", "value": INF}, "value"),
        ({"op": ">", "value": 1, "clear": 2}, "clear"),
    ],
)
def test_threshold_wrong_params_name_the_field(params: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Threshold: {field}: "):
        Threshold.parse(params)
