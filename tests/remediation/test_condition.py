"""Rules of several conditions, with traffic, in the small world: what opens, what ends, and what a repair sees."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from remediation import condition
from remediation.exceptions import ConfigurationError, ObserveError, QueryRefused, SourceFailed
from remediation.models import Alert, Incident, Rule, RuleStatus, SourceStatus
from remediation.observe import window
from remediation.observe.base import Question
from remediation.series import Matrix
from remediation.states import IncidentState, Verdict
from tests.remediation.world import START, World, make_rule, make_service

ERRORS = {"name": "errors", "query": "errors", "detector": "threshold", "params": {"op": ">", "value": 0.5}}
QUEUE = {"query": "queue", "detector": "threshold", "params": {"op": ">", "value": 10}}


def combined(*conditions: dict[str, Any], **fields: Any) -> Rule:
    rule = make_rule(make_service(), conditions=list(conditions), **fields)
    rule.full_clean()
    return rule


def state() -> list[tuple[str, str, str]]:
    """Every incident: its target, where it stands, what was last seen."""
    rows = Incident.objects.order_by("pk")
    return [(row.series_labels["target"], row.state, row.verdict) for row in rows]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, world: World) -> set[str]:
    """Queries that the source refuses."""
    found: set[str] = set()

    def fetch(client: Any, question: Question, *, now: float) -> Matrix:
        if question.query in found:
            raise QueryRefused(f"no such function in {question.query}")
        return world.fetch(client, question, now=now)

    monkeypatch.setattr(window, "fetch", fetch)
    return found


def test_all_conditions_must_be_bad(world: World) -> None:
    combined(ERRORS)
    world.set({"app-1": 0.0, "app-2": 0.0})
    world.set({"app-1": 0.9, "app-2": 0.1}, query="errors")
    world.tick()
    assert state() == [("app-1", "firing", "bad")]
    assert Incident.objects.get().reason == (
        "query: 0 is below 1; errors: 0.9 is above 0.5 (2 of 2 conditions bad, 2 needed)"
    )
    world.set({"app-1": 0.1, "app-2": 0.1}, query="errors")
    world.tick()
    assert state() == [("app-1", "resolved", "ok")]


def test_any_condition_may_be_bad_on_a_series_of_the_query(world: World) -> None:
    combined(ERRORS, QUEUE, need="any")
    world.set({"app-1": 1.0})
    world.set({"app-1": 0.1, "app-9": 0.9}, query="errors")
    world.set({"app-1": 50.0}, query="queue")
    world.tick()
    assert state() == [("app-1", "firing", "bad")]
    assert Incident.objects.get().reason == "condition 3: 50 is above 10 (1 of 3 conditions bad, 1 needed)"


def test_two_of_three(world: World) -> None:
    combined(ERRORS, QUEUE, need="2")
    world.set({"app-1": 0.0, "app-2": 0.0})
    world.set({"app-1": 0.9}, query="errors")
    world.set({"app-1": 0.0, "app-2": 0.0}, query="queue")
    world.tick()
    assert state() == [("app-1", "firing", "bad")]
    assert RuleStatus.objects.get().unknown == 1  # app-2: one bad, one not there, one ok


@pytest.mark.parametrize(("need", "verdict"), [("all", "unknown"), ("any", "bad"), ("2", "bad")])
def test_one_refused_condition_is_unknown_by_itself(world: World, refused: set[str], need: str, verdict: str) -> None:
    rule = combined(ERRORS, QUEUE, need=need)
    world.set({"app-1": 0.0})
    world.set({"app-1": 50.0}, query="queue")
    refused.add("errors")
    verdicts = condition.judge(rule, now=world.now)
    assert [("ok", "bad", "unknown")[code] for code in verdicts.codes.tolist()] == [verdict]
    assert "errors cannot be judged: no such function in errors" in verdicts.reasons[0]


def test_a_refused_query_is_an_error_unless_the_others_can_judge_what_is_open(world: World, refused: set[str]) -> None:
    rule = combined(ERRORS, need="any")
    world.set({"app-1": 1.0, "app-2": 1.0})
    world.set({"app-1": 0.9, "app-2": 0.1}, query="errors")
    refused.add("up")
    with pytest.raises(QueryRefused):
        condition.judge(rule, now=world.now)
    refused.clear()
    world.tick()
    refused.add("up")
    world.tick()
    assert state() == [("app-1", "firing", "bad")]
    assert RuleStatus.objects.get().unknown == 1
    world.set({"app-1": 0.1, "app-2": 0.1}, query="errors")
    world.tick()
    assert state() == [("app-1", "firing", "unknown")]


def test_when_nothing_answers_the_rule_says_why(world: World) -> None:
    rule = combined(ERRORS, need="any")
    world.down = "prom does not answer"
    with pytest.raises(ObserveError, match="prom does not answer"):
        condition.judge(rule, now=world.now)


def test_a_source_that_failed_twice_is_not_waited_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = combined(ERRORS, QUEUE, ERRORS, need="any")
    world.set({"app-1": 0.0})
    asked: list[str] = []

    def fetch(client: Any, question: Question, *, now: float) -> Matrix:
        asked.append(question.query)
        if question.query != "up":
            raise SourceFailed("timed out")
        return world.fetch(client, question, now=now)

    monkeypatch.setattr(window, "fetch", fetch)
    assert condition.judge(rule, now=world.now).codes.tolist() == [1]
    assert asked == ["up", "errors", "queue"]


# --- traffic ----------------------------------------------------------------------------------------------------------


def test_too_little_traffic_opens_nothing_and_is_asked_for_only_when_something_is_bad(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    combined(traffic_query="rate", minimum_traffic=1)
    asked: list[str] = []

    def fetch(client: Any, question: Question, *, now: float) -> Matrix:
        asked.append(question.query)
        return world.fetch(client, question, now=now)

    monkeypatch.setattr(window, "fetch", fetch)
    world.set({"app-1": 1.0})
    world.set({"app-1": 0.02}, query="rate")
    world.tick()
    assert asked == ["up"]
    world.set({"app-1": 0.0})
    world.tick()
    assert asked == ["up", "up", "rate"]
    assert (state(), RuleStatus.objects.get().unknown) == ([], 1)
    assert Rule.objects.get().series_states.get().reason == (
        "0.02 is less traffic than 1: too little to judge (0 is below 1)"
    )
    world.set({"app-1": 2.0}, query="rate")
    world.tick()
    assert state() == [("app-1", "firing", "bad")]


def test_traffic_that_cannot_be_asked_is_unknown(world: World, refused: set[str]) -> None:
    rule = combined(traffic_query="rate", minimum_traffic=1)
    world.set({"app-1": 0.0, "app-2": 1.0})
    refused.add("rate")
    verdicts = condition.judge(rule, now=world.now)
    assert verdicts.codes.tolist() == [2, 0]
    assert "no such function in rate" in verdicts.reasons[0]


# --- what is missing --------------------------------------------------------------------------------------------------


def test_an_expression_that_no_longer_holds_ends_the_incident(world: World) -> None:
    combined(ERRORS, detector="expression", params={})
    world.set({"app-1": 1.0})
    world.set({"app-1": 0.9}, query="errors")
    world.tick()
    assert state() == [("app-1", "firing", "bad")]
    world.vanish()
    world.tick()
    assert state() == [("app-1", "resolved", "ok")]


def test_what_is_open_is_judged_on_by_the_others(world: World) -> None:
    combined(ERRORS, need="any", detector="expression", params={})
    world.set({"app-1": 1.0})
    world.set({"app-1": 0.9}, query="errors")
    world.tick()
    world.vanish()
    world.tick()
    assert state() == [("app-1", "firing", "bad")]
    world.set({"app-1": 0.1}, query="errors")
    world.tick()
    assert state() == [("app-1", "resolved", "ok")]


def test_a_further_expression_that_does_not_hold_is_ok_and_a_missing_threshold_unknown(world: World) -> None:
    rule = combined({"query": "held", "detector": "expression"})
    world.set({"app-1": 0.0})
    assert condition.judge(rule, now=world.now).codes.tolist() == [0]
    rule.conditions = [QUEUE]
    assert condition.judge(rule, now=world.now).codes.tolist() == [2]


def test_an_alert_as_a_condition(world: World) -> None:
    rule = combined({"name": "alert", "query": 'alertname="Slow"', "detector": "firing_alert"})
    SourceStatus.objects.update_or_create(source=rule.source, defaults={"answered_at": START})
    world.set({"app-1": 0.0, "app-2": 0.0})
    assert condition.judge(rule, now=world.now).codes.tolist() == [2, 2]
    Alert.objects.create(
        source=rule.source,
        fingerprint="1",
        status="firing",
        labels={"alertname": "Slow", "target": "app-1"},
        starts_at=START,
        received_at=START,
        seen_at=START,
    )
    assert condition.judge(rule, now=world.now).codes.tolist() == [1, 2]


# --- one look ---------------------------------------------------------------------------------------------------------


def opened(world: World, *conditions: dict[str, Any], **fields: Any) -> Incident:
    combined(*conditions, **fields)
    world.set({"app-1": 0.0})
    world.set({"app-1": 0.9}, query="errors")
    world.set({"app-1": 5.0}, query="rate")
    world.tick()
    return Incident.objects.get()


def reaching(world: World, reach: dict[str, float]) -> Callable[..., Matrix]:
    def fetch(client: Any, question: Question, *, now: float) -> Matrix:
        found = world.fetch(client, question, now=now)
        return dataclasses.replace(found, times=found.times - reach[question.query] / 10, reach_s=reach[question.query])

    return fetch


def test_a_look_reaches_back_as_far_as_the_longest_condition(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    incident = opened(world, ERRORS, traffic_query="rate", minimum_traffic=1, need="any")
    reach = {"up": 5.0, "errors": 300.0, "rate": 3600.0}
    monkeypatch.setattr(window, "fetch", reaching(world, reach))
    world.set({"app-1": 1.0})
    world.set({"app-1": 0.1}, query="errors")
    look = condition.ask(incident, now=world.now)
    assert (look.verdict, look.reach_s) == (Verdict.OK, 300.0)
    assert look.sample_at == world.now.timestamp() - 30


def test_a_look_says_which_condition_is_still_bad(world: World) -> None:
    incident = opened(world, ERRORS, need="any")
    world.set({"app-1": 1.0})
    look = condition.ask(incident, now=world.now)
    assert (look.verdict, look.value) == (Verdict.BAD, 1.0)
    assert look.reason == "errors: 0.9 is above 0.5 (1 of 2 conditions bad, 1 needed)"


def test_a_look_at_a_series_that_is_gone_is_what_the_others_say(world: World) -> None:
    incident = opened(world, ERRORS)
    world.vanish()
    look = condition.ask(incident, now=world.now)
    assert (look.verdict, look.sample_at) == (Verdict.UNKNOWN, None)
    world.set({"app-1": 0.1}, query="errors")
    look = condition.ask(incident, now=world.now)
    assert (look.verdict, look.sample_at) == (Verdict.OK, world.now.timestamp())


def test_a_look_by_the_version_that_fired(world: World) -> None:
    incident = opened(world, ERRORS)
    Rule.objects.update(conditions=[], need="all")
    world.set({"app-1": 0.1}, query="errors")
    assert condition.ask(incident, now=world.now).verdict == Verdict.OK


def test_a_rule_that_cannot_be_is_an_error_and_an_unknown_look(world: World) -> None:
    incident = opened(world, ERRORS)
    rule = Rule.objects.get()
    rule.need = "7"
    with pytest.raises(ConfigurationError, match="need is all, any or a number from 1 to 2"):
        condition.judge(rule, now=world.now)
    version = incident.rule_version
    version.body |= {"need": "7"}
    version.save()
    assert condition.ask(incident, now=world.now).verdict == Verdict.UNKNOWN


def test_an_incident_of_a_combined_rule_that_nothing_answers_for_stays_open(world: World) -> None:
    opened(world, ERRORS, need="any")
    world.down = "prom does not answer"
    world.tick()
    assert state() == [("app-1", IncidentState.FIRING, "unknown")]


# --- what may be stored -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "where", "said"),
    [
        ({"conditions": [{"query": " ", "detector": "absent"}]}, "conditions", "Condition 2 needs a query."),
        (
            {"conditions": [QUEUE, ERRORS | {"detector": "none"}]},
            "conditions",
            "Condition 3 (errors): there is no detector named 'none'",
        ),
        (
            {"conditions": [ERRORS | {"params": {"op": ">"}}]},
            "conditions",
            "Condition 2 (errors): Threshold: value: Field required",
        ),
        ({"conditions": [ERRORS | {"limit": 1}]}, "conditions", "Condition 2 (errors): limit is unknown."),
        ({"conditions": {"query": "up"}}, "conditions", "Write a list"),
        ({"conditions": [QUEUE], "need": "3"}, "need", "a number from 1 to 2, not '3'"),
        ({"conditions": [QUEUE], "need": "0"}, "need", "a number from 1 to 2, not '0'"),
        ({"need": "some"}, "need", "not 'some'"),
        ({"traffic_query": "rate"}, "minimum_traffic", "belong together"),
        ({"minimum_traffic": 1}, "traffic_query", "belong together"),
    ],
)
def test_what_cannot_be_is_refused_with_the_condition_named(fields: dict[str, Any], where: str, said: str) -> None:
    rule = make_rule(None)
    for name, value in fields.items():
        setattr(rule, name, value)
    with pytest.raises(ValidationError) as error:
        rule.full_clean()
    assert said in " ".join(error.value.message_dict[where])


@pytest.mark.django_db
def test_conditions_are_stored_the_same_however_they_are_written() -> None:
    rule = make_rule(None, conditions=[{"name": " ", "query": " up ", "detector": "absent"}])
    rule.full_clean()
    assert rule.conditions == [{"query": "up", "detector": "absent", "params": {}}]
    assert rule.keep_version(author="test", now=datetime.now(UTC)).as_rule().needed == 2
