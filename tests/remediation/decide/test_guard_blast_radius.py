"""Invariant 7: what is being acted on counts as unavailable, and enough of a service stays."""

from __future__ import annotations

from typing import Any

import pytest

from remediation.decide.guards import blast_radius
from remediation.models import Service, Target
from tests.remediation.decide.situations import a_rule, a_situation, an_incident, ask, past
from tests.remediation.world import make_service

pytestmark = pytest.mark.django_db


@pytest.fixture
def web() -> Service:
    return make_service(targets=("app-1", "app-2", "app-3"))


def healthy_plan(web: Service, *select: str, **step: Any) -> Any:
    """A plan for targets that are well: the incident is about none of them."""
    return a_situation(web, target="elsewhere", select=select, **step)


def test_enough_stays(web: Service) -> None:
    answer = ask("blast_radius", healthy_plan(web, "app-1", min_healthy=2))
    assert (answer.passed, answer.reason) == (True, "2 of 3 healthy stay, 2 asked")


def test_target_that_is_acted_on_counts_as_unavailable(web: Service) -> None:
    situation = healthy_plan(web, "app-1", min_healthy=2)
    past(web, "app-2", seconds=5, state="executing")
    answer = ask("blast_radius", situation)
    assert (answer.passed, answer.reason) == (False, "1 of 3 healthy stays, 2 asked")
    assert answer.numbers == {"stay": 1, "available": 2, "size": 3, "min_healthy": 2}


def test_without_the_targets_in_flight_it_would_have_passed(web: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above notices when those in flight are forgotten."""
    situation = healthy_plan(web, "app-1", min_healthy=2)
    past(web, "app-2", seconds=5, state="executing")
    monkeypatch.setattr(blast_radius, "_acted_on", lambda situation: set())
    assert ask("blast_radius", situation).passed


@pytest.mark.parametrize("state", ["planned", "gated", "awaiting_approval", "ready"])
def test_what_only_waits_is_available(web: Service, state: str) -> None:
    situation = healthy_plan(web, "app-1", min_healthy=2)
    past(web, "app-2", seconds=5, state=state, effect_started_at=None)
    assert ask("blast_radius", situation).passed


@pytest.mark.parametrize("off", [{"enabled": False}, {"automation_off": "undo failed"}])
def test_what_is_off_is_unavailable(web: Service, off: dict[str, Any]) -> None:
    situation = healthy_plan(web, "app-1", min_healthy=2)
    Target.objects.filter(name="app-3").update(**off)
    assert not ask("blast_radius", situation).passed


def test_what_another_incident_is_about_is_unavailable(web: Service) -> None:
    situation = healthy_plan(web, "app-1", min_healthy=2)
    other = an_incident(a_rule(web, name="Errors", query="errors"), web, "app-3", state="pending")
    assert ask("blast_radius", situation).passed
    other.state = "firing"
    other.save()
    assert not ask("blast_radius", situation).passed


def test_broken_target_costs_nothing(web: Service) -> None:
    situation = a_situation(web, target="app-1", min_healthy=2)
    assert ask("blast_radius", situation).passed
    an_incident(a_rule(web, name="Errors", query="errors"), web, "app-2")
    an_incident(a_rule(web, name="Slow", query="slow"), web, "app-3")
    answer = ask("blast_radius", situation)  # all are broken: nothing is lost by repairing one
    assert (answer.passed, answer.reason) == (True, "0 of 3 healthy stay, 2 asked")


def test_incident_without_a_label_in_common_is_about_none(web: Service) -> None:
    situation = healthy_plan(web, "app-1", min_healthy=2)
    an_incident(a_rule(web, name="Errors", query="errors"), web, fingerprint="x", labels={"severity": "critical"})
    assert ask("blast_radius", situation).passed


def test_together_takes_all_of_them_away_and_one_by_one_does_not(web: Service) -> None:
    situation = healthy_plan(web, "app-1", "app-2", min_healthy=2)
    ids = situation.target_ids
    situation.remediation.plan["batches"] = [ids]
    assert not ask("blast_radius", situation).passed
    situation.remediation.plan["batches"] = [[pk] for pk in ids]
    assert ask("blast_radius", situation).passed


def test_single_target_of_its_role_is_not_asked_about() -> None:
    web = make_service(targets=("app-1",))
    Target.objects.create(service=web, name="pool", backend="ledger", role="pool")
    assert ask("blast_radius", healthy_plan(web, "app-1", min_healthy=1)).passed
