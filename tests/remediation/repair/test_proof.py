"""What else has to hold, and repairs that do not last."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remediation.models import Remediation, Transition
from remediation.observe import window
from remediation.observe.base import Question
from remediation.series import Matrix
from tests.remediation.world import World, make_playbook, make_rule, make_service

WELL, BAD = {"app-1": 1.0, "app-2": 1.0}, {"app-1": 0.0, "app-2": 1.0}
ERRORS = {"query": "errors", "op": "<", "value": 0.05}


def repaired(world: World, *, queries: list[dict[str, Any]], **step: Any) -> World:
    """A restart has just taken place, and its own condition is well again."""
    make_rule(make_service())
    make_playbook(verify_queries=queries, **step)
    world.set(WELL)
    world.tick()
    world.set(BAD)
    world.tick()
    world.set(WELL)
    return world


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"app-1": 0.01, "app-2": 0.02}, "verified"),
        ({"app-1": 0.01, "app-2": 0.5}, "ineffective"),  # every series has to hold
        ({}, "inconclusive"),  # no series is unknown
        ({"app-1": 0.01, "app-2": float("nan")}, "inconclusive"),
    ],
)
def test_every_series_of_a_further_query_has_to_hold(world: World, values: dict[str, float], state: str) -> None:
    world.set(values, query="errors")
    repaired(world, queries=[ERRORS]).ticks(16)
    assert world.states()[0] == state
    assert Remediation.objects.first().checks[-1]["queries"][0]["reason"].startswith("errors")  # type: ignore[union-attr]


@pytest.mark.parametrize("asked", [{"query": "errors"}, {"query": "errors", "op": "~", "value": 1}, {}, "errors"])
def test_query_that_cannot_be_read_is_unknown(world: World, asked: Any) -> None:
    world.set(WELL, query="errors")
    repaired(world, queries=[asked]).ticks(16)
    assert world.states() == ["inconclusive"]


def test_further_query_does_not_reach_back_before_the_effect(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """rate(x[60s]) needs 60 s after the effect before it says anything about it."""
    fetch = world.fetch

    def reaching(client: Any, question: Question, *, now: float) -> Matrix:
        return replace(fetch(client, question, now=now), reach_s=60.0 if question.query == "errors" else 0.0)

    monkeypatch.setattr(window, "fetch", reaching)
    world.set({"a": 0.0}, query="errors")
    repaired(world, queries=[ERRORS]).ticks(55)
    assert world.states() == ["verifying"]
    world.ticks(12)
    assert world.states() == ["verified"]


# --- relapses ---


@pytest.mark.parametrize(("after_s", "counts"), [(30, True), (700, False)])
def test_fault_that_comes_back_soon_is_a_relapse(world: World, after_s: float, counts: bool) -> None:
    repaired(world, queries=[], relapse_s=600).ticks(5)
    assert world.states() == ["verified"]
    world.now += timedelta(seconds=after_s)
    world.tick()
    world.set(BAD)
    world.ticks(2)
    first = Remediation.objects.order_by("pk")[0]
    assert (first.relapsed_at is not None) == counts
    assert Transition.objects.filter(to_state="relapsed").count() == int(counts)


def test_relapse_in_the_same_episode_is_one_too(world: World) -> None:
    make_rule(make_service(), keep_firing_for_s=60)
    make_playbook(verbs=("restart", "restart"))
    world.set({"app-1": 0})
    world.tick()
    world.set({"app-1": 1})
    world.ticks(5)
    world.set({"app-1": 0})
    world.ticks(12)
    assert Remediation.objects.order_by("pk")[0].relapsed_at is not None


def test_another_series_is_no_relapse(world: World) -> None:
    repaired(world, queries=[]).ticks(5)
    world.set({"app-1": 1, "app-2": 0})
    world.ticks(3)
    assert Remediation.objects.order_by("pk")[0].relapsed_at is None
