"""Invariant 13: what ends badly feeds the breaker, only what is verified resets it, and it never knows less than the
record does (invariant 4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from remediation import breakers, conf
from remediation.exceptions import Conflict
from remediation.models import Breaker, Remediation, Service, Transition, change
from tests.remediation.decide.situations import NOW, a_remediation, a_rule, an_incident
from tests.remediation.world import make_service

pytestmark = pytest.mark.django_db


@pytest.fixture
def web() -> Service:
    return make_service()


def end(service: Service, *states: str) -> Remediation:
    """An attempt that goes through these states. It holds no target, so that there may be several at once."""
    incident = an_incident(a_rule(service), service, fingerprint=f"f{Remediation.objects.count()}")
    row = a_remediation(incident, [], state="executing")
    for state in states:
        assert change(row, state, now=NOW, reason=f"is {state}")
    return row


def breaker() -> tuple[str, int]:
    row = Breaker.objects.get()
    return row.state, row.bad


BAD_WAYS: list[tuple[str, ...]] = [
    ("verifying", "ineffective"),
    ("verifying", "inconclusive"),
    ("failed",),
    ("unknown",),
    ("unknown", "failed"),
    ("unknown", "inconclusive"),
    ("unknown", "verifying", "ineffective"),
]


@pytest.mark.parametrize("way", BAD_WAYS, ids=" ".join)
def test_each_bad_end_counts_once(web: Service, way: tuple[str, ...]) -> None:
    for count in (1, 2):
        end(web, *way)
        assert breaker() == ("closed", count)
    end(web, *way)
    assert breaker() == ("open", 3)
    line = Transition.objects.get(kind="breaker")
    assert (line.from_state, line.to_state, line.facts["bad"]) == ("closed", "open", 3)
    assert line.reason.startswith("3 bad in a row, the last restart")


@pytest.mark.parametrize("way", [(), ("rolling_back", "rolled_back"), ("rolling_back", "inconclusive")])
def test_worsened_opens_at_once_and_its_undo_counts_no_more(web: Service, way: tuple[str, ...]) -> None:
    end(web, "verifying", "worsened", *way)
    assert breaker() == ("open", 1)


def test_only_verified_resets(web: Service) -> None:
    end(web, "failed")
    end(web, "failed")
    end(web, "verifying", "verified")
    assert breaker() == ("closed", 0)
    end(web, "failed")
    assert breaker() == ("closed", 1)


@pytest.mark.parametrize("state", ["self_recovered", "rejected", "expired", "superseded", "cancelled"])
def test_what_was_never_tried_neither_feeds_nor_resets(web: Service, state: str) -> None:
    end(web, "failed")
    row = end(web)
    Remediation.objects.filter(pk=row.pk).update(state="awaiting_approval")
    row.refresh_from_db()
    change(row, state, now=NOW, reason="r")
    assert breaker() == ("closed", 1)


def test_verified_without_a_breaker_makes_none(web: Service) -> None:
    end(web, "verifying", "verified")
    assert not Breaker.objects.exists()


def test_one_per_step_and_service(web: Service) -> None:
    cart = make_service("cart", targets=("cart-1",))
    for service in (web, cart, web):
        end(service, "failed")
    assert sorted(Breaker.objects.values_list("service__name", "bad")) == [("cart", 1), ("web", 2)]


def test_end_and_breaker_are_written_together_or_not_at_all(web: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 4: killed between the two, both are gone. Fed by a signal after the commit, the end would stand."""
    row = end(web)

    def killed(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(breakers, "feed", killed)
    with pytest.raises(KeyboardInterrupt):
        change(row, "failed", now=NOW, reason="r")
    assert Remediation.objects.get(pk=row.pk).state == "executing"
    assert not Transition.objects.filter(to_state="failed").exists()
    monkeypatch.undo()
    assert change(Remediation.objects.get(pk=row.pk), "failed", now=NOW, reason="r")
    assert breaker() == ("closed", 1)


def test_end_that_another_worker_wrote_first_feeds_nothing(web: Service) -> None:
    row = end(web)
    twin = Remediation.objects.get(pk=row.pk)
    assert change(row, "failed", now=NOW, reason="r")
    assert not change(twin, "failed", now=NOW, reason="r")
    assert breaker() == ("closed", 1)


def test_rests_then_half_open(web: Service) -> None:
    end(web, "verifying", "worsened")
    rest = timedelta(seconds=conf.BREAKER_REST_S)
    assert breakers.rest(now=NOW + rest - timedelta(seconds=1)) == 0
    assert breaker()[0] == "open"
    assert breakers.rest(now=NOW + rest) == 1
    assert breakers.rest(now=NOW + rest) == 0
    assert breaker()[0] == "half_open"


def test_half_open_closes_on_verified_and_opens_on_one_bad(web: Service) -> None:
    end(web, "verifying", "worsened")
    later = NOW + timedelta(seconds=conf.BREAKER_REST_S)
    breakers.rest(now=later)
    end(web, "verifying", "ineffective")
    assert breaker() == ("open", 2)
    breakers.rest(now=later)
    end(web, "verifying", "verified")
    assert breaker() == ("closed", 0)
    moves = list(Transition.objects.filter(kind="breaker").values_list("from_state", "to_state"))
    assert moves == [
        ("closed", "open"),
        ("open", "half_open"),
        ("half_open", "open"),
        ("open", "half_open"),
        ("half_open", "closed"),
    ]


def test_person_closes_it_once(web: Service) -> None:
    end(web, "verifying", "worsened")
    row = Breaker.objects.get()
    stale = Breaker.objects.get()
    breakers.close(row, by="ann", reason="disk replaced", now=NOW)
    assert breaker() == ("closed", 0)
    assert Transition.objects.filter(kind="breaker").last().actor == "ann"  # type: ignore[union-attr]
    for again in (row, stale):
        with pytest.raises(Conflict):
            breakers.close(again, by="bob", reason="me too", now=NOW)


def test_without_a_service_there_is_still_one(web: Service) -> None:
    incident = an_incident(a_rule(web), None, fingerprint="none")
    for _ in range(2):
        row = a_remediation(incident, [], state="executing")
        change(row, "failed", now=NOW, reason="r")
    assert breaker() == ("closed", 2)
