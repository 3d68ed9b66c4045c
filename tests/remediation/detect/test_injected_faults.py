"""Faults put into series, one table per detector that is not about a single value: found, explained, and not before."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from remediation import registry
from remediation.detect.base import Verdicts
from remediation.exceptions import ConfigurationError
from remediation.series import Floats, Labels, Matrix
from remediation.states import Code

NAN = math.nan
NOISE = np.random.default_rng(11).normal(0, 1, 4000)
OK, BAD, UNKNOWN = Code.OK, Code.BAD, Code.UNKNOWN


def judge(name: str, rows: Any, *, step: float, labels: tuple[Labels, ...] | None = None, **params: Any) -> Verdicts:
    detector = registry.detector(name)
    values = np.atleast_2d(np.array(rows, dtype=np.float64))
    times: Floats = 1.7e9 + np.arange(values.shape[1], dtype=np.float64) * step
    own = labels or tuple({"instance": str(row)} for row in range(len(values)))
    matrix = Matrix(labels=own, times=times, values=values, now=float(times[-1]))
    return detector.judge(matrix, detector.parse(params))


def shifted(points: int, by: float, *, count: int = 240, level: float = 100.0) -> Floats:
    values = level + NOISE[:count]
    values[count - points :] += by
    return values


@pytest.mark.parametrize(
    ("points", "by", "params", "code"),
    [
        (0, 0, {}, OK),
        (8, 8, {}, BAD),
        (8, -8, {}, BAD),
        (8, 8, {"direction": "low"}, OK),
        (8, 8, {"minimum_effect": 20}, OK),
        (1, 3, {}, OK),
        (40, 2.5, {"smoothing_s": 600, "skip_s": 600}, BAD),
    ],
)
def test_ewma_sees_small_moves_that_last(points: int, by: float, params: dict[str, Any], code: Code) -> None:
    assert judge("ewma", shifted(points, by), step=15, **params).codes[0] == code


@pytest.mark.parametrize(
    ("points", "by", "params", "code"),
    [
        (0, 0, {}, OK),
        (12, 10, {}, BAD),
        (3, 10, {}, OK),  # fewer than half of the recent part
        (12, 10, {"watch": "spread"}, OK),
        (12, 10, {"minimum_effect": 15}, OK),
        (12, 10, {"direction": "low"}, OK),
    ],
)
def test_change_point_of_the_level(points: int, by: float, params: dict[str, Any], code: Code) -> None:
    assert judge("change_point", shifted(points, by), step=60, **params).codes[0] == code


def test_change_point_of_the_spread() -> None:
    values = shifted(0, 0)
    values[-15:] = 100 + 20 * NOISE[:15]
    found = judge("change_point", values, step=60)
    assert found.codes[0] == BAD
    assert found.reasons[0].startswith("the spread went from ")
    assert judge("change_point", values, step=60, watch="level").codes[0] == OK


def filling(per_hour: float, *, left: float, hours: float = 6, season: float = 0) -> Floats:
    """What is left of something, five minutes apart."""
    at = np.arange(-hours, 1e-9, 1 / 12)
    found: Floats = left - per_hour * at + 0.05 * NOISE[: len(at)] + season * np.sin(2 * np.pi * at / 24)
    return found


@pytest.mark.parametrize(
    ("values", "params", "code"),
    [
        (filling(1, left=10), {}, BAD),
        (filling(1, left=100), {}, OK),
        (filling(-1, left=10), {}, OK),
        (filling(0, left=10), {}, OK),
        (filling(1, left=10), {"within_s": 3600}, OK),
        (filling(1, left=10), {"limit": 9.5, "within_s": 3600}, BAD),
        (100 - filling(1, left=10), {"limit": 100, "reached": "rising"}, BAD),
        (100 - filling(1, left=10), {"limit": 100}, BAD),  # below it already
        (filling(1, left=10)[-10:], {}, UNKNOWN),
        (filling(1, left=30, hours=72, season=15), {"daily": True, "window_s": 259_200, "within_s": 172_800}, BAD),
        (filling(0, left=30, hours=72, season=15), {"daily": True, "window_s": 259_200, "within_s": 172_800}, OK),
    ],
)
def test_exhaustion(values: Floats, params: dict[str, Any], code: Code) -> None:
    assert judge("exhaustion", values, step=300, **params).codes[0] == code


def test_exhaustion_is_not_turned_by_a_third_of_wrong_points() -> None:
    values = filling(1, left=10)
    values[::4] = 1000
    found = judge("exhaustion", values, step=300)
    assert found.codes[0] == BAD
    assert "reaches 0 in" in found.reasons[0]


def test_exhaustion_with_a_daily_rhythm_needs_days() -> None:
    with pytest.raises(ConfigurationError, match="two days"):
        registry.detector("exhaustion").parse({"daily": True})


@pytest.mark.parametrize(
    ("values", "params", "codes"),
    [
        ([10, 10.2, 9.9, 30, 10.1], {}, [OK, OK, OK, BAD, OK]),
        ([100, 102, 99, 30, 101], {"direction": "high"}, [OK] * 5),
        ([10, 10.2, 9.9, 30, 10.1], {"minimum_effect": 25}, [OK] * 5),
        ([10, 10, 30], {}, [UNKNOWN] * 3),
        ([10, NAN, NAN, 30, 10.1], {}, [UNKNOWN] * 5),
        ([0, 0, 0, 5, 0], {}, [OK, OK, OK, UNKNOWN, OK]),
        ([0, 0, 0, 5, 0], {"minimum_effect": 1}, [OK, OK, OK, BAD, OK]),
        ([10, 10.2, 9.9, math.inf, 10.1], {}, [OK, OK, OK, UNKNOWN, OK]),
    ],
)
def test_peer(values: list[float], params: dict[str, Any], codes: list[Code]) -> None:
    found = judge("peer", [[value] * 5 for value in values], step=15, **params)
    assert list(found.codes) == codes


def test_peer_compares_only_siblings() -> None:
    labels = tuple({"job": job, "instance": str(at)} for job in ("a", "b") for at in range(4))
    rows = [[10.0]] * 4 + [[500.0]] * 3 + [[50.0]]
    found = judge("peer", rows, step=15, labels=labels, by=["job"])
    assert list(found.codes) == [OK] * 7 + [BAD]
    assert found.reasons[-1].startswith("50 differs from the 500 of 3 siblings by ")


@pytest.mark.parametrize(
    ("values", "params", "code"),
    [
        ([100.0] * 16, {}, OK),
        ([100.0] * 15 + [151.0], {}, BAD),
        ([100.0] * 15 + [49.0], {}, BAD),
        ([100.0] * 15 + [49.0], {"direction": "high"}, OK),
        ([100.0] * 15 + [151.0], {"minimum_effect": 60}, OK),
        ([100.0] * 15 + [151.0], {"relative": False, "limit": 60}, OK),
        ([100.0] * 3 + [151.0], {}, UNKNOWN),
        ([0.0] * 15 + [1.0], {}, UNKNOWN),
        ([0.0] * 15 + [1.0], {"minimum_effect": 0.5}, BAD),
        ([float(90 + at) for at in range(14)] + [0.0, 1.0], {"counter": True, "limit": 20}, OK),
        ([float(90 + 3 * at) for at in range(14)] + [0.0, 3.0], {"counter": True, "limit": 20}, BAD),
    ],
)
def test_rate_of_change(values: list[float], params: dict[str, Any], code: Code) -> None:
    assert judge("rate_of_change", values, step=60, **params).codes[0] == code


@pytest.mark.parametrize(
    ("values", "params", "code"),
    [
        ([*range(40)], {}, OK),
        ([*range(9), *[7.0] * 31], {}, BAD),
        ([*range(9), *[7.0] * 30], {}, OK),
        ([*range(9), *[7.0, NAN] * 15, 7.0], {}, BAD),
        ([*range(9), *[7.0, 7.1] * 15, 7.0], {"tolerance": 0.2}, BAD),
        ([*range(9), *[0.0] * 31], {"idle": 0}, OK),
        ([7.0] * 20, {}, UNKNOWN),
        ([*range(20), *[NAN] * 11], {}, UNKNOWN),
        ([*range(20), *[NAN] * 11], {"stale_after_s": 600}, BAD),
        ([*range(20), *[NAN] * 10], {"stale_after_s": 600}, UNKNOWN),
        ([NAN] * 40, {"stale_after_s": 600}, UNKNOWN),
    ],
)
def test_flatline(values: list[float], params: dict[str, Any], code: Code) -> None:
    assert judge("flatline", values, step=60, **params).codes[0] == code


def errors(share: float, minutes: int, *, of: int = 360, before: float = 0.0) -> list[float]:
    """A ratio per minute, bad for the last minutes."""
    return [before] * (of - minutes) + [share] * minutes


@pytest.mark.parametrize(
    ("values", "params", "code"),
    [
        (errors(0, 0), {}, OK),
        (errors(0.02, 60), {}, BAD),  # 20 times the budget for an hour
        (errors(0.02, 40), {}, OK),  # not 14.4 times over the hour yet
        (errors(0.02, 45), {}, BAD),
        (errors(0.5, 10), {}, BAD),  # burnt 83 times in the hour already
        ([*errors(0.5, 10), *[0.0] * 31], {}, OK),  # it is over
        (errors(0.007, 355), {}, BAD),  # 7 times over six hours
        (errors(0.005, 355), {}, OK),
        (errors(0.02, 60), {"objective": 0.99}, OK),
        (errors(0.0012, 4320, of=4320), {"speed": "ticket"}, BAD),
        (errors(0.02, 20, of=20), {}, UNKNOWN),
        (errors(0.02, 40, of=40), {}, BAD),
    ],
)
def test_burn_rate_of_a_ratio(values: list[float], params: dict[str, Any], code: Code) -> None:
    assert judge("burn_rate", values, step=60, **params).codes[0] == code


def test_burn_rate_of_a_pair_weighs_minutes_by_their_traffic() -> None:
    labels: tuple[Labels, ...] = ({"service": "cart", "sli": "bad"}, {"service": "cart", "sli": "all"})
    quiet = [1.0] * 60 + [100.0] * 60
    wrong = [1.0] * 60 + [0.0] * 60
    found = judge("burn_rate", [wrong, quiet], step=60, labels=labels)
    assert (found.labels, list(found.codes)) == (({"service": "cart"},), [OK])
    assert list(judge("burn_rate", [quiet, quiet], step=60, labels=labels).codes) == [BAD]
    assert list(judge("burn_rate", [[NAN] * 120, quiet], step=60, labels=labels).codes) == [OK]
    assert list(judge("burn_rate", [quiet, quiet], step=60, labels=labels, minimum_traffic=500).codes) == [UNKNOWN]
    assert list(judge("burn_rate", [wrong, [0.0] * 120], step=60, labels=labels).codes) == [OK]
    assert list(judge("burn_rate", [wrong], step=60, labels=labels[:1]).codes) == [UNKNOWN]


@pytest.mark.parametrize(
    ("values", "params", "code"),
    [
        ([1, 6, 4], {"clear": 3}, BAD),
        ([1, 6, 4], {"clear": 5}, OK),
        ([1, 4], {"clear": 3}, OK),
        ([6, 2, 4], {"clear": 3}, OK),
        ([6, 3, 4], {"clear": 3}, OK),
        ([6, NAN, 4], {"clear": 3}, BAD),
        ([6, 4, NAN], {"clear": 3}, UNKNOWN),
        ([6, *[4] * 10], {"clear": 3, "window_s": 60}, OK),
        ([4, 6], {"clear": 7, "op": "<"}, BAD),
    ],
)
def test_threshold_clears_later_than_it_fires(values: list[float], params: dict[str, Any], code: Code) -> None:
    asked: dict[str, Any] = {"op": ">", "value": 5} | params
    found = judge("threshold", values, step=15, **asked)
    assert found.codes[0] == code


def test_threshold_says_that_it_has_not_cleared() -> None:
    found = judge("threshold", [6, 4], step=15, op=">", value=5, clear=3)
    assert found.reasons == ("4 has not come back to 3 since it was bad",)
    with pytest.raises(ConfigurationError, match=r"Threshold: clear: .*good side"):
        registry.detector("threshold").parse({"op": ">", "value": 5, "clear": 6})
