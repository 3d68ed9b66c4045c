from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from remediation.detect.base import Verdicts
from remediation.detect.seasonal import Seasonal
from remediation.series import Floats, Matrix
from remediation.states import Code

QUARTERS = 96
"""Of an hour, in a day."""


def history(days: int) -> Floats:
    """A day's wave with weekends at a third, and a little noise. The last point is a Monday's noon."""
    at = np.arange(days * QUARTERS + 1) - days * QUARTERS
    day = np.floor(at / QUARTERS + 0.5)
    weekend = np.isin(day % 7, [5, 6])
    wave = 100 + 50 * np.cos(2 * np.pi * at / QUARTERS)
    noise = np.random.default_rng(3).normal(0, 1, len(at))
    found: Floats = np.where(weekend, wave / 3, wave) + noise
    return found


def judge(values: Floats, **params: Any) -> Verdicts:
    detector = Seasonal()
    times: Floats = 1.7e9 + np.arange(len(values), dtype=np.float64) * 900
    matrix = Matrix(labels=({},), times=times, values=values[None, :], now=float(times[-1]))
    return detector.judge(matrix, detector.parse(params))


@pytest.mark.parametrize(
    ("days", "last", "code"),
    [(28, 150.0, Code.OK), (28, 50.0, Code.BAD), (28, 200.0, Code.BAD), (7, 150.0, Code.OK), (2, 150.0, Code.UNKNOWN)],
)
def test_seasonal_compares_with_the_same_time(days: int, last: float, code: Code) -> None:
    values = history(days)
    values[-1] = last
    assert judge(values).codes[0] == code


def test_seasonal_knows_weekdays_when_there_are_enough_weeks() -> None:
    values = history(29)[:-QUARTERS]
    assert "of this weekday" not in judge(values[-10 * QUARTERS :]).reasons[0]
    found = judge(history(28))
    assert found.reasons[0].startswith("149.4 is near the usual") or "at this time of this weekday" in found.reasons[0]


def test_seasonal_of_a_weekend_needs_weeks_not_days() -> None:
    values = history(27)  # the point before the last lies on a Sunday when one day is taken off
    sunday = values[:-QUARTERS]
    assert judge(sunday).codes[0] == Code.OK


def test_seasonal_passes_over_gaps() -> None:
    values = history(28)
    values[5 * QUARTERS : 9 * QUARTERS] = np.nan
    values[-1] = 30
    found = judge(values)
    assert found.codes[0] == Code.BAD
    values[-20 * QUARTERS : -QUARTERS // 2] = np.nan
    assert judge(values[-20 * QUARTERS - 1 :]).reasons[0].startswith("only ")


def test_seasonal_needs_an_effect_when_told() -> None:
    values = history(28)
    values[-1] = 200
    assert judge(values, minimum_effect=60).codes[0] == Code.OK
    assert judge(values, direction="low").codes[0] == Code.OK
