"""Invariant 13 in the loop: a breaker opens, rests, lets a person decide and closes; and what was killed meanwhile
forgets nothing of it (invariant 4)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from remediation import conf, loop, registry
from remediation.decide import approval
from remediation.models import (
    Breaker,
    Rule,
    Transition,
)
from tests.remediation.many import keep_trust, many, well, without
from tests.remediation.world import World, make_user


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_trust(monkeypatch)


def failing(world: World, times: int) -> None:
    """So many episodes whose repair does not help: each target is down, and well again only later."""
    for number in range(times):
        well(world, f"app-{number}")
        world.ticks(8)
        well(world)
        world.ticks(3)


def opened(world: World) -> Breaker:
    many(world, verify_within_s=3)
    failing(world, conf.BREAKER_OPENS_AFTER)
    return Breaker.objects.get()


@pytest.mark.usefixtures("trusted")
def test_breaker_opens_rests_asks_a_person_and_closes(world: World) -> None:
    assert opened(world).state == "open"
    assert len(world.ledger.effects) == 3
    well(world, "app-9")
    world.ticks(5)
    row = world.remediation()
    assert (row.state, len(world.ledger.effects)) == ("gated", 3)
    assert "Circuit breaker: open: 3 bad in a row" in row.reason
    world.now += timedelta(seconds=conf.BREAKER_REST_S)
    world.ticks(5)
    row.refresh_from_db()
    assert (Breaker.objects.get().state, row.state, row.autonomy) == ("half_open", "awaiting_approval", "auto")
    assert "a person must approve this attempt" in row.reason
    assert len(world.ledger.effects) == 3
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    world.answer_bells()
    assert world.ledger.effects[3:] == ["app-9"]
    well(world)
    world.ticks(6)
    row.refresh_from_db()
    assert (row.state, Breaker.objects.get().state, Breaker.objects.get().bad) == ("verified", "closed", 0)
    well(world, "app-10")
    world.ticks(2)
    assert world.ledger.effects[4:] == ["app-10"]  # by itself again


@pytest.mark.usefixtures("trusted")
def test_without_the_breaker_it_would_go_on_and_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without("breaker", monkeypatch)
    opened(world)
    well(world, "app-9")
    world.ticks(5)
    assert len(world.ledger.effects) == 4


@pytest.mark.usefixtures("trusted")
def test_half_open_opens_again_when_the_approved_attempt_fails(world: World) -> None:
    opened(world)
    world.now += timedelta(seconds=conf.BREAKER_REST_S)
    well(world, "app-9")
    world.ticks(3)
    row = world.remediation()
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    world.answer_bells()
    world.ticks(8)
    assert (world.states()[-1], Breaker.objects.get().state) == ("ineffective", "open")


def test_breaker_that_opens_after_the_gate_holds_at_the_claim(world: World) -> None:
    """Between ready and the effect: the guards are asked again in the transaction that commits the intent."""
    many(world)
    well(world, "app-1")
    world.now += timedelta(seconds=1)
    loop.evaluate(Rule.objects.get().pk, now=world.now)
    loop.sweep(now=world.now)
    loop.reconcile(world.incident().pk, now=world.now)
    loop.advance(world.remediation().pk, now=world.now)
    row = world.remediation()
    assert row.state == "ready"
    given = {"position": 1, "service": row.incident.service, "changed_at": world.now, "reason": "r", "bad": 3}
    breaker = Breaker.objects.create(playbook=row.playbook, state="half_open", **given)
    loop.act(row.pk, now=world.now)
    assert (world.states(), world.ledger.effects) == (["gated"], [])
    world.bells.clear()
    world.ticks(3)
    assert (world.states(), world.ledger.effects) == (["awaiting_approval"], [])
    Breaker.objects.filter(pk=breaker.pk).delete()


@pytest.mark.usefixtures("trusted")
def test_unreachable_target_fails_fast_and_opens_the_breaker(world: World) -> None:
    """Fault 16."""
    many(world)
    world.ledger.answer = world.ledger.refuse
    for number in (1, 2):
        well(world, f"app-{number}")
        world.ticks(12)
        well(world)
        world.ticks(3)
    assert set(world.states()[:3]) == {"failed"}
    assert Breaker.objects.get().state == "open"
    assert world.ledger.effects == []


@pytest.mark.usefixtures("trusted")
def test_nothing_is_kept_in_a_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All processes are killed in the middle of everything: what holds is in rows, and holds again. The plug-ins are
    made anew, as after a start."""
    opened(world)
    registry._found.cache_clear()
    monkeypatch.setitem(registry.backends(), "ledger", world.ledger)
    world.bells.clear()
    well(world, "app-9")
    world.ticks(5)
    assert world.states()[-1] == "gated"
    assert len(world.ledger.effects) == 3
    assert Transition.objects.filter(kind="breaker", to_state="open").count() == 1
