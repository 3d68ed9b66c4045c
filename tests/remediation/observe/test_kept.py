from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediation.exceptions import ObserveError, QueryRefused, SourceFailed
from remediation.observe import kept, window
from remediation.observe.answers import Answer, Samples
from remediation.observe.base import Access, Question
from remediation.observe.shelf import Shelf, shelf
from remediation.series import Labels, Matrix

T0 = 1_767_268_800.123
STEP, STALE = 15.0, 40.0
WINDOW = Question(query="x", window_s=20 * STEP, step_s=STEP)
OVERLAP = 3


@dataclass
class Source:
    """Samples (time, arrival, value; None marks the end of the series) as a Prometheus would hold them at `clock`."""

    series: list[tuple[Labels, list[tuple[float, float, float | None]]]] = field(default_factory=list)
    clock: float = 0.0
    access: Access = field(default_factory=lambda: Access(url="http://127.0.0.1:1", stale_after_s=STALE, timeout_s=5))
    error: ObserveError | None = None
    warnings: tuple[str, ...] = ()
    asked: list[int] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)

    def instant(self, query: str, *, at: float) -> Answer:
        return self._answer(query, np.array([at]))

    def range(self, query: str, *, start: float, end: float, step_s: float) -> Answer:
        return self._answer(query, np.arange(round(start * 1000), round(end * 1000) + 1, round(step_s * 1000)) / 1000)

    def _answer(self, query: str, times: np.ndarray) -> Answer:
        self.asked.append(len(times))
        self.queries.append(query)
        if self.error is not None:
            raise self.error
        found = []
        for labels, samples in self.series:
            points = [(at, value) for at in times if (value := self._value(samples, at)) is not None]
            if points:
                there, values = zip(*points, strict=True)
                found.append(Samples(labels=labels, times=np.array(there), values=np.array(values, dtype=float)))
        return Answer(kind="matrix", series=tuple(found), warnings=self.warnings)

    def _value(self, samples: list[tuple[float, float, float | None]], at: float) -> float | None:
        newest = [
            one for one in samples if at - self.access.stale_after_s < one[0] <= at + 1e-6 and one[1] <= self.clock
        ]
        return max(newest)[2] if newest else None


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    shelf.clear()
    yield
    shelf.clear()


def steady(**more: float) -> Source:
    """Two series with a sample every 15 s since long ago; arrived at once."""
    times = [T0 + 15 * place - 7 for place in range(-400, 400)]
    names = {"a": 1.0, "b": 2.0} | more
    return Source(
        series=[({"__name__": "x", "i": name}, [(at, at, at + value) for at in times]) for name, value in names.items()]
    )


def look(source: Source, now: float, question: Question = WINDOW) -> Matrix:
    source.clock = max(source.clock, now)
    return kept.fetch(source, 1, question, now=now)


def assert_same(found: Matrix, wanted: Matrix) -> None:
    """But for the order of the rows."""
    np.testing.assert_array_equal(found.times, wanted.times)
    assert found.values.shape == wanted.values.shape == (len(found.labels), len(found.times))
    rows = {frozenset(labels.items()): row for labels, row in zip(found.labels, found.values, strict=True)}
    assert len(rows) == len(found.labels)
    for labels, row in zip(wanted.labels, wanted.values, strict=True):
        np.testing.assert_array_equal(rows[frozenset(labels.items())], row)
    assert (found.now, found.reach_s, found.alive, found.note) == (
        wanted.now,
        wanted.reach_s,
        wanted.alive,
        wanted.note,
    )


# --- the same as asking for all of it ---------------------------------------------------------------------------------

fates = st.lists(
    st.tuples(st.sampled_from(["up", "up", "up", "lost", "nan", "end", "silent"]), st.sampled_from([0, 6, 14, 25, 39])),
    min_size=1,
    max_size=12,
)
"""What becomes of each scrape, and how late (seconds) its sample is there; over again from the beginning."""
names = st.sampled_from([{"__name__": name, "i": i} for name in "xy" for i in "abc"])


def scraped(fate: list[tuple[str, int]]) -> list[tuple[float, float, float | None]]:
    found: list[tuple[float, float, float | None]] = []
    for place in range(120):
        kind, late = fate[place % len(fate)]
        at = T0 - 20 * STEP + place * STEP - 7
        away = kind == "silent" and place % 40 > 3  # long enough to leave the window
        if not away and kind != "lost":
            found.append((at, at + late, {"nan": float("nan"), "end": None}.get(kind, float(place))))
    return found


@settings(max_examples=120, deadline=None)
@given(
    series=st.lists(st.tuples(names, fates), max_size=5, unique_by=lambda one: str(one[0])),
    moves=st.lists(st.sampled_from([0, 1, 1, 1, 1, 2, 3, 5, 19, 21, -1, -7]), max_size=40),
    question=st.sampled_from(
        [WINDOW, replace(WINDOW, step_s=5.0, window_s=47), replace(WINDOW, window_s=0), replace(WINDOW, step_s=60)]
    ),
)
def test_kept_windows_equal_fresh_ones(
    series: list[tuple[Labels, list[tuple[str, int]]]], moves: list[int], question: Question
) -> None:
    """With gaps, series that come and go, late samples and markers, looks left out, and the clock set back."""
    shelf.clear()
    source = Source(series=[(labels, scraped(fate)) for labels, fate in series])
    now = T0
    for move in moves:
        now += move * question.step_s
        found = look(source, now, question)
        assert_same(found, window.fetch(source, question, now=now))
        found.values[:] = -99.0  # whatever a detector does with it


def test_a_look_asks_for_new_columns_and_for_those_not_complete_yet() -> None:
    source = steady()
    for place in range(100):
        look(source, T0 + STEP * place)
    assert source.asked[0] == 21 and set(source.asked[1:]) <= {1 + OVERLAP, 21}
    assert source.asked.count(21) == 2  # at first, and once in that hour
    look(source, T0 + STEP * 103)  # three looks were left out
    assert source.asked[-1] == 4 + OVERLAP


def test_a_series_that_had_ended_before_anybody_knew_is_gone_where_it_was_shown() -> None:
    """Its marker came 39 s late: all columns that are asked for again lack it now."""
    source = steady()
    source.series[1] = ({"__name__": "x", "i": "b"}, [(T0 - 20, T0 - 20, 1.0), (T0 - 7, T0 + 32, None)])
    for place in range(4):
        assert_same(look(source, T0 + STEP * place), window.fetch(source, WINDOW, now=T0 + STEP * place))


def test_looks_at_another_phase_have_a_window_of_their_own() -> None:
    source = steady()
    for now in (T0, T0 + 4, T0 + STEP, T0 + STEP + 4):
        assert_same(look(source, now), window.fetch(source, WINDOW, now=now))
    assert source.asked[::2] == [21, 21, 1 + OVERLAP, 1 + OVERLAP]


def test_what_came_too_late_is_seen_when_the_window_is_built_anew() -> None:
    source = steady()
    source.series[0][1].append((T0 - 1, T0 + 200, 77.0))
    wide = replace(WINDOW, window_s=600 * STEP)
    found = [look(source, T0 + STEP * place, wide) for place in range(300)]
    assert not np.any(found[20].values == 77.0)
    assert np.any(window.fetch(source, wide, now=T0 + STEP * 20).values == 77.0)
    assert np.any(found[-1].values == 77.0)
    assert source.asked.count(601) - 1 in (2, 3)  # at first, by the test, and once an hour


def test_windows_are_built_anew_at_different_moments() -> None:
    moments = set()
    for number in range(8):
        source = steady()
        for place in range(240):
            look(source, T0 + STEP * place, replace(WINDOW, query=f"x{number}"))
        moments.add(tuple(np.flatnonzero(np.array(source.asked) == 21).tolist()))
    assert len(moments) > 4


@pytest.mark.parametrize("query", ["x @ end()", "x @start()", "rate(x[5m]) + x OFFSET -5m", "x @ # so\n end()"])
def test_what_depends_on_the_end_is_asked_for_as_a_whole(query: str) -> None:
    source = steady()
    for place in range(3):
        look(source, T0 + STEP * place, replace(WINDOW, query=query))
    assert source.asked == [21, 21, 21]


# --- when it goes wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [SourceFailed("away"), QueryRefused("bad"), ObserveError("too much")])
def test_a_failed_question_is_raised_and_leaves_what_was_kept(error: ObserveError) -> None:
    source = steady()
    look(source, T0)
    source.error = error
    for _ in range(2):
        with pytest.raises(type(error), match=str(error)):
            look(source, T0 + STEP)
    assert source.asked == [21, 1 + OVERLAP]  # the second shares the error
    source.error = None
    assert_same(look(source, T0 + 2 * STEP), window.fetch(source, WINDOW, now=T0 + 2 * STEP))
    assert source.asked[2] == 2 + OVERLAP


def test_a_warned_question_is_raised_and_leaves_what_was_kept() -> None:
    source = steady()
    look(source, T0)
    source.warnings, series, source.series = ("a store is down",), source.series, []
    with pytest.raises(ObserveError, match="a store is down"):
        look(source, T0 + STEP)
    source.warnings, source.series = (), series
    assert_same(look(source, T0 + 2 * STEP), window.fetch(source, WINDOW, now=T0 + 2 * STEP))
    assert source.asked[2] == 2 + OVERLAP


@pytest.mark.parametrize("change", [{"url": "http://127.0.0.1:2"}, {"stale_after_s": 10.0}, {"secret": "another"}])
def test_an_edited_source_never_uses_what_the_old_one_said(change: dict[str, object]) -> None:
    source = steady()
    look(source, T0)
    other = replace(steady(c=3.0), access=replace(source.access, **change))  # type: ignore[arg-type]
    assert_same(look(other, T0 + STEP), window.fetch(other, WINDOW, now=T0 + STEP))
    assert other.asked[0] == 21


# --- shared -----------------------------------------------------------------------------------------------------------


def test_the_same_question_at_the_same_time_is_asked_once() -> None:
    source, instant = steady(), Question(query="x", needs_liveness=True)
    for _ in range(3):
        found = look(source, T0, instant)
        np.testing.assert_array_equal(found.values[:, 0], [T0 - 6, T0 - 5])
    assert source.queries == ["x", "count(up) and count(up offset 40000ms)"]
    look(source, T0, replace(instant, query="y"))
    assert source.queries[2:] == ["y"]
    look(source, T0 + 1, instant)
    assert source.queries[3:] == ["x", "count(up) and count(up offset 40000ms)"]


class Slow(Source):
    """Answers when told to."""

    def __init__(self, like: Source) -> None:
        super().__init__(series=like.series, clock=like.clock)
        self.may, self.entered = threading.Event(), threading.Event()

    def _answer(self, query: str, times: np.ndarray) -> Answer:
        self.entered.set()
        assert self.may.wait(10)
        return super()._answer(query, times)


def test_threads_that_ask_the_same_wait_for_one_answer() -> None:
    source = Slow(steady())
    found: list[Matrix] = []
    threads = [threading.Thread(target=lambda: found.append(look(source, T0))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert source.entered.wait(10)
    source.may.set()
    for thread in threads:
        thread.join(10)
    assert len(found) == 4 and source.asked == [21]
    assert len({id(one.values) for one in found}) == 4  # each its own copy


def test_nobody_waits_longer_than_the_timeout() -> None:
    source = Slow(steady())
    source.access = replace(source.access, timeout_s=0.05)
    first = threading.Thread(target=lambda: look(source, T0))
    first.start()
    assert source.entered.wait(10)
    with pytest.raises(SourceFailed, match="under way already"):
        look(source, T0)
    source.may.set()
    first.join(10)
    assert source.asked == [21]


# --- bounded ----------------------------------------------------------------------------------------------------------


@dataclass
class Thing:
    nbytes: int
    lock: threading.Lock = field(default_factory=threading.Lock)


def test_the_least_recently_used_is_given_up() -> None:
    small = Shelf(100)
    for name, size in (("a", 40), ("b", 40), ("a", 40), ("c", 40)):
        with small.held(name, lambda size=size: Thing(size), wait_s=1):  # type: ignore[misc]
            pass
    assert (list(small._things), small.nbytes) == (["a", "c"], 80)
    with small.held("a", lambda: Thing(0), wait_s=1) as grown:
        grown.nbytes = 90
    assert (list(small._things), small.nbytes) == (["a"], 90)
    with small.held("too large", lambda: Thing(101), wait_s=1):
        pass
    assert (len(small), small.nbytes) == (0, 0)


def test_a_window_weighs_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    source = steady()
    look(source, T0)
    one = shelf.nbytes
    assert 2 * 21 * 9 < one < 4000
    for place in range(1, 200):
        look(source, T0 + place * STEP)
    assert one <= shelf.nbytes < 2 * one  # whatever passes through
    monkeypatch.setattr(shelf, "max_bytes", 2 * one)
    for number in range(10):
        look(source, T0, replace(WINDOW, query=f"x{number}"))
    assert len(shelf) == 2 and shelf.nbytes <= 2 * one


def test_series_that_are_gone_are_not_kept_for_ever() -> None:
    source = steady()
    for place in range(300):
        at = T0 + place * STEP
        source.series = [*source.series[:2], ({"i": str(place)}, [(at, at, 1.0)])]
        found = look(source, at)
    assert len(found.labels) <= 2 + 21
    [only] = shelf._things.values()
    assert len(only._buffer._raw) < 60
