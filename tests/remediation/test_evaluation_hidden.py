"""What batches and counts could hide: series that begin, end or look like others, and rules that change meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from remediation import evaluation, turn
from remediation.models import Incident, Rule, RuleStatus, SeriesState
from remediation.observe import chain
from remediation.states import Verdict
from tests.remediation.told import Told

pytestmark = [pytest.mark.real, pytest.mark.django_db]


def names(metric: str) -> dict[str, float]:
    return {f"{metric}-{number}": float(number % 7) for number in range(10)}


def verdicts(rule: Rule) -> dict[str, str]:
    return {row.labels.get("id", ""): row.verdict for row in SeriesState.objects.filter(rule=rule)}


def test_a_series_that_begins_bad_is_seen_at_once(told: Told) -> None:
    told.write("g_one", names("g"))
    rule = told.rule("g_one", params={"op": ">", "value": 6.0})
    told.tick(1)
    told.now += timedelta(seconds=9)
    told.write("g_one", names("g") | {"new": 9.0})
    told.tick(1)
    assert verdicts(rule)["new"] == Verdict.BAD
    assert Incident.objects.get().series_labels["id"] == "new"


def test_a_bad_series_that_hides_one_that_ended_makes_the_rule_be_looked_at(told: Told) -> None:
    told.write("h_one", names("h"))
    rule = told.rule("h_one", params={"op": ">", "value": 6.0})
    told.tick(1)
    told.now += timedelta(seconds=40)
    told.write("h_one", {name: value for name, value in names("h").items() if name != "h-3"} | {"new": 9.0})
    told.tick(1)
    assert (verdicts(rule)["new"], verdicts(rule)["h-3"]) == (Verdict.BAD, Verdict.UNKNOWN)


def test_a_sum_without_one_that_ended_is_seen_at_once(told: Told) -> None:
    """Whose members last longer in a count must not make the sum itself look well."""
    members = {f"{job}-{number}": 1.0 for job in "abcd" for number in range(2)}
    at = told.now.timestamp()
    series = [({"__name__": "k_one", "job": name[0], "id": name}, value) for name, value in members.items()]
    told.kept.write([*((labels, at, value) for labels, value in series), ({"__name__": "up", "job": "k"}, at, 1.0)])
    rule = told.rule("sum by (job) (k_one)", params={"op": "<", "value": 2.0})
    told.tick(1)
    at += 9
    told.now += timedelta(seconds=9)
    told.kept.write([(labels, at, None if labels["id"] == "a-1" else value) for labels, value in series])
    told.tick(1)
    assert {row.labels["job"]: row.verdict for row in SeriesState.objects.filter(rule=rule)}["a"] == Verdict.BAD


def test_what_only_the_name_tells_apart_keeps_it_when_one_is_bad(told: Told) -> None:
    for metric in ("x_one", "x_two"):
        told.write(metric, {"a": 1.0, "b": 2.0, "c": 3.0}, job="x")
    rule = told.rule('{__name__=~"x_one|x_two"}', params={"op": ">", "value": 6.0})
    told.tick(1)
    told.now += timedelta(seconds=9)
    told.write("x_one", {"a": 9.0, "b": 2.0, "c": 3.0}, job="x")
    told.write("x_two", {"a": 1.0, "b": 2.0, "c": 3.0}, job="x")
    told.tick(1)
    assert Incident.objects.get().series_labels["__name__"] == "x_one"
    assert SeriesState.objects.filter(rule=rule).count() == 6


def test_a_label_of_our_own_name_stays(told: Told) -> None:
    told.write("y_one", {"a": 1.0}, homeostat_rule="theirs")
    rules = [told.rule("y_one", params={"op": ">", "value": limit}) for limit in (0.0, 1.0)]
    told.tick(1)
    assert len(told.asked) == 1
    for rule in rules:
        assert SeriesState.objects.get(rule=rule).labels["homeostat_rule"] == "theirs"


def test_a_comment_that_ends_with_a_carriage_return_hides_no_bracket(told: Told) -> None:
    told.write("z_one", {"a": 9.0})
    well = told.rule("z_other", params={"op": ">", "value": 5.0})
    liar = told.rule(f'z_one # \r), "{chain.LABEL}", "{well.pk}", "", "") or label_replace((z_one # \r')
    told.tick()
    assert verdicts(well) == {}
    assert RuleStatus.objects.get(rule=liar).error != ""


def test_a_scalar_does_not_keep_its_fellows_from_being_asked_together(told: Told) -> None:
    told.write("aa_one", {"a": 1.0})
    for query in ("aa_one", "2 * aa_one"):
        told.rule(query, params={"op": ">", "value": 0.0})
    scalar = told.rule("scalar(sum(aa_one))", params={"op": ">", "value": 0.0})
    told.tick(1)
    told.tick(1)
    assert len(told.asked) == 2
    assert RuleStatus.objects.get(rule=scalar).bad == 1


@pytest.mark.parametrize("change", [{"version": 7}, {"enabled": False}], ids=["edited", "off"])
def test_a_rule_that_was_changed_while_it_was_judged_opens_nothing(
    told: Told, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    told.write("bb_one", {"a": 9.0})
    rule = told.rule("bb_one", params={"op": ">", "value": 6.0})
    look = evaluation.look

    def slow(due: Any, **given: Any) -> Any:
        seen = look(due, **given)
        Rule.objects.filter(pk=rule.pk).update(**change)
        return seen

    monkeypatch.setattr(evaluation, "look", slow)
    told.tick()
    assert not Incident.objects.exists()
    assert RuleStatus.objects.get(rule=rule).running_until is None


def test_values_of_a_look_that_outlived_its_lease_are_not_written(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "_refresh_s", lambda: 0.0)
    told.write("cc_one", names("cc"))
    rule = told.rule("cc_one", params={"op": ">", "value": 6.0})
    told.tick(1)
    look = evaluation.look

    def slow(due: Any, **given: Any) -> Any:
        seen = look(due, **given)
        RuleStatus.objects.filter(rule=rule).update(running_until=told.now + timedelta(hours=1))
        SeriesState.objects.filter(rule=rule).update(value=4.5)
        return seen

    monkeypatch.setattr(evaluation, "look", slow)
    told.tick(1)
    assert set(SeriesState.objects.filter(rule=rule).values_list("value", flat=True)) == {4.5}


def test_no_question_is_longer_than_every_source_takes(told: Told) -> None:
    told.write("dd_one", {"a": 1.0})
    for number in range(30):
        told.rule(f'dd_one{{id!="{number}{"x" * 400}"}}', params={"op": ">", "value": 0.0})
    told.tick(1)
    assert len(told.asked) == 2
    assert max(map(len, told.asked)) < 16_384
    assert RuleStatus.objects.filter(bad=1).count() == 30
