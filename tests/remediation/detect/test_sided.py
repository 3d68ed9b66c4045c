"""Direction and minimum effect mean the same in every detector that has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from remediation import registry
from remediation.detect.baseline import MAD_TO_SIGMA
from remediation.series import Floats, Labels, Matrix
from remediation.states import Code

DAY = 86_400.0
OK, BAD = Code.OK, Code.BAD
NOISE = np.random.default_rng(5).normal(0, 0.1, (5, 4000))
SIDED = ("adaptive", "change_point", "ewma", "peer", "rate_of_change", "seasonal", "zscore")


def judged(name: str, values: Floats, *, step_s: float, **params: Any) -> Code:
    """The verdict on the first series."""
    detector = registry.detector(name)
    times: Floats = 1.7e9 - 1.7e9 % DAY + np.arange(values.shape[1], dtype=np.float64) * step_s
    labels: tuple[Labels, ...] = tuple({"instance": str(row)} for row in range(len(values)))
    matrix = Matrix(labels=labels, times=times, values=values, now=float(times[-1]))
    return Code(int(detector.judge(matrix, detector.parse(params)).codes[0]))


def moved(name: str, by: float) -> tuple[Floats, dict[str, Any]]:
    """Series at 100 of which the first moves by so much in the end; the step, and what this detector needs."""
    step_s, points, last = {
        "change_point": (60.0, 241, 12),
        "rate_of_change": (60.0, 16, 1),
        "seasonal": (900.0, 96 * 6, 1),
        "adaptive": (300.0, 600, 6),
        "peer": (15.0, 21, 21),
    }.get(name, (15.0, 241, 8))
    values = 100 + NOISE[:, :points]
    values[0, points - last :] += by
    own: dict[str, Any] = {
        "seasonal": {"window_s": 6 * DAY},
        "rate_of_change": {"limit": 0.05},
        "peer": {"tolerance": 0.01},
    }.get(name, {})
    return values, own | {"step_s": step_s}


@pytest.mark.parametrize("name", SIDED)
@pytest.mark.parametrize(
    ("by", "direction", "minimum_effect", "code"),
    [
        (20, "both", 0, BAD),
        (-20, "both", 0, BAD),
        (20, "high", 0, BAD),
        (-20, "high", 0, OK),
        (20, "low", 0, OK),
        (-20, "low", 0, BAD),
        (20, "high", 10, BAD),
        (20, "high", 25, OK),
        (-20, "low", 10, BAD),
        (-20, "both", 25, OK),
    ],
)
def test_a_move_is_bad_to_the_side_that_is_watched_and_from_the_size_that_matters(
    name: str, by: float, direction: str, minimum_effect: float, code: Code
) -> None:
    values, params = moved(name, by)
    assert judged(name, values, direction=direction, minimum_effect=minimum_effect, **params) == code


@pytest.mark.parametrize("name", SIDED)
def test_they_are_asked_for_alike(name: str) -> None:
    schema = registry.detector(name).Params.model_json_schema()["properties"]
    direction, effect = schema["direction"], schema["minimum_effect"]
    assert (direction["title"], direction["enum"], direction["default"]) == (
        "Direction",
        ["high", "low", "both"],
        "both",
    )
    assert direction["description"] == "Whether values that are too high, too low or both are bad."
    assert (effect["title"], effect["default"], effect["minimum"]) == ("Minimum effect", 0.0, 0)
    assert "are never bad, however odd. In the unit of the query" in effect["description"]


def test_no_other_detector_compares_with_something_expected() -> None:
    found = registry.detectors()
    assert {name for name in found if "direction" in found[name].Params.model_fields} == set(SIDED)
    effect = {name for name in found if "minimum_effect" in found[name].Params.model_fields}
    assert effect == {*SIDED, "exhaustion"}


@pytest.mark.parametrize(
    ("scale", "direction", "minimum_effect", "code"),
    [
        (10.0, "both", 0, BAD),
        (10.0, "high", 0, BAD),
        (10.0, "low", 0, OK),
        (0.1, "both", 0, BAD),
        (0.1, "high", 0, OK),
        (0.1, "low", 0, BAD),
        (10.0, "high", 8.0, BAD),
        (10.0, "high", 9.5, OK),  # the spread is 10, but became so from 1
        (0.1, "low", 0.8, BAD),
        (0.1, "low", 0.95, OK),
    ],
)
def test_direction_and_minimum_effect_hold_for_the_spread(
    scale: float, direction: str, minimum_effect: float, code: Code
) -> None:
    values = np.tile([-1.0, 1.0], 120)[None, :] / MAD_TO_SIGMA
    values[0, -14:] *= scale
    params = {"watch": "spread", "recent_s": 840, "direction": direction, "minimum_effect": minimum_effect}
    assert judged("change_point", values, step_s=60, **params) == code


@pytest.mark.parametrize(("minimum_effect", "code"), [(0, BAD), (5.9, BAD), (6.1, OK)])
def test_a_change_is_measured_as_it_was_seen_for_its_minimum_effect(minimum_effect: float, code: Code) -> None:
    """Over two thirds of the time 6, which comes to 9 over all of it."""
    values = np.array([[np.nan] * 5 + [10.0] * 10 + [16.0]])
    params = {"relative": False, "limit": 7, "minimum_effect": minimum_effect}
    assert judged("rate_of_change", values, step_s=60, **params) == code


@pytest.mark.parametrize(("minimum_effect", "code"), [(0, BAD), (0.6, BAD), (0.8, OK)])
def test_a_trend_that_comes_to_little_is_none(minimum_effect: float, code: Code) -> None:
    """Falls by 0.7 in six hours, with 1 left."""
    values = np.linspace(1.7, 1.0, 73)[None, :]
    assert judged("exhaustion", values, step_s=300, minimum_effect=minimum_effect) == code


def test_what_is_reached_is_bad_however_small_the_trend() -> None:
    values = np.linspace(0.1, 0.0, 73)[None, :]
    assert judged("exhaustion", values, step_s=300, minimum_effect=10) == BAD
