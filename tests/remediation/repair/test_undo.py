"""Worsened: what shows it, what is undone, and what happens when that does not work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from remediation import conf, loop
from remediation.decide import freeze
from remediation.exceptions import EffectUncertain
from remediation.models import Playbook, Remediation, RemediationTarget, Service, Step, Target, Transition
from remediation.repair import undo
from remediation.targets.base import TargetRef
from tests.remediation.world import START, World, make_rule, make_service

BUSY, MUCH_WORSE, WELL = {"web": 15.0}, {"web": 60.0}, {"web": 1.0}


class Killed(BaseException):
    """As a SIGKILL: nothing after it runs."""


def scaled(world: World, *, verb: str = "scale", service: Service | None = None, **step: Any) -> World:
    """A pool of two that is scaled up to three because of a backlog; the effect has just taken place."""
    service = service or make_service(targets=("pool",))
    make_rule(service, params={"op": ">", "value": 10}, name="AppDown")
    playbook = Playbook.objects.create(name="Scale", matchers='alertname="AppDown"', autonomy="auto")
    step = {"cooldown_s": 0, "verify_within_s": 30, "good_samples": 2, "max_targets": 1, "timeout_s": 3} | step
    Step.objects.create(playbook=playbook, verb=verb, select='role="instance"', **step)
    playbook.keep_version(author="test", now=START)
    world.label = "job"
    world.set(WELL)
    world.tick()
    world.set(BUSY)
    world.tick()
    assert world.states() == ["verifying"]
    return world


def worsen(world: World) -> None:
    """Until it is judged as worsened, and the undo rung for."""
    world.set(MUCH_WORSE)
    for _ in range(20):
        world.tick()
        if world.states() != ["verifying"]:
            return


def history() -> list[str]:
    return list(Transition.objects.filter(kind="remediation").values_list("to_state", flat=True))


def test_worsened_is_undone_and_seen_to_be_back(world: World) -> None:
    worsen(scaled(world))
    world.ticks(3)
    assert world.ledger.effects == ["pool=3", "pool=2"]
    row = world.remediation()
    assert row.state == "rolled_back"
    assert history()[-4:] == ["worsened", "rolling_back", "undo begins", "rolled_back"]
    assert row.undone["ok"] is True
    assert not RemediationTarget.objects.filter(live=True).exists()
    world.ticks(3)
    assert world.incident().needs_person
    assert Target.objects.get().automation_off == ""
    assert len(set(world.ledger.keys)) == 2


def test_still_bad_and_no_worse_is_not_undone(world: World) -> None:
    scaled(world)
    world.set({"web": 17.0})
    world.ticks(60)
    assert world.states()[0] == "ineffective"
    assert "rolling_back" not in history()


@pytest.mark.parametrize("step", [{"undo": False}, {"verb": "restart"}])
def test_without_an_undo_a_person_is_next(world: World, step: dict[str, Any]) -> None:
    worsen(scaled(world, **step))
    world.ticks(3)
    assert world.states() == ["worsened"]
    assert len(world.ledger.effects) == 1
    assert "ended worsened" in world.incident().attention


def test_freeze_holds_the_undo_and_calls_a_person(world: World) -> None:
    scaled(world)
    freeze.freeze(service=None, reason="stop", by="ann", until=None, now=world.now)
    worsen(world)
    world.ticks(5)
    assert (world.states(), world.ledger.effects) == (["rolling_back"], ["pool=3"])
    assert "the undo is held: frozen everywhere: stop" in world.incident().attention
    freeze.lift(service=None, by="ann", now=world.now)
    world.ticks(8)
    assert (world.states(), world.ledger.effects) == (["rolled_back"], ["pool=3", "pool=2"])


def failed_undo(world: World) -> None:
    assert world.states() == ["inconclusive"]
    assert world.incident().needs_person
    assert "the undo of scale pool failed" in world.incident().attention
    assert Target.objects.get().automation_off == world.incident().attention
    assert Target.objects.get().automation_off_at is not None
    assert Transition.objects.filter(kind="target", to_state="automation off").count() == 1


def test_refused_undo_turns_automation_off_and_calls_a_person(world: World) -> None:
    scaled(world)
    world.ledger.answer = world.ledger.refuse
    worsen(world)
    world.ticks(10)
    failed_undo(world)
    assert world.ledger.effects == ["pool=3"]


def test_undo_that_comes_to_nothing_turns_automation_off(world: World) -> None:
    scaled(world)

    def lost(target: TargetRef) -> None:
        raise EffectUncertain("the answer was lost")

    world.ledger.answer = lost
    worsen(world)
    world.ticks(75)
    failed_undo(world)


def test_target_that_somebody_changed_since_is_left_alone(world: World) -> None:
    scaled(world)
    world.ledger.sizes["pool"] = 7
    worsen(world)
    world.ticks(75)
    failed_undo(world)
    assert world.ledger.effects == ["pool=3"]


def test_disabled_target_is_left_alone(world: World) -> None:
    scaled(world)
    Target.objects.update(enabled=False)
    worsen(world)
    world.ticks(75)
    failed_undo(world)
    assert world.ledger.effects == ["pool=3"]


def test_target_whose_automation_is_off_is_left_alone(world: World) -> None:
    scaled(world)
    Target.objects.update(automation_off="ann works on it")
    worsen(world)
    world.ticks(3)
    assert (world.states(), world.ledger.effects) == (["inconclusive"], ["pool=3"])
    assert "automation is off for it (ann works on it)" in world.incident().attention


def test_undo_that_fails_after_the_fault_is_over_is_in_the_decision_record(world: World) -> None:
    scaled(world)
    world.ledger.answer = world.ledger.refuse
    freeze.freeze(service=None, reason="stop", by="ann", until=None, now=world.now)
    worsen(world)
    world.set(WELL)
    world.ticks(3)
    assert (world.states(), world.incident().state) == (["rolling_back"], "resolved")
    freeze.lift(service=None, by="ann", now=world.now)
    world.ticks(8)
    assert world.states() == ["inconclusive"]
    assert "ended inconclusive" in world.incident().decision.summary


def test_what_was_back_already_needs_no_undo(world: World) -> None:
    scaled(world)
    world.ledger.sizes["pool"] = 2
    worsen(world)
    world.ticks(5)
    assert (world.states(), world.ledger.effects) == (["rolled_back"], ["pool=3"])


@pytest.mark.parametrize("before", [True, False])
def test_worker_that_dies_in_the_undo_is_settled_by_the_world(world: World, before: bool) -> None:
    scaled(world)

    def die(target: TargetRef) -> None:
        if not before:
            world.ledger.sizes["pool"] = 2
        raise Killed

    world.ledger.answer = die
    with pytest.raises(Killed):
        worsen(world)
    world.ledger.answer = lambda target: None
    assert world.states() == ["rolling_back"]
    world.bells.clear()
    world.now += timedelta(seconds=conf.LEASE_S)
    world.ticks(80)
    assert world.states() == ["inconclusive" if before else "rolled_back"]
    assert world.ledger.effects == ["pool=3"]  # there is one undo at most


def test_undo_twice_rung_has_one_effect(world: World) -> None:
    scaled(world)
    world.set(MUCH_WORSE)
    while world.states() == ["verifying"]:
        world.now += timedelta(seconds=1)
        for row in Remediation.objects.all():
            loop.advance(row.pk, now=world.now)
    rows = [Remediation.objects.select_related("incident__service").get() for _ in range(5)]
    for row in rows:
        undo.act(row, now=world.now)
    assert world.ledger.effects == ["pool=3", "pool=2"]


# --- collateral ---


def dependant(world: World, query: str = "front", **rule: Any) -> None:
    """front depends on middle, and middle on web."""
    front, middle = make_service("front", targets=()), make_service("middle", targets=())
    front.depends_on.add(middle)
    middle.depends_on.add(Service.objects.get(name="web"))
    make_rule(front, name="FrontErrors", query=query, **rule)
    world.set({"web": 1}, query=query)
    world.tick()


def test_dependant_that_turns_bad_after_the_effect_is_undone(world: World) -> None:
    scaled(world)
    Remediation.objects.update(before_effect={"score": 1.5, "not_well": []})
    dependant(world)
    world.set({"web": 0}, query="front")
    world.ticks(12)
    row = world.remediation()
    assert row.state == "rolled_back"
    assert [one["name"].split(" (")[0] for one in row.collateral] == ["FrontErrors of front"]
    assert "turned bad after the effect: FrontErrors of front" in Transition.objects.get(to_state="worsened").reason


@pytest.mark.parametrize(
    ("before", "step", "blamed"), [(1, {}, True), (0, {}, False), (1, {"collateral": False}, False)]
)
def test_only_what_was_well_before_and_is_watched_is_blamed_on_the_effect(
    world: World, before: float, step: dict[str, Any], blamed: bool
) -> None:
    front, web = make_service("front", targets=()), make_service(targets=("pool",))
    front.depends_on.add(web)
    make_rule(front, name="FrontErrors", query="front")
    world.label = "job"
    world.set({"web": before}, query="front")
    world.tick()
    scaled(world, service=web, **step)
    world.set({"web": 0}, query="front")
    world.set({"web": 17.0})
    world.ticks(12)
    assert ("worsened" in history()) == blamed
