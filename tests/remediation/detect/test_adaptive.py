from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from remediation.detect.adaptive import Adaptive
from remediation.series import Floats
from remediation.states import Code

DAY = 288
"""Points of five minutes."""
START = 1_767_225_600.0
NOISE = np.random.default_rng(7).normal(0, 1, 14 * DAY)
AT = np.arange(14 * DAY)
SHAPES: dict[str, Floats] = {
    "noise": 100 + 5 * NOISE,
    "daily": 100 + 40 * np.sin(2 * np.pi * AT / DAY) + 3 * NOISE,
    "skewed": np.exp(2 + 0.5 * NOISE),
    "trend": 50 + 0.01 * AT + NOISE,
    "few values": np.round(2 + 0.7 * NOISE),
}


def run(values: Floats, *, step: float = 300.0, **params: Any) -> tuple[Floats, list[str]]:
    """The scores of one series, and the reasons of its alarms and last points."""
    detector = Adaptive()
    stream = detector.stream(detector.parse(params), 1)
    scores, reasons = [], []
    for at, value in enumerate(values):
        scores.append(stream.update(np.array([START + step * at]), np.array([value])).scores[0])
        told = at == 30 or at >= len(values) - 20 or scores[-1] >= 1
        reasons.append(stream.reasons()[0] if told else "")
    return np.array(scores), reasons


def openings(scores: Floats) -> int:
    """Alarms, an hour of quiet between them."""
    bad = np.flatnonzero(scores >= 1)
    return int(np.sum(np.diff(bad, prepend=-1000) > 12))


@pytest.mark.parametrize(("shape", "most"), [(shape, 4 if shape == "skewed" else 2) for shape in SHAPES])
def test_adaptive_keeps_about_to_one_false_alarm_a_week(shape: str, most: int) -> None:
    """In two weeks."""
    scores, _ = run(SHAPES[shape])
    assert openings(scores) <= most


@pytest.mark.parametrize("shape", ["noise", "daily", "trend"])
@pytest.mark.parametrize("sign", [1, -1])
def test_adaptive_finds_a_fault_it_never_saw(shape: str, sign: int) -> None:
    values = SHAPES[shape].copy()
    values[-20:] += sign * 120
    scores, reasons = run(values)
    assert scores[-20] >= 1.2
    assert f"scales {'above' if sign > 0 else 'below'} the usual" in reasons[-20]
    assert ", one in " in reasons[-20] and " for this series; nearest before: " in reasons[-20]
    assert reasons[-20].endswith("clear enough to act")


def test_adaptive_finds_a_small_shift_that_lasts() -> None:
    """Of one and a half standard deviations: no single value of it is odd."""
    values = SHAPES["noise"].copy()
    values[-DAY:] += 7.5
    scores, reasons = run(values)
    assert openings(scores[-DAY:]) >= 1
    found = [reason for reason, score in zip(reasons[-DAY:], scores[-DAY:], strict=True) if score >= 1]
    assert all("the mean of about 48 points has hardly been so far above it" in reason for reason in found)


def test_adaptive_misses_a_daily_peak_that_does_not_come() -> None:
    """Its values are all usual, but not at this time of day."""
    values = np.where(AT % DAY >= DAY // 2, 80.0, 20.0) + NOISE
    values[10 * DAY : 11 * DAY] = 20 + NOISE[:DAY]
    scores, _ = run(values)
    late = 10 * DAY + DAY // 2
    assert openings(scores[6 * DAY : late]) == 0
    assert np.any(scores[late : late + 12] >= 1)


def test_adaptive_gets_to_know_the_weekend() -> None:
    at = np.arange(28 * 96)
    weekend = at // 96 % 7 >= 5
    values = np.where(weekend, 40.0, 100.0) + 30 * np.sin(2 * np.pi * at / 96) + np.resize(NOISE, len(at))
    scores, _ = run(values, step=900.0)
    assert openings(scores[14 * 96 :]) == 0


def test_adaptive_follows_a_lasting_shift() -> None:
    values = SHAPES["noise"].copy()
    values[6 * DAY :] += 200
    scores, _ = run(values)
    assert scores[6 * DAY] >= 1.2
    assert np.all(scores[11 * DAY :] < 1)


def test_adaptive_gets_used_to_what_recurs() -> None:
    values = SHAPES["noise"].copy()
    values[5 * DAY :: DAY // 2] += 150
    scores, _ = run(values)
    assert scores[5 * DAY] >= 1
    assert openings(scores[8 * DAY :]) <= 3  # of 12


def test_adaptive_judges_the_rate_of_a_counter_and_minds_no_reset() -> None:
    rate = SHAPES["noise"].copy()
    counter = np.cumsum(rate * 300)
    counter[3000:] -= counter[2999]
    scores, reasons = run(counter)
    assert np.all(np.nan_to_num(scores[2990:3100]) < 1)
    rate[-3:] = 0
    counter = np.cumsum(rate * 300)
    scores, reasons = run(counter)
    assert np.all(scores[-3:] >= 1)
    assert "0 per second is" in reasons[-1]


def test_adaptive_takes_a_gauge_that_fell_late_for_a_gauge() -> None:
    values = np.concatenate([np.arange(100.0), np.arange(100.0, 0, -1), np.full(100, 1.0)])
    scores, _ = run(values)
    assert np.isnan(scores[101]) and not np.isnan(scores[-1])


@pytest.mark.parametrize(
    ("params", "bad"),
    [
        ({"direction": "high"}, True),
        ({"direction": "low"}, False),
        ({"minimum_effect": 119.0}, True),
        ({"minimum_effect": 150.0}, False),
    ],
)
def test_adaptive_watches_what_it_is_asked_to(params: dict[str, Any], bad: bool) -> None:
    values = SHAPES["noise"].copy()
    values[-1] = 230
    scores, _ = run(values[-3 * DAY :], **params)
    assert bool(scores[-1] >= 1) is bad


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_adaptive_neither_judges_infinity_nor_learns_it(value: float) -> None:
    values = SHAPES["noise"][: 2 * DAY].copy()
    values[-10] = value
    scores, reasons = run(values)
    assert np.isnan(scores[-10])
    assert reasons[-10] == "no fresh sample, or one that is no finite number"
    assert np.all(scores[-9:] < 1)


def test_adaptive_is_unknown_while_it_warms_up() -> None:
    scores, reasons = run(SHAPES["noise"][:100])
    assert np.all(np.isnan(scores[:59])) and not np.any(np.isnan(scores[59:]))
    assert reasons[30] == f"{SHAPES['noise'][30]:.4g} after 19 usable points; 48 are needed to know what is usual"


def test_adaptive_widens_after_a_gap() -> None:
    values = SHAPES["daily"].copy()
    values[3 * DAY : 3 * DAY + 100] = np.nan
    scores, _ = run(values[: 4 * DAY])
    assert np.all(np.nan_to_num(scores) < 1)


def test_adaptive_band_holds_what_is_usual() -> None:
    detector = Adaptive()
    stream = detector.stream(detector.parse({}), 1)
    inside = 0
    for at, value in enumerate(SHAPES["daily"]):
        found = stream.update(np.array([START + 300.0 * at]), np.array([value]))
        inside += bool(found.lower[0] <= value <= found.upper[0])
        if found.codes[0] == Code.BAD and "the mean of about" not in stream.reasons()[0]:
            assert not found.lower[0] < value < found.upper[0]
    assert inside > 0.98 * (len(SHAPES["daily"]) - 60)
