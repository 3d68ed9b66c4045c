from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from remediation.exceptions import ObserveError
from remediation.observe.answers import Answer, Samples
from remediation.observe.base import Access, Question
from remediation.observe.window import fetch, select
from remediation.series import fingerprint

NOW = 1_767_268_800.1239
SEEN = 1_767_268_800.123
A = {"instance": "a"}


def samples(labels: Mapping[str, str], *points: tuple[float, float]) -> Samples:
    return Samples(labels=labels, times=np.array([at for at, _ in points]), values=np.array([v for _, v in points]))


class Source:
    """Answers what it is told to, and keeps what it was asked."""

    access = Access(url="http://127.0.0.1:1", stale_after_s=30.0)

    def __init__(self, *series: Samples, alive: bool = True, warnings: tuple[str, ...] = ()) -> None:
        self.given, self.alive, self.warnings = series, alive, warnings
        self.asked: list[tuple[str, float, float, float]] = []

    def instant(self, query: str, *, at: float) -> Answer:
        self.asked.append((query, at, at, 0))
        if query.startswith("count(up)"):
            return Answer(kind="vector", series=(samples({}, (at, 1.0)),) if self.alive else ())
        return Answer(kind="vector", series=self.given, warnings=self.warnings)

    def range(self, query: str, *, start: float, end: float, step_s: float) -> Answer:
        self.asked.append((query, start, end, step_s))
        return Answer(kind="matrix", series=self.given, warnings=self.warnings)


def test_newest_sample_is_one_column() -> None:
    source = Source(samples(A | {"__name__": "up"}, (SEEN, 1.0)), samples({"instance": "b"}, (SEEN, math.nan)))
    found = fetch(source, Question(query="up"), now=NOW)
    assert source.asked == [("up", SEEN, SEEN, 0)]
    assert found.labels == (A, {"instance": "b"})
    np.testing.assert_array_equal(found.times, [SEEN])
    np.testing.assert_array_equal(found.values, [[1.0], [math.nan]])
    assert (found.now, found.reach_s, found.alive, found.note) == (NOW, 30.0, True, "")


def test_window_ends_now_and_keeps_gaps() -> None:
    source = Source(samples(A, (SEEN - 30, 1.0), (SEEN, math.inf)), samples({}, (SEEN - 15, 2.0)))
    found = fetch(source, Question(query="x", window_s=44, step_s=15), now=NOW)
    assert source.asked == [("x", SEEN - 30, SEEN, 15)]
    np.testing.assert_allclose(found.times - SEEN, [-30, -15, 0], atol=1e-6)
    np.testing.assert_array_equal(found.values, [[1.0, math.nan, math.nan], [math.nan, 2.0, math.nan]])


def test_no_series_says_so() -> None:
    found = fetch(Source(), Question(query="up"), now=NOW)
    assert (found.labels, found.values.shape) == ((), (0, 1))
    assert found.note == "the query matches no series with a fresh sample"


def test_series_that_differ_in_name_only_stay_apart() -> None:
    one, two = A | {"__name__": "x"}, A | {"__name__": "y"}
    other = {"__name__": "x", "instance": "b"}
    found = fetch(Source(*(samples(labels, (SEEN, 1.0)) for labels in (one, two, other))), Question(query="q"), now=NOW)
    assert found.labels == (one, two, {"instance": "b"})


@pytest.mark.parametrize("alive", [True, False])
def test_liveness_asks_for_samples_now_and_some_time_ago(alive: bool) -> None:
    source = Source(alive=alive)
    assert fetch(source, Question(query="up", needs_liveness=True), now=NOW).alive is alive
    assert [query for query, *_ in source.asked] == ["up", "count(up) and count(up offset 30000ms)"]


def test_warnings_are_no_answer() -> None:
    source = Source(samples(A, (SEEN, 1.0)), warnings=("one store is down", "b"))
    with pytest.raises(ObserveError, match="the source warns: one store is down; b"):
        fetch(source, Question(query="up"), now=NOW)


@pytest.mark.parametrize("at", [SEEN - 100, SEEN + 15])
def test_samples_of_other_times_are_no_answer(at: float) -> None:
    with pytest.raises(ObserveError, match="other times"):
        fetch(Source(samples(A, (at, 1.0))), Question(query="up", window_s=30, step_s=15), now=NOW)


def test_too_many_points_are_not_asked_for() -> None:
    source = Source()
    with pytest.raises(ObserveError, match="points per series are too many"):
        fetch(source, Question(query="up", window_s=1e9, step_s=0.001), now=NOW)
    assert source.asked == []


def test_select_by_fingerprint() -> None:
    matrix = fetch(Source(samples({}, (SEEN, 1.0)), samples(A, (SEEN, 2.0))), Question(query="up"), now=NOW)
    one, none = select(matrix, fingerprint(A)), select(matrix, "0" * 16)
    assert (one.labels, one.values.tolist(), one.note) == ((A,), [[2.0]], "")
    assert (none.labels, none.values.shape, none.note) == ((), (0, 1), "this series is not in the answer")
