from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediation import registry
from remediation.detect import following
from remediation.detect.base import Verdicts
from remediation.detect.following import Eras, Follower, Followers, Places, follows
from remediation.registry import Params
from remediation.series import Floats, Matrix
from remediation.states import Code

STEP = 15.0
DETECTOR = registry.detector("adaptive")
PARAMS = DETECTOR.parse({"history_s": 40 * STEP, "step_s": STEP, "warm_up_points": 24})
ERAS = Eras.of(DETECTOR, PARAMS, "x")
T0 = 1_767_268_800.0
LATE = 2
"""Columns that a sample may come late."""


def seen(truth: Floats, late: Places, look: int, first: int, *, known: int = 0) -> Matrix:
    """Columns first..look as they are known at the look (or at a later column), with the series that have something
    there."""
    columns = np.arange(first, look + 1)
    values = np.where(columns + late[:, columns] <= max(known, look), truth[:, columns], np.nan)
    there = ~np.isnan(values).all(axis=1)
    return Matrix(
        labels=tuple({"i": str(row)} for row in np.flatnonzero(there)),
        times=np.asarray(T0 + STEP * columns, dtype=np.float64),
        values=values[there],
        now=T0 + STEP * look,
    )


def place_of(time: float) -> int:
    return max(0, math.ceil((time - T0) / STEP - 1e-6))


def by_series(found: Verdicts) -> dict[str, tuple[object, ...]]:
    columns = (found.codes, found.values, found.scores, found.lower, found.upper, found.times)
    rows = zip(*(np.asarray(column).tolist() for column in columns), found.reasons, strict=True)
    return {labels["i"]: tuple(map(repr, row)) for labels, row in zip(found.labels, rows, strict=True)}


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    moves=st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 3, 15, 0, -1, -25]), min_size=10, max_size=25),
    forgets=st.sets(st.integers(0, 25), max_size=2),
)
def test_a_followed_verdict_is_that_of_judging_all_points_since_the_era_began(
    seed: int, moves: list[int], forgets: set[int]
) -> None:
    """Whatever was left out, set back or forgotten, with samples that are late and series that come and go."""
    chance = np.random.default_rng(seed)
    truth = chance.normal(10, 1, (5, 400)) + 60 * (chance.random((5, 400)) < 0.03)
    truth[chance.random(truth.shape) < 0.1] = np.nan
    truth[1, :150], truth[2, 130:], truth[3, 100:190], truth[4] = np.nan, np.nan, np.nan, np.nan
    late: Places = np.asarray(chance.integers(0, LATE + 1, truth.shape), dtype=np.intp)
    follower = Follower(DETECTOR, PARAMS, ERAS)
    look = known = 120
    for number, move in enumerate(moves):
        look = min(max(look + move, 80), 399)
        known = max(known, look)
        now = T0 + STEP * look
        if number in forgets:
            follower = Follower(DETECTOR, PARAMS, ERAS)
        needed = place_of(follower.needs_from(now))
        found = follower.look(seen(truth, late, look, needed, known=known), complete_until=now - LATE * STEP)
        whole = seen(truth, late, look, place_of(ERAS.began(now)), known=known)
        wanted = by_series(DETECTOR.judge(whole, PARAMS))
        listed = {labels["i"] for labels in seen(truth, late, look, look - 40, known=known).labels}
        assert by_series(found) == {name: wanted[name] for name in listed}


def test_a_look_needs_what_is_not_settled_only() -> None:
    follower = Follower(DETECTOR, PARAMS, ERAS)
    truth, late = np.full((1, 400), 5.0), np.zeros((1, 400), dtype=np.intp)
    needed = []
    for look in range(100, 180):
        now = T0 + STEP * look
        first = place_of(follower.needs_from(now))
        needed.append(look - first + 1)
        follower.look(seen(truth, late, look, first), complete_until=now - LATE * STEP)
    assert sum(count > LATE + 1 for count in needed) == 1 + 80 // 20  # at first, and with each era
    assert all(41 <= count <= 61 for count in needed if count > LATE + 1)


def test_more_history_than_a_window_and_less_than_one_and_a_half() -> None:
    spans = [now - ERAS.began(now) for now in np.arange(T0, T0 + 3000, 7.0)]
    assert 40 * STEP <= min(spans) < 41 * STEP and 59 * STEP < max(spans) <= ERAS.reach_s == 60 * STEP


def test_rules_begin_anew_at_different_moments() -> None:
    began = {Eras.of(DETECTOR, PARAMS, f"x{number}").began(T0) for number in range(20)}
    assert len(began) == 20


def test_a_window_of_nearly_all_points_that_may_be_asked_for_has_short_eras() -> None:
    params = DETECTOR.parse({"history_s": 10_000 * STEP, "step_s": STEP})
    assert Eras.of(DETECTOR, params, "x").reach_s == following.MOST_POINTS * STEP


def test_many_groups_begin_anew_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MOST_GROUPS", 3)
    follower = Follower(DETECTOR, PARAMS, Eras(window_s=40 * STEP, step_s=STEP, stagger_s=T0 + 90 * STEP))
    truth, late = np.full((10, 400), np.nan), np.zeros((10, 400), dtype=np.intp)
    for row in range(10):
        truth[row, 91 + row :] = 5.0
    anew = []
    for look in range(91, 101):
        now = T0 + STEP * look
        if follower.begins_anew(now):
            anew.append(look)
        found = follower.look(seen(truth, late, look, place_of(follower.needs_from(now))), complete_until=now - STEP)
        assert len(found.labels) == look - 90
    assert anew == [91, 95, 99]


def test_what_is_kept_is_not_changed_by_a_look() -> None:
    """The newest point is learnt once it is complete, however often it is looked at."""
    follower = Follower(DETECTOR, PARAMS, ERAS)
    truth, late = np.random.default_rng(1).normal(10, 1, (2, 400)), np.zeros((2, 400), dtype=np.intp)
    truth[:, 120] = 90.0
    now = T0 + STEP * 120
    found = [
        follower.look(seen(truth, late, 120, place_of(follower.needs_from(now))), complete_until=now) for _ in range(3)
    ]
    assert by_series(found[0]) == by_series(found[1]) == by_series(found[2])
    assert found[0].codes.tolist() == [Code.BAD] * 2
    assert follower.nbytes > 2 * 1000


def test_detectors_without_a_stream_are_judged_by_the_window_of_each_look() -> None:
    detector = registry.detector("zscore")
    params: Params = detector.parse({"window_s": 600, "step_s": 15})
    assert not follows(detector, params) and follows(DETECTOR, PARAMS)
    one = Followers(detector, params, "x")
    assert (one.window_s, Followers(DETECTOR, PARAMS, "x").window_s) == (600, 900)
    matrix = seen(np.ones((1, 400)), np.zeros((1, 400), dtype=np.intp), 100, 60)
    assert by_series(one.judge(matrix)) == by_series(detector.judge(matrix, params))


def test_no_series_is_no_verdict() -> None:
    follower = Follower(DETECTOR, PARAMS, ERAS)
    nothing = Matrix(
        times=np.asarray(T0 + STEP * np.arange(60), dtype=np.float64), values=np.empty((0, 60)), now=T0 + 59 * STEP
    )
    assert follower.look(nothing, complete_until=math.inf).labels == ()
