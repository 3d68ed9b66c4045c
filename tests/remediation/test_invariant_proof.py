"""Invariants 12 and 14 in the loop: what a range rests on, and what nobody can tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from remediation.exceptions import EffectUncertain
from remediation.observe import window
from remediation.observe.base import Question
from remediation.series import Matrix
from remediation.targets.base import Facts, TargetRef
from tests.remediation.world import World, make_playbook, make_rule, make_service

RANGE_S = 30.0


def broken(world: World, **step: Any) -> World:
    make_rule(make_service())
    make_playbook(**step)
    world.set({"app-1": 1, "app-2": 1})
    world.tick()
    world.set({"app-1": 0, "app-2": 1})
    return world


def test_a_range_that_reaches_back_before_the_effect_proves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every sample of the condition is a rate over half a minute."""
    fetch = window.fetch

    def over_a_range(client: Any, question: Question, *, now: float) -> Matrix:
        return replace(fetch(client, question, now=now), reach_s=RANGE_S)

    monkeypatch.setattr(window, "fetch", over_a_range)
    broken(world, verify_within_s=60).tick()
    effect_at = world.now.timestamp()
    world.set({"app-1": 1, "app-2": 1})
    while world.states() == ["verifying"]:
        world.tick()
        assert world.now.timestamp() < effect_at + 60
    row = world.remediation()
    assert row.state == "verified"
    assert row.ended_at is not None
    assert row.ended_at.timestamp() >= effect_at + RANGE_S


@pytest.mark.parametrize("attempts", [1, 3])
def test_what_nobody_can_tell_is_not_tried_again(world: World, attempts: int) -> None:
    """The answer was lost, and the target says nothing any more: a person is called, whatever the step allows."""
    broken(world, max_attempts=attempts, timeout_s=1)
    state = world.ledger.state
    deaf: list[bool] = []

    def lose(target: TargetRef) -> None:
        deaf.append(True)
        raise EffectUncertain("the answer was lost")

    def silent(target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
        if deaf:
            raise EffectUncertain("no answer")
        return state(target, timeout_s=timeout_s)

    world.ledger.answer = lose
    world.ledger.state = silent  # type: ignore[method-assign]
    world.ticks(90)
    deaf.clear()
    world.ledger.answer = lambda target: None
    world.ticks(30)
    assert (world.states(), world.ledger.effects) == (["inconclusive"], [])
    assert "nobody can tell what happened" in world.incident().attention
