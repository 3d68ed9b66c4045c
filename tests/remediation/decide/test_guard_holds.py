"""Automation off, taken, storm, flapping, dependency: one reason each, each with its numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from remediation import conf, registry
from remediation.decide.guards.base import Answer, Situation, ask_all, for_person, refusals
from remediation.models import Heartbeat, Incident, Playbook, RuleStatus, Source, SourceStatus, Storm, Target
from tests.remediation.decide.situations import NOW, a_remediation, a_rule, a_situation, ago, an_incident, ask
from tests.remediation.world import make_service, make_user

pytestmark = pytest.mark.django_db


def test_automation_off_holds_for_its_target_only() -> None:
    situation = a_situation()
    Target.objects.filter(name="app-2").update(automation_off="undo failed")
    assert ask("automation_off", situation).passed
    Target.objects.filter(name="app-1").update(automation_off="undo failed")
    answer = ask("automation_off", situation)
    assert (answer.passed, answer.reason) == (False, "app-1: undo failed")


def test_taken_holds_until_the_time_is_over() -> None:
    situation = a_situation()
    assert ask("taken", situation).passed
    situation.incident.taken_by = make_user("ann", "operator")
    situation.incident.taken_until = NOW + timedelta(minutes=30)
    answer = ask("taken", situation)
    assert (answer.passed, answer.reason) == (False, "ann is on it for another 30 min")
    situation.incident.taken_until = NOW
    assert ask("taken", situation).passed


def test_what_a_person_has_taken_holds_the_whole_service() -> None:
    """Another rule that fires for the same machine must not restart it under their hands."""
    situation = a_situation()
    service = situation.incident.service
    taken: dict[str, Any] = {"taken_by": make_user("ann", "operator"), "taken_until": NOW + timedelta(minutes=5)}
    other = an_incident(a_rule(service, name="AppErrors", query="errors"), service, **taken)
    cart = make_service("cart", targets=())
    an_incident(a_rule(cart, name="CartDown", query="cart"), cart, "cart", **taken)
    answer = ask("taken", situation)
    assert (answer.passed, answer.reason) == (False, "ann is on AppErrors of this service for another 5 min")
    Incident.objects.filter(pk=other.pk).update(taken_until=ago(1))
    assert ask("taken", situation).passed
    Incident.objects.filter(pk=other.pk).update(taken_until=NOW + timedelta(minutes=5), state="resolved")
    assert ask("taken", situation).passed


def test_storm_holds_what_rests_on_its_source() -> None:
    situation = a_situation()
    Heartbeat.beat("storms", now=NOW)
    other = Source.objects.create(name="other", url="http://127.0.0.1:2")
    Storm.objects.create(source=other, began_at=ago(10), last_at=NOW, reason="r")
    assert ask("storm", situation).passed
    storm = Storm.objects.create(
        source=situation.incident.rule.source, began_at=ago(10), last_at=NOW, reason="40 of 90"
    )
    answer = ask("storm", situation)
    assert (answer.passed, answer.reason) == (False, "prom: 40 of 90")
    assert answer.numbers == {"storm": storm.pk, "since_s": 10}
    storm.ended_at = NOW
    storm.save()
    assert ask("storm", situation).passed


@pytest.mark.parametrize("looked_s", [None, 31.0, -3600.0])
def test_storm_that_nobody_looks_for_cannot_be_ruled_out(looked_s: float | None) -> None:
    """Invariant 5."""
    situation = a_situation()
    if looked_s is not None:
        Heartbeat.beat("storms", now=ago(looked_s))
    assert not ask("storm", situation).passed
    Heartbeat.beat("storms", now=ago(29))
    assert ask("storm", situation).passed


@pytest.mark.parametrize(("age_s", "passed"), [(1, True), (60, False), (-3600, False)])
def test_stale_telemetry_is_no_reason_to_act_whichever_way_the_clock_moved(age_s: float, passed: bool) -> None:
    situation = a_situation()
    rule = situation.incident.rule
    SourceStatus.objects.create(source=rule.source, answered_at=NOW)
    RuleStatus.objects.create(rule=rule, evaluated_at=ago(age_s))
    assert ask("stale", situation).passed == passed


@pytest.mark.parametrize(("change", "asks"), [({}, False), ({"autonomy": "approve"}, True), ({"enabled": False}, True)])
def test_playbook_that_is_trusted_no_longer_sends_what_waits_to_a_person(change: dict[str, Any], asks: bool) -> None:
    situation = a_situation()
    Playbook.objects.update(**change)
    answer = ask("autonomy", situation)
    assert (answer.passed, answer.needs_person) == (True, asks)
    situation.remediation.autonomy = "approve"
    assert not ask("autonomy", situation).needs_person


def test_flapping_holds_and_asks_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "FLAPPING_TIMES", 3)
    situation = a_situation()
    rule, service = situation.incident.rule, situation.incident.service
    for seconds in (60, 120):
        an_incident(rule, service, state="resolved", fired_at=ago(seconds))
    an_incident(rule, service, state="resolved", fired_at=ago(3601))  # too long ago
    an_incident(rule, service, state="resolved", fired_at=None)  # never fired
    an_incident(rule, service, "app-2", fired_at=ago(60))  # another series
    answer = ask("flapping", situation)
    assert (answer.passed, answer.needs_person) == (True, False)
    an_incident(rule, service, state="resolved", fired_at=ago(180))
    answer = ask("flapping", situation)
    assert (answer.passed, answer.needs_person) == (False, True)
    assert answer.reason == "fired 4 times in the last 60 min, 3 allowed"


def test_dependency_repairs_the_cause_and_holds_the_victims() -> None:
    """Invariant 16."""
    web, payments = make_service(), make_service("payments", targets=("pay-1",))
    web.depends_on.add(payments)
    victim = a_situation(web)
    rule = a_rule(payments, name="PaymentsDown", query="pay")
    cause = an_incident(rule, payments, "pay-1")
    assert ask("dependency", a_situation_of(cause)).passed
    answer = ask("dependency", victim)
    assert (answer.passed, answer.reason) == (False, "waits for payments (PaymentsDown)")
    Incident.objects.filter(pk=cause.pk).update(state="resolved")
    assert ask("dependency", victim).passed


def a_situation_of(incident: Incident) -> Situation:
    chosen = list(Target.objects.filter(service=incident.service))
    return Situation(now=NOW, incident=incident, remediation=a_remediation(incident, chosen, state="planned"))


@pytest.mark.parametrize("name", sorted(registry.guards()))
def test_guard_that_cannot_be_evaluated_says_no(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 5, for each of them."""
    situation = a_situation()
    Heartbeat.beat("storms", now=NOW)

    def broken(situation: object) -> Answer:
        raise KeyError("column")

    monkeypatch.setattr(registry.guards()[name], "ask", broken)
    mine = next(one for one in ask_all(situation) if one["guard"] == name)
    assert (mine["passed"], mine["reason"]) == (False, "could not be evaluated (KeyError), so it says no")


def test_every_guard_gives_its_reason_and_what_it_asks_of_a_person() -> None:
    situation = a_situation(budget=0)
    Heartbeat.beat("storms", now=NOW)
    answers = ask_all(situation)
    assert all(one["reason"] and isinstance(one["numbers"], dict) for one in answers)
    assert "0 of 0 effects spent" in for_person(answers, passed=False)
    assert for_person(answers, passed=True) == ""
    assert "Budget: 0 of 0 effects spent" in refusals(answers)


class Unloadable:
    name = "change_freeze"

    def load(self) -> object:
        raise ImportError("a wheel is missing")


def test_guard_that_is_installed_and_cannot_be_loaded_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 5: nobody knows what it would have said."""
    situation = a_situation()
    Heartbeat.beat("storms", now=NOW)
    monkeypatch.setattr(registry, "entry_points", lambda group: [Unloadable()] if group == "homeostat.guards" else [])
    registry._found.cache_clear()
    try:
        assert "change_freeze: is installed and cannot be loaded" in refusals(ask_all(situation))
    finally:
        monkeypatch.undo()
        registry._found.cache_clear()
    assert "change_freeze" not in refusals(ask_all(situation))
