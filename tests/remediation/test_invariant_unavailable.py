"""Invariant 7: from its intent until its proof, what is being acted on counts as unavailable in every budget."""

from __future__ import annotations

import pytest

from remediation import conf
from remediation.decide.guards.busy import AT_WORK
from tests.remediation.decide.situations import a_situation, ask, past
from tests.remediation.world import make_service

pytestmark = [pytest.mark.django_db, pytest.mark.parametrize("state", AT_WORK)]

FOUR = tuple(f"app-{number}" for number in range(1, 5))


def test_what_is_acted_on_does_not_stay(state: str) -> None:
    """app-1 is broken, app-3 is to be restarted: of the two others app-2 is being acted on."""
    web = make_service(targets=FOUR)
    situation = a_situation(web, target="app-1", select=("app-3",), min_healthy=2)
    assert ask("blast_radius", situation).passed
    past(web, "app-2", seconds=5, state=state)
    answer = ask("blast_radius", situation)
    assert (answer.passed, answer.numbers["available"], answer.numbers["stay"]) == (False, 2, 1)


def test_what_is_acted_on_takes_a_place(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "CONCURRENCY", 1)
    situation = a_situation()
    assert ask("concurrency", situation).passed
    past(make_service("cart", targets=("cart-1",)), "cart-1", seconds=5, state=state)
    assert not ask("concurrency", situation).passed


def test_what_is_acted_on_is_spent(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the service's budget, and of everything's. (Of a target's own nothing else is spent: it is held.)"""
    monkeypatch.setattr(conf, "BUDGET_EVERYWHERE", 1)
    web = make_service()
    situation = a_situation(web, target="app-2", budget=1)
    assert ask("budget", situation).passed
    past(web, "app-1", seconds=5, state=state)
    answer = ask("budget", situation)
    assert (answer.passed, answer.needs_person) == (False, True)
    assert (answer.numbers["spent"], answer.numbers["spent everywhere"]) == (1, 1)
