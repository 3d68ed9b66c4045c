"""What a playbook would have done about recorded episodes: ladder, approvals, and every guard, on a simulated clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from remediation.backtest.outcome import Episode, Simulated, Stretch
from remediation.backtest.simulate import Simulation
from remediation.models import Freeze, Incident, Playbook, Rule, Service
from remediation.series import fingerprint
from tests.remediation.world import START, World, make_playbook, make_rule, make_service

pytestmark = pytest.mark.django_db
BEGIN = START.timestamp()
END = BEGIN + 36_000


@pytest.fixture
def rule(world: World) -> Rule:
    return make_rule(make_service())


def episode(start: float, lasted: float | None, target: str = "app-1", **more: Any) -> Episode:
    """Bad from start (seconds after the beginning) for a while; None: until the end of the range."""
    at, until = BEGIN + start, None if lasted is None else BEGIN + start + lasted
    labels = {"target": target}
    runs = more.pop("runs", [("bad", start, start + (lasted or 36_000))])
    return Episode(
        fingerprint=fingerprint(labels),
        labels=labels,
        pending_at=at,
        firing_at=at,
        ended_at=until,
        stretches=tuple(Stretch(start=BEGIN + a, end=BEGIN + b, verdict=verdict) for verdict, a, b in runs),
        **more,
    )


def simulated(rule: Rule, playbook: Playbook, *episodes: Episode) -> Simulated:
    return Simulation(rule, playbook, start=BEGIN, end=END).run(episodes)


def told(result: Simulated) -> list[tuple[str, float | None, str]]:
    """Targets, seconds until the effect, outcome."""
    return [
        (" ".join(one.targets), None if one.effect_at is None else round(one.effect_at - BEGIN), one.outcome)
        for one in result.actions
    ]


def test_it_acts_at_once_and_is_over_when_the_record_says_so(rule: Rule) -> None:
    playbook = make_playbook(timeout_s=10, verify_within_s=120)
    result = simulated(rule, playbook, episode(100, 60))
    assert told(result) == [("app-1", 100, "over")]
    assert (result.acted, result.ended_first, result.fired) == (1, 0, 1)


def test_the_next_rung_follows_where_the_fault_went_on(rule: Rule) -> None:
    playbook = make_playbook(verbs=("restart", "restart"), timeout_s=10, verify_within_s=20)
    result = simulated(rule, playbook, episode(100, 10_000))
    assert [(one.position, one.outcome, one.only_if) for one in result.actions] == [
        (1, "still_there", False),
        (2, "still_there", True),
    ]
    assert result.needs_person == 1


def test_shadow_is_simulated_as_if_it_acted(rule: Rule) -> None:
    result = simulated(rule, make_playbook(autonomy="shadow"), episode(100, 600))
    assert result.acted == 1
    assert any("in shadow" in line for line in result.assumptions)


def test_approval_takes_its_time_and_what_ends_first_is_counted(rule: Rule) -> None:
    playbook = make_playbook(autonomy="approve")
    result = simulated(rule, playbook, episode(100, 200), episode(5000, 2000))
    assert told(result)[0] == ("app-1", None, "self_recovered")
    assert told(result)[1][1] == 5300
    assert (result.ended_first, result.acted) == (1, 1)
    assert any("An approval takes 300 s (none was given" in line for line in result.assumptions)


def test_an_approval_that_would_come_too_late_expires(rule: Rule) -> None:
    result = simulated(rule, make_playbook(autonomy="approve", approval_ttl_s=60), episode(100, 2000))
    assert told(result) == [("app-1", None, "expired")]
    assert result.needs_person == 1


def holds(result: Simulated, number: int = -1) -> list[tuple[str, int, int]]:
    return [(h.guard, round(h.start - BEGIN), round(h.end - BEGIN)) for h in result.actions[number].holds]


def test_cooldown_holds_the_second_effect_on_a_target(rule: Rule) -> None:
    playbook = make_playbook(cooldown_s=600, timeout_s=1, verify_within_s=60)
    result = simulated(rule, playbook, episode(100, 30), episode(200, 1000))
    assert told(result) == [("app-1", 100, "over"), ("app-1", 700, "still_there")]
    assert holds(result) == [("cooldown", 200, 700)]


def test_budget_holds_until_the_window_has_moved_on(rule: Rule) -> None:
    playbook = make_playbook(budget=2, budget_window_s=3600, timeout_s=1)
    result = simulated(rule, playbook, *(episode(at, 30) for at in (100, 300)), episode(500, 9000))
    assert holds(result, 2) == [("budget", 500, 3700)]
    assert told(result)[2][1] == 3700


def test_budget_of_one_target_holds_that_target_only(rule: Rule) -> None:
    playbook = make_playbook(budget=9, budget_per_target=1, budget_window_s=600, timeout_s=1)
    result = simulated(rule, playbook, episode(100, 30), episode(300, 30, "app-2"), episode(500, 9000))
    assert holds(result, 1) == []
    assert holds(result, 2) == [("budget", 500, 700)]


def test_guards_that_rest_on_more_than_this_rule_are_named(rule: Rule) -> None:
    result = simulated(rule, make_playbook(), episode(100, 30))
    named = next(one for one in result.assumptions if one.startswith("Not simulated: the guards"))
    assert all(name in named for name in ("breaker", "storm", "partial", "maintenance", "flapping"))


def test_busy_holds_a_second_repair_of_the_service(rule: Rule) -> None:
    playbook = make_playbook(timeout_s=30, verify_within_s=60)
    result = simulated(rule, playbook, episode(100, 500), episode(110, 500, "app-2"))
    assert [hold[0] for hold in holds(result, 1)] == ["busy"]
    first, second = result.actions
    assert second.effect_at is not None
    assert second.effect_at >= first.over_at


def test_a_recorded_freeze_holds_and_ends(rule: Rule) -> None:
    at = [datetime.fromtimestamp(BEGIN + seconds, UTC) for seconds in (50, 400)]
    Freeze.objects.create(service=rule.service, by="ann", reason="deploy", at=at[0], lifted_at=at[1])
    Freeze.objects.create(service=Service.objects.create(name="other"), by="ann", at=at[0])
    result = simulated(rule, make_playbook(), episode(100, 3000))
    assert holds(result, 0) == [("freeze", 100, 400)]
    assert told(result)[0][1] == 400


def test_what_is_frozen_for_good_is_held_until_the_fault_ends(rule: Rule) -> None:
    Freeze.objects.create(by="ann", at=START)
    result = simulated(rule, make_playbook(), episode(100, 300), episode(9000, None, "app-2"))
    assert told(result) == [("app-1", None, "self_recovered"), ("app-2", None, "held")]
    assert (result.acted, result.held) == (0, 2)


def test_unknown_never_acts(rule: Rule) -> None:
    runs = [("bad", 100, 110), ("unknown", 110, 500), ("bad", 500, 900)]
    at = [datetime.fromtimestamp(BEGIN + seconds, UTC) for seconds in (90, 200)]
    Freeze.objects.create(by="ann", at=at[0], lifted_at=at[1])
    result = simulated(rule, make_playbook(), episode(100, 800, runs=runs))
    assert holds(result, 0) == [("freeze", 100, 200), ("stale", 200, 500)]
    assert told(result)[0][1] == 500


def test_an_incident_of_a_dependency_holds(rule: Rule) -> None:
    assert rule.service is not None
    cause = make_service("db", targets=())
    rule.service.depends_on.add(cause)
    other = make_rule(cause, name="DbDown", query="db")

    Incident.objects.create(
        rule=other,
        rule_version=other.versions.latest("number"),
        service=cause,
        fingerprint="f" * 16,
        series_labels={},
        labels={},
        state="resolved",
        state_since=START,
        opened_at=START,
        resolved_at=datetime.fromtimestamp(BEGIN + 700, UTC),
    )
    result = simulated(rule, make_playbook(), episode(100, 3000))
    assert holds(result, 0) == [("dependency", 100, 700)]


def test_without_a_target_a_person_is_needed(rule: Rule) -> None:
    result = simulated(rule, make_playbook(), episode(100, 300, "app-9"))
    assert (told(result), result.needs_person) == ([("", None, "impossible")], 1)


def test_what_the_playbook_does_not_serve_is_counted(rule: Rule) -> None:
    playbook = make_playbook()
    playbook.matchers = 'alertname="Other"'
    result = simulated(rule, playbook, episode(100, 300))
    assert (result.unserved, result.actions) == (1, ())
