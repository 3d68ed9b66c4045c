"""The guards where they matter: in the loop, with effects that would come without them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from remediation import conf, loop
from remediation.decide import automation, freeze
from remediation.models import (
    Incident,
    MaintenanceWindow,
    Playbook,
    Remediation,
    Rule,
    Step,
    Storm,
    Target,
)
from tests.remediation.many import NAMES, keep_trust, many, said, well, without
from tests.remediation.world import World, make_playbook, make_rule, make_service, make_user


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_trust(monkeypatch)


# --- storm, invariant 18 ---


def test_storm_holds_everything_and_after_the_calm_effects_go_on_one_by_one(world: World) -> None:
    many(world)
    well(world, *NAMES)
    world.ticks(5)
    assert world.ledger.effects == []
    assert set(world.states()) == {"gated"}
    assert "12 of 12 series went bad or unknown" in world.remediation().reason
    down = NAMES[:3]  # the observer is back, and these are down indeed
    well(world, *down)
    for _ in range(int(conf.STORM_CALM_S / 10) - 1):
        world.tick(10)
    assert world.ledger.effects == []
    done: list[int] = []
    for _ in range(40):
        well(world, *(name for name in down if name not in world.ledger.effects))
        before = len(world.ledger.effects)
        world.tick()
        done.append(len(world.ledger.effects) - before)
    assert sorted(world.ledger.effects) == sorted(down)
    assert max(done) == 1


def test_without_the_guards_against_it_the_storm_would_have_had_effects(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("storm", "partial"):
        without(name, monkeypatch)
    many(world)
    well(world, *NAMES)
    world.ticks(5)
    assert world.ledger.effects != []


@pytest.mark.parametrize("left", ["storm", "partial"])
def test_each_of_the_two_holds_alone(world: World, left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without({"storm": "partial", "partial": "storm"}[left], monkeypatch)
    many(world)
    well(world, *NAMES)
    world.ticks(10)
    assert world.ledger.effects == []
    assert not said(world.remediation(), left)["passed"]


def test_blind_source_that_sees_again_acts_only_after_the_calm(world: World) -> None:
    """The first look after a black-out shows one target down. That may be so; the observer was down a moment ago."""
    many(world)
    world.down = "connection refused"
    world.ticks(3)
    assert Storm.objects.filter(ended_at=None).exists()
    world.down = ""
    well(world, "app-3")
    for _ in range(11):
        world.tick(10)
    assert world.ledger.effects == []
    world.ticks(25)
    assert world.ledger.effects == ["app-3"]


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.faults)])
def test_storm_of_alerts_has_no_effect(world: World, count: int) -> None:
    """Fault 12: the incidents are there, and whichever is looked at is held."""
    names = tuple(f"n-{number}" for number in range(count))
    rule = make_rule(make_service(targets=(*NAMES, *names[:5])))
    make_playbook(min_healthy=0, budget=99, max_targets=99)
    well(world, *names, names=(*NAMES, *names))
    world.now += timedelta(seconds=1)
    loop.evaluate(rule.pk, now=world.now)
    loop.sweep(now=world.now)
    assert Incident.objects.filter(state="firing").count() == count
    for incident in Incident.objects.filter(labels__target__in=names[:5]):
        loop.reconcile(incident.pk, now=world.now)
    for row in Remediation.objects.all():
        loop.advance(row.pk, now=world.now)
        loop.act(row.pk, now=world.now)  # where the guards of an auto playbook are asked
    assert world.states() == ["gated"] * 5
    assert world.ledger.effects == []


def test_kill_switch_in_the_middle_of_a_storm_holds_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 18: effects are under way all over, as if nothing else held them, when somebody freezes. None begins after
    that, and lifting goes on."""
    for name in ("storm", "partial"):
        without(name, monkeypatch)
    for number in range(6):
        service = make_service(f"s{number}", targets=(f"s{number}-1",))
        make_rule(service, name=f"Down{number}", query=f"q{number}")
        world.set({f"s{number}-1": 0.0}, query=f"q{number}")
    make_playbook(budget=99)
    Playbook.objects.update(matchers='alertname=~"Down.*"')
    world.tick()
    begun = len(world.ledger.effects)
    assert 0 < begun <= conf.CONCURRENCY  # the others wait for their turn
    freeze.freeze(service=None, reason="stop", by="ann", until=None, now=world.now)
    for number in range(6):
        world.set({f"s{number}-1": float(f"s{number}-1" in world.ledger.effects)}, query=f"q{number}")
    world.ticks(20)
    assert len(world.ledger.effects) == begun
    started = Remediation.objects.exclude(effect_started_at=None).values_list("effect_started_at", flat=True)
    assert all(at <= world.now - timedelta(seconds=20) for at in started if at)
    freeze.lift(service=None, by="ann", now=world.now)
    world.ticks(5)
    assert len(world.ledger.effects) > begun


# --- blast radius and busy, invariant 7 ---


def two_incidents(world: World) -> Remediation:
    """Of one service, at the same moment: app-1 is down, and app-3, which serves, leaks memory. Two must stay."""
    web = make_service(targets=("app-1", "app-2", "app-3"))
    make_rule(web)
    make_rule(web, name="Leaking", query="memory", params={"op": ">", "value": 5})
    make_playbook(min_healthy=2)
    Step.objects.update(select='name="app-1"')
    Target.objects.filter(name="app-3").update(labels={})
    leaking = Playbook.objects.create(name="Recycle", matchers='alertname="Leaking"', autonomy="auto")
    leaking.steps.create(position=1, verb="restart", select='name="app-3"', min_healthy=2, cooldown_s=0)
    world.set({"app-1": 0, "app-2": 1, "app-3": 1})
    world.set({"pool": 9}, query="memory")
    world.tick()
    return Remediation.objects.get(playbook=leaking)


def test_second_incident_of_a_service_counts_what_is_in_flight(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without("busy", monkeypatch)  # one repair at a time is not what holds the second
    held = two_incidents(world)
    assert world.ledger.effects == ["app-1"]
    assert (held.state, said(held, "blast_radius")["reason"]) == ("gated", "1 of 3 healthy stays, 2 asked")
    world.set({"app-1": 1, "app-2": 1, "app-3": 1})
    world.ticks(8)
    assert world.ledger.effects == ["app-1", "app-3"]


def test_without_the_blast_radius_both_would_be_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("busy", "blast_radius"):
        without(name, monkeypatch)
    two_incidents(world)
    assert sorted(world.ledger.effects) == ["app-1", "app-3"]


# --- maintenance, automation off, taken, flapping ---


def test_maintenance_holds_and_its_end_goes_on(world: World) -> None:
    many(world)
    ends = world.now + timedelta(seconds=10)
    MaintenanceWindow.objects.create(name="Move", starts_at=world.now, ends_at=ends)
    well(world, "app-1")
    world.ticks(9)
    assert (world.states(), world.ledger.effects) == (["gated"], [])
    assert "Maintenance: Move, until Thu 12:00 UTC" in world.remediation().reason
    world.ticks(4)
    assert world.ledger.effects == ["app-1"]


def test_target_with_automation_off_waits_for_a_person(world: World) -> None:
    many(world)
    Target.objects.filter(name="app-1").update(automation_off="undo failed")
    well(world, "app-1")
    world.ticks(4)
    assert (world.states(), world.ledger.effects) == (["gated"], [])
    automation.switch_on(Target.objects.get(name="app-1"), by="ann", now=world.now)
    world.ticks(3)
    assert world.ledger.effects == ["app-1"]


def test_person_who_took_it_is_not_disturbed(world: World) -> None:
    many(world)
    ann = make_user("ann", "operator")
    without_bells = world.now + timedelta(seconds=1)
    well(world, "app-1")
    loop.evaluate(Rule.objects.get().pk, now=without_bells)
    Incident.objects.update(taken_by=ann, taken_until=world.now + timedelta(seconds=10))
    world.ticks(8)
    assert (world.states(), world.ledger.effects) == (["gated"], [])
    assert "ann is on it" in world.remediation().reason
    world.ticks(6)
    assert world.ledger.effects == ["app-1"]


@pytest.mark.usefixtures("trusted")
def test_flapping_calls_a_person_when_the_budget_does_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 13."""
    monkeypatch.setattr(conf, "FLAPPING_TIMES", 3)
    many(world)
    for _ in range(8):
        well(world, "app-1")
        world.ticks(2)
        well(world)
        world.ticks(8)
    assert world.ledger.effects == ["app-1"] * 3
    asked = Incident.objects.filter(attention__contains="fired 4 times in the last 60 min, 3 allowed")
    assert asked.exists()
