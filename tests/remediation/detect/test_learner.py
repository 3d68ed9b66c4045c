"""The state of the adaptive detector: chosen, added to, copied, and kept to its budget."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from remediation.detect.lasting import TimeOfWeek
from remediation.detect.learner import Learner
from remediation.series import Floats

STEP, START = 900.0, 1_767_225_600.0
DAY, WEEKS = 96, 4
POINTS = 7 * WEEKS * DAY
EACH = 6
RANDOM = np.random.default_rng(11)


def learner(count: int, weekly: float = 1.0) -> Learner:
    return Learner(count, weekly=weekly, direction="both", minimum_effect=0.0, warm_up=24)


def run(learner: Learner, values: Floats, *, start: int = 0) -> Floats:
    """The scores; one row per point, one column per series."""
    return np.array(
        [
            learner.update(np.full(learner.count, START + STEP * (start + at)), row).scores
            for at, row in enumerate(values)
        ]
    )


def odd_series(count: int, points: int = 400) -> Floats:
    """Noise on a daily wave with spikes, so that every part of the state matters."""
    at = np.arange(points)[:, None]
    values = 10 + 3 * np.sin(2 * np.pi * at / DAY) + RANDOM.normal(0, 0.3, (points, count))
    return values + np.where(RANDOM.random((points, count)) < 0.01, 8.0, 0.0)


def test_chosen_series_go_on_as_if_nothing_had_happened() -> None:
    values = odd_series(4)
    whole = run(learner(4), values)
    part = learner(4)
    run(part, values[:250])
    part.take(np.array([2, 0]))
    np.testing.assert_array_equal(run(part, values[250:, [2, 0]], start=250), whole[250:, [2, 0]])
    assert len(part.reasons()) == 2


def test_an_added_series_is_a_fresh_one_and_leaves_the_others_alone() -> None:
    values = odd_series(3)
    old, fresh = run(learner(2), values[:, :2]), run(learner(1), values[150:, 2:], start=150)
    grown = learner(2)
    run(grown, values[:150, :2])
    grown.grow(1)
    assert grown.reasons() == ("no history yet",) * 3
    found = run(grown, values[150:], start=150)
    np.testing.assert_array_equal(found[:, :2], old[150:])
    np.testing.assert_array_equal(found[:, 2:], fresh)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])  # noqa: S301 - ours
def test_a_copy_goes_on_alone(copied: object) -> None:
    values = odd_series(2)
    whole = run(learner(2), values)
    first = learner(2)
    run(first, values[:200])
    second = copied(first)  # type: ignore[operator]
    np.testing.assert_array_equal(run(first, values[200:], start=200), whole[200:])
    np.testing.assert_array_equal(run(second, values[200:], start=200), whole[200:])


@pytest.mark.parametrize(("weekends", "known"), [(-60.0, True), (0.0, False)])
def test_the_hour_of_the_week_is_believed_where_it_helps(weekends: float, known: bool) -> None:
    """A working day that is like a weekend is odd, and a weekend that is so is not, where weekends are."""
    week, floor, steps = TimeOfWeek(1), np.array([0.1]), np.array([3600.0])
    scales = {}
    for hour in range(24 * 33):
        day = hour // 24
        off = (weekends if day % 7 >= 5 else 0.0) + RANDOM.normal()
        if day == 31:
            off = -60.0 + RANDOM.normal()
        scales[day] = abs(week.look(np.array([off]), np.array([3600.0 * hour]), floor)[0])
        week.learn(np.array([True]), steps)
    assert scales[31] > 2 * max(scales[26], 1)
    assert bool(week.helped[0] < 0.95 * week.plain[0]) is known


def healthy() -> dict[str, Floats]:
    """Four weeks of what happens to series that nothing is wrong with."""
    random = np.random.default_rng(3)
    at, shape = np.arange(POINTS)[:, None], (POINTS, EACH)
    noise = random.normal(0, 1, shape)
    wave = np.sin(2 * np.pi * at / DAY)
    weekend = at // DAY % 7 >= 5
    slow = np.zeros(shape)
    for row in range(1, POINTS):
        slow[row] = 0.9 * slow[row - 1] + noise[row]
    counter = np.cumsum((20 + 10 * wave) * np.exp(0.2 * noise) * STEP, axis=0)
    counter[POINTS // 2 :] -= counter[POINTS // 2 - 1]
    bursts = np.where(random.random(shape) < 0.003, np.exp(random.normal(4, 0.8, shape)), 0.0)
    return {
        "normal": 100 + 5 * noise,
        "log-normal": np.exp(2 + 0.5 * noise),
        "heavy tails": 100 + 5 * random.standard_t(3, shape),
        "autocorrelated": 100 + slow,
        "daily wave": 100 + 40 * wave + 3 * noise,
        "weekly wave": 100 + 40 * wave * (1 - 0.6 * weekend) - 20 * weekend + 3 * noise,
        "counter with a reset": counter,
        "mostly zero": random.poisson(0.05, shape).astype(float),
        "two values": (random.random(shape) < 0.03).astype(float),
        "bursts": 10 + noise + bursts,
    }


def alarms_a_week(weekly: float) -> dict[str, float]:
    """Openings per series, an hour of quiet between them."""
    kinds = healthy()
    values = np.concatenate(list(kinds.values()), axis=1)
    bad = np.nan_to_num(run(learner(values.shape[1], weekly), values)) >= 1
    lately = np.zeros_like(bad)
    for back in range(1, 5):
        lately[back:] |= bad[:-back]
    opened = (bad & ~lately).sum(axis=0).reshape(len(kinds), EACH).mean(axis=1) / WEEKS
    return dict(zip(kinds, opened.tolist(), strict=True))


def test_what_is_healthy_alarms_hardly_more_often_than_was_asked_for() -> None:
    """In four weeks of a budget of one a week; one alarm is there to begin with, and heavy tails take longer."""
    found = alarms_a_week(1.0)
    slow = {kind: found.pop(kind) for kind in ("heavy tails", "bursts")}
    assert {kind: rate for kind, rate in found.items() if rate > 1} == {}
    assert {kind: rate for kind, rate in slow.items() if rate > 1 + 4 / WEEKS} == {}


def test_a_smaller_budget_means_fewer_alarms() -> None:
    small, large = alarms_a_week(0.2), alarms_a_week(20.0)
    assert sum(small.values()) < 0.6 * sum(large.values())
