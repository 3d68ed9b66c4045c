"""Invariants 2, 3 and 8: what is written together, what is committed when a target is touched, and who may report."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from remediation import loop, repair
from remediation.exceptions import EffectNotStarted
from remediation.models import Remediation, RemediationTarget, Rule, Transition, change
from remediation.models import transition as transitions
from remediation.targets.base import Attempt, Effect, TargetRef
from tests.remediation.world import World, make_playbook, make_rule, make_service

BAD = {"app-1": 0.0, "app-2": 1.0}
WELL = {"app-1": 1.0, "app-2": 1.0}


def shop(world: World, **step: Any) -> World:
    """A service whose app-1 has just gone down."""
    make_rule(make_service())
    make_playbook(**step)
    world.set(WELL)
    world.tick()
    world.set(BAD)
    return world


@pytest.mark.parametrize("lost", ["incident", "remediation"])
def test_state_and_history_are_written_together_or_not_at_all(
    world: World, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Killed between the two, neither is there."""
    shop(world, verify_within_s=60).tick()
    row: Any = world.incident() if lost == "incident" else world.remediation()
    before = (row.state, Transition.objects.count())

    def killed(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(transitions, "record", killed)
    with pytest.raises(KeyboardInterrupt):
        change(row, "resolved" if lost == "incident" else "verified", now=world.now, reason="r")
    row.refresh_from_db()
    assert (row.state, Transition.objects.count()) == before


def test_the_intent_is_committed_when_the_target_is_touched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is open around the effect is the test's own transaction and nothing else: a process that dies now leaves the
    intent behind, with the key and the fencing number that the target was shown."""
    shop(world, max_attempts=2)
    around = len(connection.savepoint_ids)
    touched: list[tuple[int, int]] = []

    def restart(target: TargetRef, attempt: Attempt) -> Effect:
        row, hold = Remediation.objects.latest("pk"), RemediationTarget.objects.latest("pk")
        assert (row.state, attempt.fence, attempt.key) == ("executing", row.fence, f"{row.key}:{target.id}")
        assert hold.effect_started_at is not None
        touched.append((len(connection.savepoint_ids) - around, attempt.fence))
        raise EffectNotStarted("refused")

    monkeypatch.setattr(world.ledger, "restart", restart)
    world.tick()
    assert touched == [(0, 1)]


def test_a_worker_whose_lease_has_passed_reports_nothing(world: World) -> None:
    """It was stopped for a minute in the middle of a call, as a machine that is moved is."""
    shop(world, timeout_s=5)

    def sleep(target: TargetRef) -> None:
        world.now += timedelta(seconds=60)

    world.ledger.answer = sleep
    world.tick()
    assert world.ledger.effects == ["app-1"]
    assert world.states() == ["executing"]
    world.ledger.answer = lambda target: None
    world.tick()
    assert Transition.objects.filter(to_state="unknown", kind="remediation").count() == 1


def test_an_alert_that_ends_during_the_effect_lets_it_finish(world: World) -> None:
    shop(world)

    def heal(target: TargetRef) -> None:
        world.set(WELL)
        world.now += timedelta(seconds=1)
        for rule in Rule.objects.all():
            loop.evaluate(rule.pk, now=world.now)
        assert world.incident().state == "resolved"
        for row in Remediation.objects.all():
            repair.advance(row, now=world.now)

    world.ledger.answer = heal
    world.tick()
    assert (world.ledger.effects, world.states()) == (["app-1"], ["verifying"])
    world.ledger.answer = lambda target: None
    world.ticks(4)
    assert world.states() == ["verified"]
