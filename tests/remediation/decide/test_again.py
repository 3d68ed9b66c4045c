"""Asking again for what nobody approved, and taking an incident over by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from remediation.decide import again, approval, takeover
from remediation.exceptions import Conflict, NotAllowed
from remediation.models import Incident, Remediation, Transition
from tests.remediation.world import World, make_playbook, make_rule, make_service, make_user


def waiting(world: World, **step: Any) -> Remediation:
    """A remediation that awaits approval."""
    make_rule(make_service())
    make_playbook(autonomy="approve", **step)
    world.set({"app-1": 1, "app-2": 1})
    world.tick()
    world.set({"app-1": 0, "app-2": 1})
    world.tick()
    return world.remediation()


def expired(world: World, **step: Any) -> Remediation:
    row = waiting(world, approval_ttl_s=5, **step)
    world.ticks(8)
    row.refresh_from_db()
    assert (row.state, world.incident().needs_person) == ("expired", True)
    return row


def rejected(world: World, **step: Any) -> Remediation:
    row = waiting(world, **step)
    approval.reject(row, user=make_user("zoe", "approver"), digest=row.digest, reason="no", now=world.now)
    world.ticks(2)
    row.refresh_from_db()
    assert (row.state, world.incident().needs_person) == ("rejected", True)
    return row


@pytest.mark.parametrize("ended", [expired, rejected])
def test_asked_again_the_same_rung_is_planned_anew(world: World, ended: Any) -> None:
    row = ended(world, max_attempts=2)
    again.ask_again(row, user=make_user("olga", "operator"), now=world.now)
    world.ticks(2)
    new = world.remediation()
    assert (new.pk != row.pk, new.state) == (True, "awaiting_approval")
    assert (new.position, new.attempt) == (row.position, row.attempt)
    line = Transition.objects.get(to_state="asked again")
    assert (line.actor, line.facts) == ("olga", {"remediation": row.pk})
    ann = make_user("ann", "approver")
    approval.approve(new, user=ann, digest=new.digest, now=world.now)
    world.ticks(1)
    assert world.ledger.effects == ["app-1"]


def test_nothing_is_planned_anew_unless_somebody_asks(world: World) -> None:
    expired(world)
    Incident.objects.update(needs_person=False, decide_at=world.now)
    world.ticks(10)
    assert (world.states(), world.incident().needs_person) == (["expired"], True)


def test_asked_again_counts_for_one_expiry_only(world: World) -> None:
    row = expired(world)
    olga = make_user("olga", "operator")
    again.ask_again(row, user=olga, now=world.now)
    world.ticks(12)
    assert world.states() == ["expired", "expired"]
    assert world.incident().needs_person
    again.ask_again(world.remediation(), user=olga, now=world.now)
    world.ticks(2)
    assert world.states() == ["expired", "expired", "awaiting_approval"]


def test_what_nobody_approved_was_no_attempt(world: World) -> None:
    """Two attempts are allowed: the one that expired leaves both."""
    row = expired(world, max_attempts=2, verify_within_s=3)
    again.ask_again(row, user=make_user("olga", "operator"), now=world.now)
    world.ticks(2)
    ann = make_user("ann", "approver")
    new = world.remediation()
    approval.approve(new, user=ann, digest=new.digest, now=world.now)
    world.ticks(20)
    assert [one.attempt for one in Remediation.objects.order_by("pk")] == [1, 1, 2]


def test_who_may_not_operate_asks_for_nothing(world: World) -> None:
    row = expired(world)
    with pytest.raises(NotAllowed):
        again.ask_again(row, user=make_user("vic", "viewer"), now=world.now)
    assert world.incident().needs_person


def test_twice_is_a_conflict(world: World) -> None:
    row = expired(world)
    olga = make_user("olga", "operator")
    again.ask_again(row, user=olga, now=world.now)
    with pytest.raises(Conflict, match="already"):
        again.ask_again(row, user=olga, now=world.now)


def test_what_is_under_way_over_or_was_done_cannot_be_asked_for(world: World) -> None:
    row = waiting(world)
    olga = make_user("olga", "operator")
    with pytest.raises(Conflict, match="under way"):
        again.ask_again(row, user=olga, now=world.now)
    world.set({"app-1": 1, "app-2": 1})
    world.ticks(3)
    with pytest.raises(Conflict, match="over"):
        again.ask_again(row, user=olga, now=world.now)


# --- by hand ---


def test_taking_it_over_keeps_who_and_until_when(world: World) -> None:
    waiting(world)
    olga = make_user("olga", "operator")
    takeover.take(world.incident(), user=olga, for_s=900, now=world.now)
    row = world.incident()
    assert (row.taken_by, row.taken_until) == (olga, world.now + timedelta(seconds=900))
    assert takeover.holder(row, now=world.now) == "olga"
    assert takeover.holder(row, now=world.now + timedelta(seconds=900)) == ""


def test_it_is_prolonged_by_who_has_it_and_refused_to_others(world: World) -> None:
    waiting(world)
    olga, otto = make_user("olga", "operator"), make_user("otto", "operator")
    takeover.take(world.incident(), user=olga, for_s=900, now=world.now)
    with pytest.raises(Conflict, match="olga is on it"):
        takeover.take(world.incident(), user=otto, for_s=900, now=world.now)
    later = world.now + timedelta(seconds=600)
    takeover.take(world.incident(), user=olga, for_s=3600, now=later)
    assert world.incident().taken_until == later + timedelta(seconds=3600)
    takeover.take(world.incident(), user=otto, for_s=900, now=later + timedelta(seconds=3600))
    said = Transition.objects.filter(kind="incident", to_state__in=("taken", "prolonged"))
    assert list(said.values_list("to_state", "actor")) == [("taken", "olga"), ("prolonged", "olga"), ("taken", "otto")]


def test_anybody_who_operates_hands_it_back_once(world: World) -> None:
    waiting(world)
    olga, otto = make_user("olga", "operator"), make_user("otto", "operator")
    takeover.take(world.incident(), user=olga, for_s=900, now=world.now)
    takeover.hand_back(world.incident(), user=otto, now=world.now)
    row = world.incident()
    assert (row.taken_by, row.taken_until) == (None, None)
    assert Transition.objects.get(to_state="handed back").facts == {"taken_by": "olga"}
    with pytest.raises(Conflict):
        takeover.hand_back(row, user=otto, now=world.now)


@pytest.mark.parametrize("for_s", [0, -900, 1, 86400])
def test_only_the_lengths_that_are_offered(world: World, for_s: int) -> None:
    waiting(world)
    with pytest.raises(ValueError, match="no length"):
        takeover.take(world.incident(), user=make_user("olga", "operator"), for_s=for_s, now=world.now)


def test_while_a_person_is_on_it_automation_waits_and_then_goes_on(world: World) -> None:
    row = waiting(world, approval_ttl_s=9000)
    takeover.take(world.incident(), user=make_user("olga", "operator"), for_s=900, now=world.now)
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    world.ticks(4)
    assert (world.states(), world.ledger.effects) == (["gated"], [])
    world.tick(900)
    world.ticks(4)
    assert world.ledger.effects == ["app-1"]


def test_a_viewer_takes_nothing_and_what_is_over_is_not_taken(world: World) -> None:
    waiting(world)
    with pytest.raises(NotAllowed):
        takeover.take(world.incident(), user=make_user("vic", "viewer"), for_s=900, now=world.now)
    world.set({"app-1": 1, "app-2": 1})
    world.ticks(3)
    with pytest.raises(Conflict, match="over"):
        takeover.take(world.incident(), user=make_user("olga", "operator"), for_s=900, now=world.now)
