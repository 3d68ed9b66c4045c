from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from remediation.detect.base import Verdicts
from remediation.detect.wording import span
from remediation.detect.zscore import Zscore
from remediation.exceptions import ConfigurationError
from remediation.states import Code

from .matrices import matrix

NAN = math.nan
WAVE = [100 + 10 * math.sin(point) for point in range(236)]
"""Around 100; the MAD of a sine is 0.707 of its height, so that one scale is about 10.5."""


def judge(row: list[float], **params: Any) -> Verdicts:
    detector = Zscore()
    return detector.judge(matrix([row]), detector.parse(params))


def with_last(value: float, history: list[float] = WAVE) -> list[float]:
    """History, then the minute that is skipped, then the value that is judged."""
    return [*history, *[value] * 4, value]


@pytest.mark.parametrize(
    ("value", "params", "code"),
    [
        (150.0, {}, Code.OK),
        (170.0, {}, Code.BAD),
        (30.0, {}, Code.BAD),
        (30.0, {"direction": "high"}, Code.OK),
        (30.0, {"direction": "low"}, Code.BAD),
        (170.0, {"direction": "low"}, Code.OK),
        (170.0, {"limit": 8}, Code.OK),
        (170.0, {"minimum_effect": 100}, Code.OK),
        (210.0, {"minimum_effect": 100}, Code.BAD),
        (math.inf, {}, Code.UNKNOWN),
        (-math.inf, {"direction": "low"}, Code.UNKNOWN),
        (-math.inf, {"direction": "high"}, Code.UNKNOWN),
        (NAN, {}, Code.UNKNOWN),
    ],
)
def test_zscore(value: float, params: dict[str, Any], code: Code) -> None:
    assert judge(with_last(value), **params).codes[0] == code


def test_zscore_says_what_and_by_how_much() -> None:
    found = judge(with_last(200.0), limit=5)
    assert found.reasons == ("200 is above the median 100.3 of the last 1 h by 1.925 times what is allowed",)
    assert found.scores[0] == pytest.approx((200 - 100.3) / (found.upper[0] - 100.3), rel=1e-3)
    assert judge(with_last(101.0)).reasons == ("101 is as near as usual to the median 100.3 of the last 1 h",)


def test_zscore_of_a_fault_under_way_does_not_call_it_normal() -> None:
    """Ten minutes of fault in an hour of history: still bad."""
    assert judge([*WAVE[:200], *[300.0] * 40]).codes[0] == Code.BAD


def test_zscore_leaves_the_judged_point_out() -> None:
    """With three points of history and none skipped, one outlier would hide itself if it were learnt."""
    assert judge([1, 2, 3, 50], skip_s=0, minimum_points=3).codes[0] == Code.BAD


@pytest.mark.parametrize(
    ("history", "points"), [([1.0] * 10, 10), ([1.0] * 10 + [NAN] * 100, 10), ([math.inf] * 100 + [1.0] * 9, 9)]
)
def test_zscore_with_little_history_is_unknown(history: list[float], points: int) -> None:
    found = judge(with_last(5.0, history))
    assert found.codes[0] == Code.UNKNOWN
    assert found.reasons == (f"only {points} points of history, 30 are needed",)
    assert np.isnan(found.lower[0]) and np.isnan(found.upper[0])


@pytest.mark.parametrize(
    ("history", "value", "params", "code"),
    [
        ([50.0] * 100, 52.0, {}, Code.OK),  # 4 %: below 6 times the floor of 1 %
        ([50.0] * 100, 54.0, {}, Code.BAD),
        ([-50.0] * 100, -54.0, {}, Code.BAD),
        ([0.0] * 100, 0.0, {}, Code.OK),
        ([0.0] * 100, 0.1, {}, Code.UNKNOWN),  # nobody knows how much is much
        ([0.0] * 100, 0.1, {"minimum_effect": 1}, Code.OK),
        ([0.0] * 100, 2.0, {"minimum_effect": 1}, Code.BAD),
        ([0.0] * 90 + [5.0] * 10, 3.5, {}, Code.OK),  # MAD 0: the mean absolute deviation serves
        ([0.0] * 90 + [5.0] * 10, 50.0, {}, Code.BAD),
    ],
)
def test_zscore_of_a_series_that_hardly_moves(
    history: list[float], value: float, params: dict[str, Any], code: Code
) -> None:
    assert judge(with_last(value, history), **params).codes[0] == code


def test_zscore_of_nothing_but_zero_asks_for_a_minimum_effect() -> None:
    found = judge(with_last(0.1, [0.0] * 100))
    assert found.reasons == ("0.1 after nothing but 0: a minimum effect would tell how much is much",)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"window_s": 60, "step_s": 15}, "history less skip holds 0 points, fewer than the minimum points"),
        ({"window_s": 864000, "step_s": 15}, "more than 10,000 points"),
        ({"limit": 0}, "limit: "),
        ({"direction": "up"}, "direction: "),
    ],
)
def test_zscore_params_must_fit_together(params: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Zscore.parse(params)


def test_zscore_of_a_thousand_series_is_quick() -> None:
    detector = Zscore()
    many = matrix(np.random.default_rng(1).normal(100, 5, (1000, 241)).tolist())
    begun = time.perf_counter()
    detector.judge(many, detector.parse({}))
    assert time.perf_counter() - begun < 0.5  # 25 ms on a quiet core


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(45, "45 s"), (60, "1 min"), (90, "90 s"), (3600, "1 h"), (5400, "90 min"), (604800, "7 d"), (0.5, "0.5 s")],
)
def test_a_span_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert span(seconds) == words
