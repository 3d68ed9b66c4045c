"""Many targets: in which order, how many at a time, and what stops it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from remediation import conf, draining
from remediation.act.execution import Carried
from remediation.decide import freeze
from remediation.decide.rollout import batches
from remediation.exceptions import EffectNotStarted, EffectUncertain
from remediation.models import Remediation, RemediationTarget, Service, Target
from remediation.repair import lease
from remediation.states import RemediationState
from remediation.targets.base import TargetRef
from tests.remediation.world import World, make_playbook, make_rule, make_service

FIVE = tuple(f"app-{number}" for number in range(1, 6))
ALL_DOWN = {"web": 0.0}


def shop(world: World, *, zones: str = "", rule: dict[str, Any] | None = None, **step: Any) -> World:
    """One condition on the whole service, and a step that restarts every target of it."""
    service = make_service(targets=FIVE)
    for target, zone in zip(Target.objects.order_by("name"), zones, strict=False):
        target.labels = {"target": target.name, "zone": zone}
        target.save()
    make_rule(service, **(rule or {}))
    make_playbook(**({"max_targets": 9, "min_healthy": 0, "verify_within_s": 20} | step))
    world.label = "job"  # the series is the service's: it names no target, so that all of them are selected
    world.set({"web": 1})
    world.tick()
    world.set(ALL_DOWN)
    return world


# --- the batches ---


@pytest.mark.parametrize(
    ("rollout", "zones", "least", "sizes"),
    [
        ("one", "", 0, [["app-1"], ["app-2"], ["app-3"], ["app-4"], ["app-5"]]),
        ("doubling", "", 0, [["app-1"], ["app-2", "app-3"], ["app-4", "app-5"]]),
        ("together", "", 0, [["app-1", "app-2", "app-3", "app-4", "app-5"]]),
        ("together", "", 2, [["app-1", "app-2", "app-3"], ["app-4", "app-5"]]),
        ("together", "", 9, [["app-1"], ["app-2"], ["app-3"], ["app-4"], ["app-5"]]),
        ("together", "babab", 0, [["app-2", "app-4"], ["app-1", "app-3", "app-5"]]),
        ("doubling", "babab", 0, [["app-2"], ["app-4"], ["app-1", "app-3", "app-5"]]),
        ("doubling", "bba", 0, [["app-4"], ["app-5"], ["app-3"], ["app-1", "app-2"]]),
    ],
)
def test_batches(rollout: str, zones: str, least: int, sizes: list[list[str]]) -> None:
    targets = [
        Target(pk=number, name=name, role="instance", labels={"zone": zones[number]} if number < len(zones) else {})
        for number, name in enumerate(FIVE)
    ]
    found = batches(targets, targets, rollout=rollout, domain="zone" if zones else "", min_healthy=least)
    assert [[target.name for target in batch] for batch in found] == sizes


def test_one_by_one_through_all_of_them(world: World) -> None:
    shop(world, zones="babab", domain="zone").tick()
    assert world.ledger.effects == ["app-2", "app-4", "app-1", "app-3", "app-5"]
    assert world.states() == ["verifying"]
    began = list(RemediationTarget.objects.order_by("effect_started_at").values_list("target__name", flat=True))
    assert began == world.ledger.effects
    assert not RemediationTarget.objects.filter(effect_ended_at=None).exists()
    world.set({"web": 1})
    world.ticks(4)
    assert world.states() == ["verified"]


def test_each_call_has_a_key_of_its_own(world: World) -> None:
    shop(world, rollout="together").tick()
    assert len(set(world.ledger.keys)) == len(FIVE)


# --- what stops it ---


def stopped_after(world: World, count: int, why: str, *, state: str = "verifying") -> None:
    assert len(world.ledger.effects) == count
    row = world.remediation()
    assert (row.state, why in row.reason) == (state, True), row.reason
    assert why in row.output
    assert RemediationTarget.objects.exclude(effect_started_at=None).count() == count


def test_not_needed_any_more_stops_early(world: World) -> None:
    shop(world)
    world.ledger.answer = lambda target: world.set({"web": 1}) if target.name == "app-2" else None
    world.tick()
    stopped_after(world, 2, "not needed any more")
    world.ticks(4)
    assert world.states() == ["verified"]


def test_freeze_between_two_calls_stops(world: World) -> None:
    shop(world, rollout="together")

    def freeze_at_third(target: TargetRef) -> None:
        if target.name == "app-3":
            freeze.freeze(service=None, reason="stop", by="ann", until=None, now=world.now)

    world.ledger.answer = freeze_at_third
    world.tick()
    stopped_after(world, 3, "frozen everywhere: stop")


def test_telemetry_that_is_lost_stops(world: World) -> None:
    shop(world)
    world.ledger.answer = lambda target: setattr(world, "down", "connection refused")
    world.tick()
    stopped_after(world, 1, "nobody can tell whether it helped")


def test_worse_than_before_stops(world: World) -> None:
    shop(world, rule={"params": {"op": ">", "value": 10}})
    world.set({"web": 15})
    world.ledger.answer = lambda target: world.set({"web": 60})
    world.tick()
    stopped_after(world, 1, "worse than before")


def test_a_dependant_that_turns_bad_stops(world: World) -> None:
    shop(world, settle_s=6)
    front = make_service("front", targets=())
    front.depends_on.add(Service.objects.get(name="web"))
    make_rule(front, name="FrontErrors", query="front")
    world.set({"web": 1}, query="front")
    world.set({"web": 1})
    world.tick()
    world.set(ALL_DOWN)
    world.ledger.answer = lambda target: world.set({"web": 0}, query="front")
    world.tick()
    stopped_after(world, 1, "turned bad meanwhile: FrontErrors of front")


def test_target_that_does_not_come_back_stops(world: World) -> None:
    shop(world, timeout_s=3)
    state = world.ledger.state

    def starting(target: TargetRef, *, timeout_s: float = 5.0) -> Any:
        return dict(state(target)) | ({"state": "STARTING"} if target.name in world.ledger.effects else {})

    world.ledger.state = starting  # type: ignore[method-assign]
    world.tick()
    stopped_after(world, 1, "app-1 is not back")


def test_target_that_was_changed_meanwhile_stops(world: World) -> None:
    shop(world)

    def change_next(target: TargetRef) -> None:
        world.ledger.pids["app-2"] = 777

    world.ledger.answer = change_next
    world.tick()
    stopped_after(world, 1, "app-2 was")


def test_a_worker_that_is_stopped_begins_no_further_call(world: World) -> None:
    shop(world)
    world.ledger.answer = lambda target: draining.begin()
    try:
        world.tick()
    finally:
        draining.end()
    stopped_after(world, 1, "the worker is being stopped")


def test_a_worker_that_is_stopped_claims_nothing(world: World) -> None:
    shop(world)
    draining.begin()
    try:
        world.ticks(3)
        assert (world.states(), world.ledger.effects) == (["ready"], [])
    finally:
        draining.end()
    world.ticks(3)
    assert world.ledger.effects[0] == "app-1"


def test_refusal_of_a_later_one_is_certain_and_goes_to_the_proof(world: World) -> None:
    shop(world, rollout="together")

    def refuse(target: TargetRef) -> None:
        if target.name == "app-3":
            raise EffectNotStarted("connection refused")

    world.ledger.answer = refuse
    world.tick()
    assert world.ledger.effects == ["app-1", "app-2"]
    assert world.remediation().state == "verifying"
    assert "app-3, app-4, app-5 not touched" in world.remediation().reason


def test_refusal_of_the_first_is_failed(world: World) -> None:
    shop(world)
    world.ledger.answer = world.ledger.refuse
    world.tick()
    assert (world.states(), world.ledger.effects) == (["failed"], [])
    assert not RemediationTarget.objects.exclude(effect_started_at=None).exists()


# --- crashes in the middle ---


class Killed(BaseException):
    """As a SIGKILL: nothing after it runs."""


def killed_at(world: World, name: str, *, before: bool) -> None:
    """The worker dies before or after the effect on this target."""

    def die(target: TargetRef) -> None:
        if target.name == name:
            if not before:
                world.ledger.effects.append(name)
                world.ledger.pids[name] += 1
            raise Killed

    world.ledger.answer = die
    with pytest.raises(Killed):
        world.tick()
    world.ledger.answer = lambda target: None


@pytest.mark.parametrize(("before", "third"), [(True, "only"), (False, "on app-1, app-2, app-3 only")])
def test_crash_in_the_middle_is_settled_call_by_call(world: World, before: bool, third: str) -> None:
    shop(world, rollout="together", timeout_s=2, verify_within_s=500)
    killed_at(world, "app-3", before=before)
    effects = list(world.ledger.effects)
    assert world.states() == ["executing"]
    world.now += timedelta(seconds=conf.LEASE_S + 10)
    world.ticks(12)
    row = Remediation.objects.get()
    assert row.state == "verifying"
    told = row.incident.transitions.get(kind="remediation", from_state="unknown")
    assert third in told.reason
    assert "app-1: was reported done" in told.reason
    assert "app-5: was never begun" in told.reason  # by its intent that is missing: the world is not asked
    assert told.facts["not_reached"] == sorted(set(FIVE) - set(effects))
    assert world.ledger.effects == effects


def test_one_that_nobody_can_tell_keeps_it_unknown(world: World) -> None:
    shop(world, rollout="together", timeout_s=2)

    def lose(target: TargetRef) -> None:
        if target.name == "app-2":
            raise EffectUncertain("the answer was lost")

    world.ledger.answer = lose
    state = world.ledger.state
    world.tick()
    assert world.states() == ["unknown"]

    def hidden(target: TargetRef, *, timeout_s: float = 5.0) -> Any:
        if target.name == "app-2":
            raise EffectUncertain("no answer")
        return state(target)

    world.ledger.state = hidden  # type: ignore[method-assign]
    world.ticks(30)
    assert world.states() == ["unknown"]
    world.ticks(40)
    assert world.states() == ["inconclusive"]


# --- the lease ---


def claimed(world: World, **step: Any) -> lease.Lease:
    """The claim as it stands while the first call runs."""
    found: list[lease.Lease] = []
    shop(world, **step)

    def note(target: TargetRef) -> None:
        row = world.remediation()
        found.append(lease.Lease(row=row, fence=row.fence, state=RemediationState.EXECUTING, clock=lambda: world.now))
        raise Killed

    world.ledger.answer = note
    with pytest.raises(Killed):
        world.tick()
    return found[0]


def test_lease_is_short_and_renewed_by_signs_of_life(world: World) -> None:
    mine = claimed(world, timeout_s=600)
    assert mine.row.lease_until == world.now + timedelta(seconds=conf.LEASE_S)
    for _ in range(10):
        world.now += timedelta(seconds=conf.LEASE_S - 1)
        assert mine.renew()
    world.ticks(3)
    assert world.states() == ["executing"]
    world.now += timedelta(seconds=conf.LEASE_S + 1)
    assert not mine.renew()
    world.ticks(2)
    assert world.states() == ["unknown"]


def test_lease_that_was_taken_over_is_not_renewed_and_nothing_is_reported(world: World) -> None:
    mine = claimed(world)
    Remediation.objects.update(fence=mine.fence + 1)
    assert not mine.renew()
    target = Target.objects.get(name="app-1")
    mine.end(target, Carried(outcome="done", output="late"))
    assert not RemediationTarget.objects.exclude(effect_ended_at=None).exists()
    assert mine.begin(target, first=True) == lease.LOST
