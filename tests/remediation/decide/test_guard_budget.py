"""Invariant 4: what was spent is counted from rows, so nothing that dies makes a budget new."""

from __future__ import annotations

import pytest

from remediation import conf
from remediation.models import RemediationTarget, Service, Target
from tests.remediation.decide.situations import a_situation, ago, ask, past
from tests.remediation.world import make_service

pytestmark = pytest.mark.django_db


@pytest.fixture
def web() -> Service:
    return make_service()


def test_service_budget_counts_its_window_only(web: Service) -> None:
    situation = a_situation(web, budget=2, budget_window_s=600)
    past(web, "app-2", seconds=601)
    past(web, "app-2", seconds=599)
    answer = ask("budget", situation)
    assert (answer.passed, answer.needs_person, answer.reason) == (
        True,
        False,
        "1 of 2 effects spent in the last 10 min",
    )
    past(web, "app-1", seconds=10)
    answer = ask("budget", situation)
    assert (answer.passed, answer.needs_person, answer.numbers["spent"]) == (False, True, 2)


def test_what_had_no_effect_spends_nothing(web: Service) -> None:
    situation = a_situation(web, budget=1)
    past(web, "app-1", seconds=10, effect_started_at=None, state="failed")
    assert ask("budget", situation).passed


def test_target_has_a_budget_of_its_own(web: Service) -> None:
    situation = a_situation(web, budget=9, budget_per_target=1)
    past(web, "app-2", seconds=10)
    assert ask("budget", situation).passed
    past(web, "app-1", seconds=10)
    answer = ask("budget", situation)
    assert not answer.passed
    assert answer.reason == "1 of 1 effects spent on app-1 in the last 60 min"


def test_target_that_an_older_effect_reached_in_the_window_counts_by_its_own_time(web: Service) -> None:
    situation = a_situation(web, budget=9, budget_per_target=1, budget_window_s=600)
    row = past(web, "app-1", seconds=700)
    assert ask("budget", situation).passed
    RemediationTarget.objects.filter(remediation=row).update(effect_started_at=ago(500))
    assert not ask("budget", situation).passed


def test_failure_domain_has_a_budget_across_services(web: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "BUDGET_PER_DOMAIN", 2)
    cart = make_service("cart", targets=("cart-1", "cart-2"))
    for name, zone in (("app-1", "a"), ("cart-1", "a"), ("cart-2", "b")):
        Target.objects.filter(name=name).update(labels={"target": name, "zone": zone})
    situation = a_situation(web, domain="zone")
    for seconds in (10, 20, 30):
        past(cart, "cart-2", seconds=seconds)
    past(cart, "cart-1", seconds=10)
    assert ask("budget", situation).passed
    past(cart, "cart-1", seconds=20)
    answer = ask("budget", situation)
    assert (answer.passed, answer.reason) == (False, "2 of 2 effects spent in zone a in the last 60 min")
    assert ask("budget", a_situation(cart, target="cart-1", domain="", budget=9)).passed


def test_everywhere_is_everywhere(web: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "BUDGET_EVERYWHERE", 3)
    situation = a_situation(web)
    for name in ("a", "b", "c"):
        past(make_service(name, targets=(f"{name}-1",)), f"{name}-1", seconds=3599 if name == "a" else 1)
    answer = ask("budget", situation)
    assert (answer.passed, answer.reason) == (False, "3 of 3 effects spent everywhere in the last 60 min")


def test_plan_of_an_older_version_lacks_what_came_later(web: Service) -> None:
    situation = a_situation(web, budget_per_target=1, domain="zone")
    past(web, "app-1", seconds=10)
    for name in ("budget_per_target", "domain", "min_healthy", "rollout"):
        situation.remediation.plan["step"].pop(name)
    for guard in ("budget", "concurrency", "blast_radius"):
        assert ask(guard, situation).passed
