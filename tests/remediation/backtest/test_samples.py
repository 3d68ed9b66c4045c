"""The pieces of a range add up to what live evaluation fetches, whatever the steps and the size of a piece."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediation.backtest import samples
from remediation.backtest.slots import grid_of, slots_between
from remediation.exceptions import ConfigurationError, ObserveError
from remediation.observe import window
from remediation.observe.base import Question
from remediation.series import Labels, Matrix
from tests.remediation.backtest.recorded import RecordedClient, Value

BEGIN = 1_750_000_000.0
LABELS: list[Labels] = [
    {"__name__": "a", "job": "x"},
    {"__name__": "b", "job": "x"},
    {"__name__": "a", "job": "y"},
    {"__name__": "a", "job": "z"},
]


def sparse(seed: int) -> Value:
    """A sample in some seconds, NaN in a few, none in the others; whole minutes without any."""

    def at(moment: float) -> float | None:
        second = math.floor(moment)
        if random.Random(f"{seed} {second // 60}").random() < 0.4:  # noqa: S311
            return None
        chance = random.Random(f"{seed} {second}").random()  # noqa: S311
        return None if chance < 0.2 else math.nan if chance < 0.25 else chance

    return at


@given(
    interval=st.sampled_from([1, 2, 5, 7, 15, 300, 1.5]),
    step=st.sampled_from([0, 1, 5, 15, 2.5]),
    points=st.integers(1, 12),
    offset=st.floats(0, 0.99),
    piece=st.integers(1, 40),
    cells=st.integers(4, 400),
)
@settings(max_examples=60, deadline=None)
def test_every_moment_is_what_live_evaluation_fetches(
    *, interval: float, step: float, points: int, offset: float, piece: int, cells: int
) -> None:
    client = RecordedClient(series=[(labels, sparse(seed)) for seed, labels in enumerate(LABELS)])
    client.alive = sparse(99)
    question = Question(query="a", window_s=points * step, step_s=step, needs_liveness=True)
    slots = slots_between(
        interval_s=interval, offset_s=offset * interval, start=BEGIN, end=BEGIN + 25 * interval - offset * interval
    )
    grid = grid_of(slots, window_s=question.window_s, step_s=question.step_s)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "FIRST_COLUMNS", piece)
        patch.setattr(samples, "CELLS", cells)
        found = list(samples.moments(client, question, slots, grid))
    assert len(found) == slots.count >= 24
    for number, matrix in enumerate(found):
        same(matrix, window.fetch(client, question, now=slots.at(number)))


def same(found: Matrix, live: Matrix) -> None:
    assert (found.now, found.reach_s, found.note) == (live.now, live.reach_s, live.note)
    assert found.alive == live.alive
    assert np.array_equal(found.times, live.times)
    rows = [found.labels.index(labels) for labels in live.labels]
    assert len(rows) == len(found.labels)
    assert np.array_equal(found.values[rows], live.values, equal_nan=True)


def test_what_is_too_much_at_once_is_asked_for_in_small_pieces() -> None:
    class Slow(RecordedClient):
        def range(self, query: str, *, start: float, end: float, step_s: float):  # type: ignore[no-untyped-def]
            if end - start > 300:
                raise ObserveError("no answer in 10 s")
            return super().range(query, start=start, end=end, step_s=step_s)

    client = Slow(series=[({"job": "x"}, lambda at: 1.0)])
    slots = slots_between(interval_s=1, offset_s=0, start=BEGIN, end=BEGIN + 1500)
    grid = grid_of(slots, window_s=0, step_s=0)
    found = list(samples.moments(client, Question(query="a"), slots, grid))
    assert [len(matrix.labels) for matrix in found] == [1] * 1501


def test_alerts_are_read_from_what_prometheus_recorded() -> None:
    labels = {"__name__": "ALERTS", "alertname": "Down", "alertstate": "firing", "job": "x"}
    client = RecordedClient(series=[(labels, lambda at: 1.0 if 2 <= at - BEGIN < 4 else None)])
    client.alive = lambda at: None if at - BEGIN >= 6 else 1.0
    slots = slots_between(interval_s=1, offset_s=0, start=BEGIN, end=BEGIN + 7)
    grid = grid_of(slots, window_s=0, step_s=0)
    found = list(samples.alert_moments(client, 'alertname="Down", job=~"x|y"', slots, grid))
    assert client.asked[0] == 'ALERTS{alertstate="firing", alertname="Down", job=~"x|y"}'
    assert [matrix.values.tolist() for matrix in found[:2]] == [[], []]
    assert [matrix.values[0, 0] for matrix in found[2:6]] == [1, 1, 0, 0]
    assert np.isnan(found[7].values[0, 0])
    assert found[2].labels == ({"alertname": "Down", "job": "x"},)


def test_a_hostile_matcher_stays_a_value() -> None:
    assert samples.alerts_query('job="\\"} or vector(1) #"') == 'ALERTS{alertstate="firing", job="\\"} or vector(1) #"}'


@pytest.mark.parametrize(("interval", "span", "words"), [(60, 10, "not evaluated once"), (1, 1e6, "more than 700,000")])
def test_a_range_that_cannot_be_is_refused(interval: float, span: float, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        slots_between(interval_s=interval, offset_s=0, start=BEGIN + 1, end=BEGIN + 1 + span)
