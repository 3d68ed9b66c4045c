"""A few repairs at once everywhere, and one failure domain of a service at a time."""

from __future__ import annotations

import pytest

from remediation import conf
from remediation.models import Remediation, Target
from tests.remediation.decide.situations import a_situation, ask, past
from tests.remediation.world import make_service

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("state", ["executing", "unknown", "verifying", "rolling_back"])
def test_no_more_than_so_many_at_once_everywhere(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "CONCURRENCY", 2)
    situation = a_situation(make_service())
    for name in ("a", "b"):
        assert ask("concurrency", situation).passed
        past(make_service(name, targets=(f"{name}-1",)), f"{name}-1", seconds=5, state=state)
    answer = ask("concurrency", situation)
    assert (answer.passed, answer.reason) == (False, "2 repairs are under way everywhere, 2 allowed")
    Remediation.objects.filter(state=state).update(state="ready")
    assert ask("concurrency", situation).passed


def test_one_failure_domain_at_a_time() -> None:
    web = make_service(targets=("app-1", "app-2", "app-3"))
    for name, zone in (("app-1", "a"), ("app-2", "a"), ("app-3", "b")):
        Target.objects.filter(name=name).update(labels={"target": name, "zone": zone})
    situation = a_situation(web, domain="zone")
    past(web, "app-2", seconds=5, state="verifying")
    assert ask("concurrency", situation).passed
    past(web, "app-3", seconds=5, state="executing")
    answer = ask("concurrency", situation)
    assert (answer.passed, answer.reason) == (False, "one failure domain at a time: zone b is being repaired")
    situation.remediation.plan["step"]["domain"] = ""
    assert ask("concurrency", situation).passed


def test_other_services_have_domains_of_their_own() -> None:
    web, cart = make_service(), make_service("cart", targets=("cart-1",))
    Target.objects.filter(name="cart-1").update(labels={"zone": "b"})
    situation = a_situation(web, domain="zone")
    past(cart, "cart-1", seconds=5, state="executing")
    assert ask("concurrency", situation).passed
