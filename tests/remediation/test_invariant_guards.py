"""Invariants 5, 6 and 16 in the loop: guards that break, when a freeze is read and what it leaves alone, far causes."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from remediation import doorbell, loop, registry
from remediation.decide import approval, freeze
from remediation.decide.guards.base import Answer, Situation
from remediation.decide.guards.freeze import FreezeGuard
from remediation.signals import moving
from tests.remediation.decide.situations import a_rule, a_situation, an_incident, ask
from tests.remediation.world import World, make_playbook, make_rule, make_service, make_user


def broken(world: World, *, autonomy: str = "auto", **step: Any) -> World:
    """A service whose app-1 has just gone down."""
    make_rule(make_service())
    make_playbook(autonomy=autonomy, **step)
    world.set({"app-1": 1, "app-2": 1})
    world.tick()
    world.set({"app-1": 0, "app-2": 1})
    return world


@pytest.mark.parametrize("autonomy", ["auto", "approve"])
def test_a_guard_that_breaks_holds_the_effect(world: World, monkeypatch: pytest.MonkeyPatch, autonomy: str) -> None:
    broken(world, autonomy=autonomy)

    def breaks(situation: Situation) -> Answer:
        raise ZeroDivisionError

    monkeypatch.setattr(registry.guards()["cooldown"], "ask", breaks)
    world.ticks(5)
    assert (world.states(), world.ledger.effects) == (["gated"], [])
    assert world.remediation().reason == "Cooldown: could not be evaluated (ZeroDivisionError), so it says no"


def test_freeze_is_read_in_the_transaction_that_enters_executing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the savepoint that stands for that transaction here: the one right inside the test's own."""
    broken(world)
    around = len(connection.savepoint_ids)
    read: list[list[str]] = []
    entered: list[list[str]] = []
    asks = FreezeGuard.ask

    def noted(self: FreezeGuard, situation: Situation) -> Answer:
        read.append(connection.savepoint_ids[around : around + 1])
        return asks(self, situation)

    def note(sender: object, *, to: str, **_: object) -> None:
        if to == "executing":
            entered.append(connection.savepoint_ids[around : around + 1])

    monkeypatch.setattr(FreezeGuard, "ask", noted)
    moving.connect(note)
    try:
        world.tick()
    finally:
        moving.disconnect(note)
    assert len(entered) == 1
    assert read[-1:] == entered
    assert read[-1] != []


def test_the_command_stops_the_next_effect_without_broker_and_web(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(world, autonomy="approve").tick()
    row = world.remediation()
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    world.bells.clear()
    for module in (doorbell, loop):
        monkeypatch.setattr(module, "ring", lambda task, **ids: False)
    call_command("freeze", reason="stop")
    loop.act(row.pk, now=world.now)
    assert (world.states(), world.ledger.effects) == (["gated"], [])


def test_a_freeze_during_the_effect_lets_it_finish(world: World) -> None:
    """And proves it: a freeze holds effects, not the eyes."""
    broken(world)

    def stop(target: object) -> None:
        freeze.freeze(service=None, reason="stop", by="ann", until=None, now=world.now)

    world.ledger.answer = stop
    world.tick()
    assert (world.ledger.effects, world.states()) == (["app-1"], ["verifying"])
    world.set({"app-1": 1, "app-2": 1})
    world.ticks(5)
    assert world.states() == ["verified"]


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["pending", "firing"])
@pytest.mark.parametrize("where", ["api", "db"])
def test_the_cause_may_be_pending_and_far_away(state: str, where: str) -> None:
    web, api, db = (make_service(name, targets=(f"{name}-1",)) for name in ("web", "api", "db"))
    web.depends_on.add(api)
    api.depends_on.add(db)
    situation = a_situation(web, target="web-1")
    assert ask("dependency", situation).passed
    cause = {"api": api, "db": db}[where]
    an_incident(a_rule(cause, name="Down", query="down"), cause, f"{where}-1", state=state)
    answer = ask("dependency", situation)
    assert (answer.passed, answer.reason) == (False, f"waits for {where} (Down)")
