"""Conditions and traffic, against the same said slowly: one series, one pair, one number at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediation.detect.base import Verdicts
from remediation.detect.combine import Condition, Traffic, combine, total, weigh
from remediation.series import Labels
from remediation.states import Code

from .matrices import NOW

OK, BAD, UNKNOWN = Code.OK, Code.BAD, Code.UNKNOWN
some = settings(max_examples=300, deadline=None)

LABELS = st.dictionaries(st.sampled_from(["job", "instance", "zone"]), st.sampled_from(["a", "b"]), max_size=3)


def verdicts(
    found: Sequence[tuple[Labels, Code]],
    *,
    missing: Code = UNKNOWN,
    scores: Sequence[float] | None = None,
    times: Sequence[float] | None = None,
) -> Verdicts:
    """Scores 2 where bad, 0.5 where ok; the value is the number of the series."""
    codes = np.array([code for _, code in found], dtype=np.int8)
    count = len(found)
    scores = scores if scores is not None else [{OK: 0.5, BAD: 2.0, UNKNOWN: np.nan}[code] for _, code in found]
    return Verdicts(
        labels=tuple(labels for labels, _ in found),
        codes=codes,
        values=np.arange(count, dtype=float),
        scores=np.array(scores, dtype=float),
        lower=np.full(count, -1.0),
        upper=np.full(count, 100.0),
        times=np.array(times if times is not None else [NOW] * count, dtype=float),
        reasons=tuple(f"{code.name.lower()} at {dict(labels)}" for labels, code in found),
        missing=missing,
    )


@st.composite
def answers(draw: st.DrawFn) -> Verdicts:
    labels = draw(st.lists(LABELS, max_size=5, unique_by=lambda one: frozenset(one.items())))
    codes = [draw(st.sampled_from(Code)) for _ in labels]
    scores = [draw({OK: st.floats(0, 1), BAD: st.floats(1, 9), UNKNOWN: st.just(np.nan)}[code]) for code in codes]
    times = [draw(st.floats(NOW - 60, NOW)) if code != UNKNOWN else np.nan for code in codes]
    missing = draw(st.sampled_from([UNKNOWN, OK]))
    return verdicts(list(zip(labels, codes, strict=True)), missing=missing, scores=scores, times=times)


@st.composite
def conditions(draw: st.DrawFn) -> tuple[list[Condition], int]:
    found = draw(st.lists(st.one_of(st.none(), answers()), min_size=1, max_size=4))
    named = [
        Condition(name=f"c{at}", verdicts=one, why="refused" if one is None else "") for at, one in enumerate(found)
    ]
    return named, draw(st.integers(1, len(found)))


# --- the same, slowly -------------------------------------------------------------------------------------------------


def agree(one: Labels, other: Labels) -> bool:
    return all(other[name] == value for name, value in one.items() if name in other)


def said_of(condition: Condition, labels: Labels, *, own: bool) -> Code:
    if condition.verdicts is None:
        return UNKNOWN
    found = condition.verdicts
    pairs = list(zip(found.labels, map(Code, found.codes.tolist()), strict=True))
    codes = [code for theirs, code in pairs if (theirs == labels if own else agree(labels, theirs))]
    for worse in (BAD, UNKNOWN, OK):
        if worse in codes:
            return worse
    return found.missing


def kleene(codes: Sequence[Code], need: int) -> Code:
    if need == len(codes):
        return OK if OK in codes else UNKNOWN if UNKNOWN in codes else BAD
    if need == 1:
        return BAD if BAD in codes else UNKNOWN if UNKNOWN in codes else OK
    bad, unknown = codes.count(BAD), codes.count(UNKNOWN)
    return BAD if bad >= need else OK if bad + unknown < need else UNKNOWN


def slowly(asked: Sequence[Condition], need: int, labels: Labels) -> Code:
    return kleene([said_of(one, labels, own=at == 0) for at, one in enumerate(asked)], need)


# --- combining --------------------------------------------------------------------------------------------------------


@some
@given(asked=conditions())
def test_each_series_of_the_first_condition_is_judged_by_all(asked: tuple[list[Condition], int]) -> None:
    every, need = asked
    found = combine(every, need=need, now=NOW)
    first = every[0].verdicts
    assert found.labels == (first.labels if first else ())
    assert [Code(code) for code in found.codes.tolist()] == [slowly(every, need, labels) for labels in found.labels]


@some
@given(asked=conditions(), known=st.lists(LABELS, max_size=4))
def test_what_the_first_no_longer_sees_is_judged_by_the_others(
    asked: tuple[list[Condition], int], known: list[Labels]
) -> None:
    every, need = asked
    found = combine(every, need=need, now=NOW, known=known)
    told = {frozenset(labels.items()): Code(int(found.codes[row])) for row, labels in enumerate(found.labels)}
    for labels in known:
        assert told.get(frozenset(labels.items()), found.missing) == slowly(every, need, labels)


@some
@given(asked=conditions(), known=st.lists(LABELS, max_size=4))
def test_verdicts_are_complete_and_plain(asked: tuple[list[Condition], int], known: list[Labels]) -> None:
    every, need = asked
    found = combine(every, need=need, now=NOW, known=known)
    count = len(found.labels)
    arrays = (found.codes, found.values, found.scores, found.lower, found.upper, found.times)
    assert [array.shape for array in arrays] == [(count,)] * 6
    assert len(found.reasons) == count
    assert all(reason and "\n" not in reason and "nan" not in reason for reason in found.reasons)
    assert np.all(found.scores[found.codes == BAD] >= 1)
    assert np.all(found.scores[found.codes == OK] <= 1)
    assert np.all(np.isnan(found.scores[found.codes == UNKNOWN]))
    assert np.all(np.isfinite(found.times[found.codes != UNKNOWN]))


@some
@given(asked=conditions(), data=st.data())
def test_the_order_of_further_conditions_and_series_does_not_matter(
    asked: tuple[list[Condition], int], data: st.DataObject
) -> None:
    every, need = asked
    mixed = [every[0], *data.draw(st.permutations(every[1:]))]
    mixed = [mixed[0], *(turned(one) for one in mixed[1:])]
    one, other = combine(every, need=need, now=NOW), combine(mixed, need=need, now=NOW)
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.scores, other.scores)


def turned(condition: Condition) -> Condition:
    """With its series the other way round."""
    found = condition.verdicts
    if found is None:
        return condition
    arrays = {name: getattr(found, name)[::-1] for name in ("codes", "values", "scores", "lower", "upper", "times")}
    return dataclasses.replace(
        condition,
        verdicts=dataclasses.replace(found, labels=found.labels[::-1], reasons=found.reasons[::-1], **arrays),
    )


@given(one=answers())
def test_a_single_condition_stays_as_it_is(one: Verdicts) -> None:
    found = combine([Condition(name="query", verdicts=one)], need=1, now=NOW)
    assert (found.labels, found.reasons, found.missing) == (one.labels, one.reasons, one.missing)
    for name in ("codes", "values", "scores", "lower", "upper"):
        np.testing.assert_array_equal(getattr(found, name), getattr(one, name))


def test_value_and_band_are_of_the_first_and_the_score_decides() -> None:
    web = {"job": "web"}
    asked = [
        Condition(name="query", verdicts=verdicts([(web, BAD)], scores=[5.0])),
        Condition(name="errors", verdicts=verdicts([(web, BAD)], scores=[3.0])),
        Condition(name="queue", verdicts=verdicts([(web, OK)], scores=[0.2])),
    ]
    scores = {need: combine(asked, need=need, now=NOW).scores.tolist() for need in (1, 2, 3)}
    assert scores == {1: [5.0], 2: [3.0], 3: [0.2]}
    found = combine(asked, need=2, now=NOW)
    assert (found.values.tolist(), found.lower.tolist(), found.upper.tolist()) == ([0.0], [-1.0], [100.0])


def test_the_time_is_that_of_the_oldest_sample_judged() -> None:
    web = {"job": "web"}
    old = verdicts([(web, BAD)], times=[NOW - 30])
    unseen = verdicts([(web, UNKNOWN)], times=[NOW - 90])
    asked = [Condition(name=name, verdicts=one) for name, one in (("a", verdicts([(web, BAD)])), ("b", old))]
    assert combine(asked, need=2, now=NOW).times.tolist() == [NOW - 30]
    asked.append(Condition(name="c", verdicts=unseen))
    assert combine(asked, need=2, now=NOW).times.tolist() == [NOW - 30]


def test_what_is_well_because_it_is_missing_is_known_now() -> None:
    gone = verdicts([], missing=OK)
    asked = [Condition(name="a", verdicts=verdicts([])), Condition(name="b", verdicts=gone)]
    found = combine(asked, need=2, now=NOW, known=[{"job": "web"}])
    assert (found.codes.tolist(), found.times.tolist()) == ([OK], [NOW])


@pytest.mark.parametrize(
    ("codes", "need", "said"),
    [
        ((BAD, BAD, OK), 2, "a: bad at {}; b: bad at {} (2 of 3 conditions bad, 2 needed)"),
        (
            (BAD, UNKNOWN, OK),
            2,
            "a: bad at {}; b cannot be judged: unknown at {} (1 of 3 conditions bad, 2 needed)",
        ),
        ((OK, BAD, OK), 2, "b: bad at {} (1 of 3 conditions bad, 2 needed)"),
        ((OK, OK), 1, "a: ok at {} (0 of 2 conditions bad, 1 needed)"),
        ((OK, UNKNOWN), 2, "b cannot be judged: unknown at {} (0 of 2 conditions bad, 2 needed)"),
    ],
)
def test_the_reason_names_what_is_bad(codes: tuple[Code, ...], need: int, said: str) -> None:
    asked = [Condition(name="abc"[at], verdicts=verdicts([({}, code)])) for at, code in enumerate(codes)]
    assert combine(asked, need=need, now=NOW).reasons == (said,)


def test_a_condition_that_could_not_be_asked_says_why() -> None:
    asked = [
        Condition(name="query", verdicts=verdicts([({}, BAD)])),
        Condition(name="errors", verdicts=None, why="prom does not\nanswer"),
    ]
    found = combine(asked, need=2, now=NOW)
    assert found.codes.tolist() == [UNKNOWN]
    assert found.reasons == (
        "query: bad at {}; errors cannot be judged: prom does not answer (1 of 2 conditions bad, 2 needed)",
    )
    assert combine(asked, need=1, now=NOW).codes.tolist() == [BAD]


def test_bad_for_being_missing_is_asked_of_what_is_known_only() -> None:
    absent = verdicts([], missing=BAD)
    asked = [Condition(name="a", verdicts=absent), Condition(name="b", verdicts=verdicts([({"job": "web"}, OK)]))]
    found = combine(asked, need=2, now=NOW, known=[{"job": "web"}, {"job": "db"}])
    assert (found.missing, found.labels, found.codes.tolist()) == (UNKNOWN, ({"job": "web"},), [OK])


# --- traffic ----------------------------------------------------------------------------------------------------------

NUMBERS = st.one_of(st.floats(0, 100), st.just(float("nan")))


@st.composite
def traffics(draw: st.DrawFn) -> Traffic:
    labels = draw(st.lists(LABELS, max_size=5, unique_by=lambda one: frozenset(one.items())))
    values = np.array([draw(NUMBERS) for _ in labels], dtype=float)
    return Traffic(minimum=draw(st.floats(0.1, 100)), labels=tuple(labels), values=values)


@some
@given(traffic=traffics(), labels=st.lists(LABELS, max_size=5))
def test_traffic_is_added_up_over_all_that_match(traffic: Traffic, labels: list[Labels]) -> None:
    expected = []
    for own in labels:
        matching = [traffic.values[at] for at, theirs in enumerate(traffic.labels) if agree(own, theirs)]
        expected.append(sum(matching) if matching else float("nan"))
    np.testing.assert_allclose(total(labels, traffic), expected)


@some
@given(one=answers(), traffic=traffics())
def test_too_little_traffic_makes_only_bad_unknown(one: Verdicts, traffic: Traffic) -> None:
    found = weigh(one, traffic)
    behind = total(one.labels, traffic)
    for row, code in enumerate(one.codes.tolist()):
        enough = behind[row] >= traffic.minimum
        assert found.codes[row] == (UNKNOWN if code == BAD and not enough else code)
    assert np.all(np.isnan(found.scores[found.codes == UNKNOWN]))


def test_traffic_says_how_little_it_is() -> None:
    bad = verdicts([({"job": "web"}, BAD)])
    little = Traffic(minimum=1, labels=({},), values=np.array([0.02]))
    assert weigh(bad, little).reasons == ("0.02 is less traffic than 1: too little to judge (bad at {'job': 'web'})",)
    nothing = Traffic(minimum=1, why="prom does not answer")
    assert weigh(bad, nothing).reasons == (
        "nobody can tell whether there is enough traffic to judge: prom does not answer (bad at {'job': 'web'})",
    )


def test_enough_traffic_is_exactly_the_minimum() -> None:
    bad = verdicts([({"job": "web"}, BAD)])
    assert weigh(bad, Traffic(minimum=1, labels=({},), values=np.array([1.0]))).codes.tolist() == [BAD]
