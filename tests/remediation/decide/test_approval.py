"""Whose yes counts, what a risky step asks for, and what happens when several people answer at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone

from remediation import loop, registry
from remediation.act.restart import Restart
from remediation.decide import approval
from remediation.exceptions import Conflict, HomeostatError, NotAllowed
from remediation.models import Approval, PlaybookVersion, Remediation, RuleVersion, Transition
from remediation.repair.claim import still_wanted
from tests.dashboard import factories
from tests.remediation.threaded import Apart
from tests.remediation.world import World, make_playbook, make_rule, make_service, make_user


class Risky(Restart):
    risky = True


def waiting(world: World, **step: Any) -> Remediation:
    """A remediation that awaits approval."""
    make_rule(make_service())
    make_playbook(autonomy="approve", **step)
    world.set({"app-1": 1, "app-2": 1})
    world.tick()
    world.set({"app-1": 0, "app-2": 1})
    world.tick()
    row = world.remediation()
    assert row.state == "awaiting_approval", row.reason
    return row


def signed(world: World, row: Remediation, *people: User) -> Remediation:
    for user in people:
        approval.approve(row, user=user, digest=row.digest, now=world.now)
    row.refresh_from_db()
    return row


# --- two people ---


@pytest.mark.parametrize("line", ["ann", "ann, from version 3", "ann, insisting on too few samples", "ann (terminal)"])
@pytest.mark.parametrize(
    ("versions", "why"), [(PlaybookVersion, "wrote its playbook"), (RuleVersion, "wrote the rule that fired")]
)
def test_the_author_does_not_count_where_two_are_asked(world: World, versions: Any, why: str, line: str) -> None:
    versions.objects.update(author="test")
    row = waiting(world, approvals=2)
    versions.objects.update(author=line)
    with pytest.raises(NotAllowed, match=why):
        signed(world, row, make_user("ann", "approver"))
    assert not Approval.objects.exists()


def test_the_author_of_another_version_counts(world: World) -> None:
    row = waiting(world, approvals=2)
    PlaybookVersion.objects.create(playbook=row.playbook, number=99, body={}, author="ann", at=world.now)
    signed(world, row, make_user("ann", "approver"), make_user("bob", "approver"))
    assert row.state == "ready"


def test_the_author_may_approve_a_step_for_one_person(world: World) -> None:
    row = waiting(world)
    PlaybookVersion.objects.update(author="ann")
    assert signed(world, row, make_user("ann", "approver")).state == "ready"


def test_the_author_may_reject_a_step_for_two(world: World) -> None:
    row = waiting(world, approvals=2)
    PlaybookVersion.objects.update(author="ann")
    approval.reject(row, user=make_user("ann", "approver"), digest=row.digest, reason="", now=world.now)
    assert world.states()[0] == "rejected"


def lose_role(user: User) -> None:
    user.groups.clear()


def leave(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize("happens", [lose_role, leave])
def test_a_signature_counts_while_its_person_may(world: World, happens: Callable[[User], None]) -> None:
    row = waiting(world, approvals=2)
    ann = make_user("ann", "approver")
    signed(world, row, ann)
    happens(ann)
    assert signed(world, row, make_user("bob", "approver")).state == "awaiting_approval"
    assert signed(world, row, make_user("cat", "approver")).state == "ready"


@pytest.mark.parametrize("happens", [lose_role, leave])
def test_who_may_no_longer_stops_the_effect(world: World, happens: Callable[[User], None]) -> None:
    row = waiting(world)
    ann = make_user("ann", "approver")
    signed(world, row, ann)
    happens(ann)
    world.answer_bells()
    assert (world.states()[0], world.ledger.effects) == ("superseded", [])


def test_who_may_no_longer_is_asked_in_the_claim_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken away after the condition was asked, right before the intent is committed."""
    row = waiting(world)
    ann = make_user("ann", "approver")
    signed(world, row, ann)

    def and_then(*given: Any, **more: Any) -> object:
        answer = still_wanted(*given, **more)
        lose_role(ann)
        return answer

    monkeypatch.setattr("remediation.repair.effect.still_wanted", and_then)
    world.answer_bells()
    assert (world.states()[0], world.ledger.effects) == ("superseded", [])


def test_a_plan_changed_after_approval_is_not_carried_out(world: World) -> None:
    row = waiting(world)
    signed(world, row, make_user("ann", "approver"))
    Remediation.objects.update(plan=row.plan | {"evidence": {}})
    world.answer_bells()
    assert (world.states()[0], world.ledger.effects) == ("superseded", [])


def test_a_plan_changed_before_approval_is_a_conflict(world: World) -> None:
    row = waiting(world)
    Remediation.objects.update(plan=row.plan | {"evidence": {}})
    with pytest.raises(Conflict, match="no longer the one"):
        signed(world, row, make_user("ann", "approver"))


def test_too_late_after_it_healed(world: World) -> None:
    row = waiting(world)
    world.set({"app-1": 1, "app-2": 1})
    world.ticks(3)
    with pytest.raises(Conflict, match="self recovered"):
        signed(world, row, make_user("ann", "approver"))
    assert world.ledger.effects == []


# --- risky ---


@pytest.mark.parametrize("typed", ["", "app", "app-2", "APP-1", "app-1 app-2", "app-1\n, app-2"])
def test_a_risky_step_wants_the_name_of_its_target(world: World, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    row = waiting(world)
    monkeypatch.setitem(registry.verbs(), "restart", Risky())
    with pytest.raises(approval.Unconfirmed, match="app-1"):
        approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now, typed=typed)
    assert not Approval.objects.exists()


def test_a_risky_step_goes_on_with_the_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = waiting(world)
    monkeypatch.setitem(registry.verbs(), "restart", Risky())
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now, typed=" app-1 ")
    assert world.states() == ["ready"]


def test_all_names_are_typed_in_any_order() -> None:
    row = Remediation(verb="failover", plan={"targets": [{"name": "one"}, {"name": "two"}]})
    assert [approval.confirms(row, typed) for typed in ("one", "two, one", "one two", "one two three")] == [
        False,
        True,
        True,
        False,
    ]


def test_a_verb_that_is_gone_counts_as_risky() -> None:
    assert approval.is_risky(Remediation(verb="no such verb"))


# --- forged messages ---


def test_a_message_for_an_unapproved_row_does_nothing_and_is_kept(world: World) -> None:
    row = waiting(world)
    for _ in range(3):
        loop.act(row.pk, now=world.now)
    assert (world.states(), world.ledger.effects) == (["awaiting_approval"], [])
    line = Transition.objects.get(to_state="refused")
    assert (line.object_id, line.reason) == (
        row.pk,
        "an effect was asked for while this is awaiting approval; nothing was done",
    )


def test_a_message_for_a_row_made_ready_without_a_signature_does_nothing(world: World) -> None:
    row = waiting(world)
    Remediation.objects.update(state="ready")
    loop.act(row.pk, now=world.now)
    assert (world.states()[0], world.ledger.effects) == ("superseded", [])


def test_a_message_for_a_row_of_nowhere_does_nothing(world: World) -> None:
    loop.act(987_654, now=world.now)


# --- at the same instant ---


def at_once(*calls: Callable[[], object]) -> list[object]:
    """The results, or the exceptions, of calls that begin together in threads of their own."""
    start = threading.Barrier(len(calls))
    results: list[object] = [None] * len(calls)

    def run(place: int, call: Callable[[], object]) -> None:
        start.wait()
        try:
            results[place] = call()
        except HomeostatError as error:
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def asked(needed: int) -> tuple[Remediation, list[User]]:
    """A plan that awaits approval, and three people who may answer it."""
    people = [factories.a_user("approver") for _ in range(3)]
    incident = factories.an_incident(factories.a_rule(factories.a_service()))
    return factories.a_remediation(incident, approvals_needed=needed), people


def yes(row: Remediation, user: User) -> Callable[[], object]:
    return lambda: approval.approve(row, user=user, digest=row.digest, now=timezone.now())


def no(row: Remediation, user: User) -> Callable[[], object]:
    return lambda: approval.reject(row, user=user, digest=row.digest, reason="", now=timezone.now())


def one_winner() -> None:
    for _ in range(8):
        row, (ann, bob, _) = asked(needed=1)
        approved, rejected = at_once(yes(row, ann), no(row, bob))
        row.refresh_from_db()
        assert sorted((isinstance(approved, Conflict), isinstance(rejected, Conflict))) == [False, True]
        winner = f"rejected by {bob}" if isinstance(approved, Conflict) else f"approved by {ann}"
        assert winner in str(approved if isinstance(approved, Conflict) else rejected)
        assert row.state == ("rejected" if isinstance(approved, Conflict) else "ready")


def ready_once() -> None:
    row, people = asked(needed=2)
    at_once(*(yes(row, user) for user in people))
    row.refresh_from_db()
    assert row.state == "ready"
    assert Transition.objects.filter(object_id=row.pk, kind="remediation", to_state="ready").count() == 1


def one_signature() -> None:
    row, (ann, _, _) = asked(needed=2)
    results = at_once(yes(row, ann), yes(row, ann))
    row.refresh_from_db()
    assert (row.state, Approval.objects.count()) == ("awaiting_approval", 1)
    assert sum(isinstance(one, Conflict) for one in results) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scene", [one_winner, ready_once, one_signature])
def test_several_who_answer_in_the_same_instant(scene: Callable[[], None], threaded_database: Apart) -> None:
    threaded_database(scene)


def test_one_answer_after_expiry_changes_nothing(world: World) -> None:
    row = waiting(world, approval_ttl_s=30)
    late = world.now + timedelta(seconds=30)
    with pytest.raises(Conflict, match="can be asked for again"):
        approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=late)
    assert world.states() == ["awaiting_approval"]
