"""Rules that are asked together say what each would say alone, on a real Prometheus; one does not spoil another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from remediation import condition, evaluation, turn
from remediation.detect.base import Verdicts
from remediation.exceptions import SourceFailed
from remediation.models import Incident, Rule, RuleStatus, SeriesState
from remediation.observe import chain
from remediation.observe.answers import Answer
from remediation.observe.prometheus import Prometheus
from remediation.series import Labels
from remediation.states import Code, Phase, Verdict
from tests.remediation.told import Told

pytestmark = [pytest.mark.real, pytest.mark.django_db]

MANY = 30
"""Series from which well ones are only counted."""


def names(metric: str) -> dict[str, float]:
    return {f"{metric}-{number}": float(number % 7) for number in range(MANY)}


def verdicts(rule: Rule) -> dict[str, str]:
    return {row.labels.get("id", ""): row.verdict for row in SeriesState.objects.filter(rule=rule)}


def test_together_they_say_what_each_says_alone(told: Told) -> None:
    told.write("t_one", {"a": 1, "b": -5, "c": math.nan, "d": math.inf, "e": 0, "f": -math.inf})
    told.write("t_two", {"a": 7.5})
    for op in (">", ">=", "<", "<=", "==", "!="):
        told.rule("t_one # a comment at the end", params={"op": op, "value": -5.0})
    told.rule("t_two", detector="expression", params={"op": ">", "value": 7.5})
    told.rule("t_two > 7", detector="expression", params={})
    told.rule("t_two > 8", detector="expression", params={})
    told.rule('{__name__=~"t_one|t_two"}', params={"op": ">", "value": 0.0})
    told.rule("t_gone")
    told.rule("sum by (id) (t_one) / on (id) t_two", params={"op": "<", "value": 0.0})
    assert told.tick() == len(told.rules)
    assert len(told.asked) == 1
    for rule in told.rules:
        alone = condition.judge(rule, now=rule.slot_began(told.now))
        status = RuleStatus.objects.get(rule=rule)
        assert status.error == "", rule.query
        counts = [len(alone.labels), *(int((alone.codes == code).sum()) for code in (Code.BAD, Code.UNKNOWN))]
        assert [status.series, status.bad, status.unknown] == counts, rule.query
        if not rule.query.startswith("{"):  # there two series have one id
            expected = {labels["id"]: Code(code).verdict for labels, code in _pairs(alone)}
            assert verdicts(rule) == expected, rule.query


def _pairs(alone: Verdicts) -> Iterator[tuple[Labels, int]]:
    return zip(alone.labels, alone.codes.tolist(), strict=True)


def test_one_that_cannot_be_asked_spoils_nothing_and_is_asked_alone_afterwards(told: Told) -> None:
    told.write("s_one", {"a": 1})
    good = told.rule("s_one", params={"op": ">", "value": 0.0})
    wrong = told.rule("rate(s_one)")
    told.tick()
    assert RuleStatus.objects.get(rule=good).error == ""
    assert verdicts(good) == {"a": "bad"}
    assert "expected type range vector" in RuleStatus.objects.get(rule=wrong).error
    told.write("s_one", {"a": 1})
    told.tick()
    assert all("s_one\n" not in query or "rate(" not in query for query in told.asked)
    assert RuleStatus.objects.get(rule=good).bad == 1


def test_a_query_that_reaches_out_of_its_brackets_speaks_for_itself_only(told: Told) -> None:
    told.write("b_one", {"a": 1})
    well = told.rule("b_one", params={"op": ">", "value": 5.0})
    other = told.rule("b_other", params={"op": ">", "value": 5.0})
    liar = told.rule(f'b_one), "{chain.LABEL}", "{other.pk}", "", "") or label_replace((b_one')
    told.tick()
    assert verdicts(well) == {"a": "ok"}
    assert verdicts(other) == {}
    assert RuleStatus.objects.get(rule=liar).error != ""


def test_well_series_are_counted_and_nothing_is_written(told: Told, django_assert_max_num_queries: Any) -> None:
    told.write("c_one", names("c"))
    told.write("c_two", names("d"))
    first = told.rule("c_one", params={"op": ">", "value": 6.0})
    second = told.rule("c_two", params={"op": ">=", "value": 7.0})
    told.tick(1)
    assert RuleStatus.objects.filter(settled="").count() == 0
    with django_assert_max_num_queries(8):
        told.tick()
    assert len(told.asked) == 1
    assert "count_values(" in told.asked[0]
    for rule in (first, second):
        status = RuleStatus.objects.get(rule=rule)
        assert status.evaluated_at == rule.slot_began(told.now)
        assert status.series == MANY
        assert status.running_until is None


@pytest.mark.parametrize(
    "value", [9.0, math.nan, math.inf, -math.inf, None], ids=["bad", "nan", "infinite", "minus infinite", "gone"]
)
def test_one_of_many_that_leaves_is_seen_at_once(told: Told, value: float | None) -> None:
    metric = f"l_{'gone' if value is None else value}".replace(".", "_").replace("-", "minus_")
    told.write(metric, names("l"))
    rule = told.rule(metric, params={"op": ">", "value": 6.0})
    told.tick(1)
    told.now += timedelta(seconds=40)
    left = {name: of for name, of in names("l").items() if name != "l-3"}
    told.write(metric, left if value is None else {**left, "l-3": value})
    told.tick()
    expected = Verdict.BAD if value == 9.0 else Verdict.UNKNOWN
    assert SeriesState.objects.get(rule=rule, labels__id="l-3").verdict == expected
    assert Incident.objects.count() == (1 if value == 9.0 else 0)
    status = RuleStatus.objects.get(rule=rule)
    assert status.settled.endswith("/busy") if value == 9.0 else status.settled == ""
    assert (status.series, status.bad, status.unknown) == (MANY, int(value == 9.0), int(value != 9.0))


def test_only_bad_series_are_fetched_while_the_others_stay_well(told: Told) -> None:
    told.write("n_one", names("n"))
    rule = told.rule("n_one", params={"op": ">", "value": 6.0})
    told.tick(1)
    for bad in ({"n-3": 8.0}, {"n-3": 9.0}, {"n-3": 9.5, "n-5": 7.0}):
        told.now += timedelta(seconds=9)
        told.write("n_one", names("n") | bad)
        told.tick(1)
        assert len(told.asked) == 2
        assert "count_values(" in told.asked[0]
        assert ") % Inf > (6.0)" in told.asked[1]
        rows = SeriesState.objects.filter(rule=rule, verdict=Verdict.BAD)
        assert {row.labels["id"]: row.value for row in rows} == bad
        assert set(Incident.objects.values_list("series_labels__id", "value")) == set(bad.items())
        assert RuleStatus.objects.get(rule=rule).bad == len(bad)
    told.now += timedelta(seconds=9)
    told.write("n_one", names("n") | {"n-5": 7.0})  # one of the two is well again: it is looked at
    told.tick(1)
    assert len(told.asked) == 3
    assert set(Incident.objects.exclude(state="resolved").values_list("series_labels__id", flat=True)) == {"n-5"}
    assert verdicts(rule)["n-3"] == Verdict.OK
    told.now += timedelta(seconds=9)
    told.write("n_one", {name: value for name, value in names("n").items() if name != "n-8"} | {"n-5": 7.0})
    told.now += timedelta(seconds=30)
    told.write("n_one", {name: value for name, value in names("n").items() if name != "n-8"} | {"n-5": 7.0})
    told.tick(1)
    assert verdicts(rule)["n-8"] == Verdict.UNKNOWN
    assert verdicts(rule)["n-5"] == Verdict.BAD


def test_values_of_well_series_are_written_when_it_is_their_turn(
    told: Told, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(turn, "_refresh_s", lambda: 10.0)
    told.write("v_one", names("v"))
    rule = told.rule("v_one", params={"op": ">", "value": 6.0})
    told.tick(1)
    told.now += timedelta(seconds=20)
    told.write("v_one", dict.fromkeys(names("v"), 2.5))
    with django_assert_max_num_queries(10):
        told.tick(1)
    values = SeriesState.objects.filter(rule=rule).values_list("value", "reason", "judged_at").distinct()
    assert list(values) == [(2.5, "2.5 is at or below 6", rule.slot_began(told.now).timestamp())]


def test_an_edited_rule_is_looked_at_anew(told: Told) -> None:
    told.write("e_one", names("e"))
    rule = told.rule("e_one", params={"op": ">", "value": 6.0})
    told.tick(1)
    rule.params = {"op": ">", "value": 5.0}
    rule.save()
    rule.keep_version(author="test", now=told.now)
    told.tick()
    status = RuleStatus.objects.get(rule=rule)
    assert status.bad == sum(value > 5 for value in names("e").values()) > 0


def test_series_that_changed_places_are_seen_when_it_is_time_to_look(told: Told) -> None:
    told.write("p_one", names("p"))
    rule = told.rule("p_one", params={"op": ">", "value": 6.0})
    told.tick(1)
    others = names("q")
    for _ in range(31):
        told.now += timedelta(seconds=9)
        told.write("p_one", others)
        told.tick(1)
    assert {"p-1", "q-1"} <= set(verdicts(rule))
    assert verdicts(rule)["p-1"] == Verdict.UNKNOWN


def test_an_episode_that_is_over_settles_again(told: Told) -> None:
    told.write("o_one", names("o") | {"o-3": 9.0})
    rule = told.rule("o_one", params={"op": ">", "value": 6.0}, keep_firing_for_s=15)
    told.tick(1)
    assert Incident.objects.get().state == "firing"
    for _ in range(3):
        told.now += timedelta(seconds=9)
        told.write("o_one", names("o"))
        told.tick(1)
    assert Incident.objects.get().state == "resolved"
    assert set(SeriesState.objects.filter(rule=rule).values_list("phase", flat=True)) == {Phase.OK}
    told.tick(1)
    assert "count_values(" in told.asked[0]


def test_a_source_that_fails_is_asked_once(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told.write("f_one", {"a": 1})
    for number in range(5):
        told.rule("f_one", params={"op": ">", "value": float(number)})
    told.rule("f_one", detector="zscore", params={})
    told.rule("avg_over_time(f_one[1m]", params={"op": ">", "value": 1.0})
    asked = []

    def fails(self: Prometheus, *_: object, **__: object) -> Answer:
        asked.append(1)
        raise SourceFailed("gone")

    monkeypatch.setattr(Prometheus, "instant", fails)
    monkeypatch.setattr(Prometheus, "range", fails)
    told.tick()
    assert len(asked) == 1
    assert set(RuleStatus.objects.values_list("error", flat=True)) == {"gone"}


def test_what_does_not_fit_into_the_interval_is_an_overrun(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told.write("w_one", {"a": 1})
    first = told.rule("w_one", detector="zscore", params={})
    second = told.rule("w_one", detector="ewma", params={})
    clock = iter(range(0, 1000, 6))
    monkeypatch.setattr(evaluation, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    told.tick()
    assert RuleStatus.objects.get(rule=first).evaluated_at is not None
    late = RuleStatus.objects.get(rule=second)
    assert (late.overruns, late.evaluated_at, late.running_until) == (1, None, None)
