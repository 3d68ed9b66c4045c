"""A probe names the very attempt that it asks about, and who asks."""

from __future__ import annotations

from typing import Any

import pytest

from remediation.act import execution
from remediation.targets.base import Attempt
from tests.remediation.world import World, make_playbook, make_rule, make_service


def test_the_probe_of_a_lost_answer_carries_the_key_of_its_effect(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Attempt | None] = []
    probe = execution.probe

    def noted(verb: str, target: Any, call: Any, attempt: Attempt | None = None) -> Any:
        asked.append(attempt)
        return probe(verb, target, call, attempt)

    monkeypatch.setattr(execution, "probe", noted)
    make_rule(make_service(targets=("app-1",)))
    make_playbook()
    keys: list[str] = []

    def lose(target: Any) -> None:
        row = world.remediation()
        keys.append(f"{row.key}:{target.id}")
        world.ledger.lose_answer(target)

    world.ledger.answer = lose
    world.set({"app-1": 0})
    for _ in range(8):
        world.tick()
        if asked:
            break
    row = world.remediation()
    assert [(one.key, one.fence) for one in asked if one] == [(keys[0], row.fence)]
