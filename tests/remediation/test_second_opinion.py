"""Where a source is confirmed by another one, an effect needs both to say bad."""

from __future__ import annotations

from typing import Any

import pytest

from remediation.models import (
    Source,
)
from tests.remediation.many import NAMES, many, said, well
from tests.remediation.world import World


@pytest.fixture
def second(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Another server that scrapes the same: the test says what it sees; nothing at first means that it is away."""
    many(world)
    other = Source.objects.create(name="second", url="http://127.0.0.1:2", stale_after_s=4)
    Source.objects.filter(name="prom").update(confirmed_by=other)
    sees: dict[str, float] = {}
    from remediation import condition, judging  # noqa: PLC0415
    from remediation.observe import window  # noqa: PLC0415

    for module in (condition, judging):
        monkeypatch.setattr(module, "client_for", lambda source: source.name)
    first = world.fetch

    def fetch(client: Any, question: Any, *, now: float) -> Any:
        if client != "second":
            return first(client, question, now=now)
        mine, world.samples = world.samples, {question.query: dict(sees)}
        try:
            return first(client, question, now=now)
        finally:
            world.samples = mine

    monkeypatch.setattr(window, "fetch", fetch)
    return sees


def test_effect_needs_both_to_say_bad(world: World, second: dict[str, float]) -> None:
    second |= dict.fromkeys(NAMES, 1.0)
    well(world, "app-1")
    world.ticks(3)
    row = world.remediation()
    assert (row.state, world.ledger.effects) == ("gated", [])
    assert row.reason.startswith("Disagreement: prom says bad, second says ok: ")
    assert not said(row, "disagreement")["passed"]
    second["app-1"] = 0.0
    world.ticks(12)
    assert world.ledger.effects == ["app-1"]


def test_what_the_second_does_not_know_confirms_nothing(world: World, second: dict[str, float]) -> None:
    well(world, "app-1")
    world.ticks(3)
    assert (world.states(), world.ledger.effects) == (["gated"], [])
    assert "second says unknown" in world.remediation().reason


def test_second_that_is_switched_off_confirms_nothing(world: World, second: dict[str, float]) -> None:
    second |= dict.fromkeys(NAMES, 0.0)
    Source.objects.filter(name="second").update(enabled=False)
    well(world, "app-1")
    world.ticks(3)
    assert (world.states(), world.ledger.effects) == (["gated"], [])
    assert "it is switched off" in world.remediation().reason
