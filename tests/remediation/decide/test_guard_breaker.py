"""Invariant 13, the part of the guard: open nothing passes, half-open only what a person approves."""

from __future__ import annotations

import pytest

from remediation.models import Approval, Breaker
from tests.remediation.decide.situations import NOW, a_situation, ask
from tests.remediation.world import make_service, make_user

pytestmark = pytest.mark.django_db


def put(situation: object, state: str, **fields: object) -> Breaker:
    row = situation.remediation  # type: ignore[attr-defined]
    given = {"service": row.incident.service, "position": row.position, "bad": 3, "reason": "3 bad in a row"} | fields
    return Breaker.objects.create(playbook=row.playbook, state=state, changed_at=NOW, **given)


def test_no_breaker_and_a_closed_one_let_it_pass() -> None:
    situation = a_situation()
    assert ask("breaker", situation).reason == "closed, 0 bad in a row"
    put(situation, "closed", bad=2)
    answer = ask("breaker", situation)
    assert (answer.passed, answer.needs_person, answer.numbers) == (True, False, {"bad": 2})


@pytest.mark.parametrize("autonomy", ["auto", "approve"])
def test_open_lets_nothing_pass(autonomy: str) -> None:
    situation = a_situation()
    situation.remediation.autonomy = autonomy
    put(situation, "open")
    answer = ask("breaker", situation)
    assert (answer.passed, answer.needs_person, answer.reason) == (False, False, "open: 3 bad in a row")


def test_open_for_another_service_or_step_is_not_ours() -> None:
    situation = a_situation()
    put(situation, "open", position=2)
    put(situation, "open", service=make_service("cart", targets=()))
    put(situation, "open", service=None)
    assert ask("breaker", situation).passed


def test_half_open_sends_auto_to_a_person() -> None:
    situation = a_situation()
    put(situation, "half_open")
    answer = ask("breaker", situation)
    assert (answer.passed, answer.needs_person) == (True, True)


def test_half_open_holds_what_got_past_the_gate_unapproved() -> None:
    situation = a_situation()
    put(situation, "half_open")
    situation.remediation.state = "ready"
    answer = ask("breaker", situation)
    assert (answer.passed, answer.needs_person) == (False, False)


def test_half_open_passes_with_a_signature_on_this_very_plan() -> None:
    situation = a_situation()
    put(situation, "half_open")
    row = situation.remediation
    row.state = "ready"
    ann = make_user("ann", "approver")
    given = Approval.objects.create(remediation=row, user=ann, answer="approve", digest="0" * 64, at=NOW)
    assert not ask("breaker", situation).passed
    Approval.objects.filter(pk=given.pk).update(digest=row.digest)
    answer = ask("breaker", situation)
    assert (answer.passed, answer.needs_person) == (True, False)


def test_half_open_counts_no_signature_of_somebody_who_may_approve_no_longer() -> None:
    """Invariant 10: also where the playbook is trusted, and only the breaker asks."""
    situation = a_situation()
    put(situation, "half_open")
    row = situation.remediation
    row.state = "ready"
    ann = make_user("ann", "approver")
    Approval.objects.create(remediation=row, user=ann, answer="approve", digest=row.digest, at=NOW)
    assert ask("breaker", situation).passed
    ann.is_active = False
    ann.save()
    assert not ask("breaker", situation).passed


def test_half_open_asks_nobody_twice_where_a_person_decides_anyway() -> None:
    situation = a_situation()
    situation.remediation.autonomy = "approve"
    put(situation, "half_open")
    answer = ask("breaker", situation)
    assert (answer.passed, answer.needs_person) == (True, False)
