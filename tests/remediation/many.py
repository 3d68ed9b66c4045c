"""A service of many targets, for tests of what holds automation."""

from __future__ import annotations

from typing import Any

import pytest

from remediation import registry, trust
from remediation.decide.guards.base import Answer
from remediation.models import Remediation
from tests.remediation.world import World, make_playbook, make_rule, make_service

NAMES = tuple(f"app-{number}" for number in range(12))


def without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the guard let everything pass."""
    monkeypatch.setattr(registry.guards()[name], "ask", lambda situation: Answer(passed=True, reason="away"))


def keep_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """A playbook keeps `auto` whatever it does: what holds is the guard alone."""
    monkeypatch.setattr(trust, "_distrust", lambda playbook, *, now: "")


def well(world: World, *down: str, names: tuple[str, ...] = NAMES) -> None:
    world.set({name: float(name not in down) for name in names})


def many(world: World, **step: Any) -> None:
    """A service of a dozen targets, all of them well."""
    make_rule(make_service(targets=NAMES))
    make_playbook(**({"min_healthy": 0, "budget": 99} | step))
    well(world)
    world.tick()


def said(row: Remediation, guard: str) -> dict[str, Any]:
    return next(one for one in row.guards if one["guard"] == guard)
