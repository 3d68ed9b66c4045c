"""Invariant 10: who may sign what, and until when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from remediation.models import Remediation, change
from remediation.repair import claim, gate
from remediation.states import RemediationState as R
from tests.broken.variant import Clause, Variant, edit, together

LOOP = "tests/remediation/test_loop.py::"
HARD = "tests/remediation/test_hard_cases.py::"
APPROVAL = "tests/remediation/decide/test_approval.py::"
ANSWERABLE = "remediation.decide.approval:_answerable"
SIGNATURES = "remediation.decide.approval:signatures"


def expired_is_told_as_rejected(patch: pytest.MonkeyPatch) -> None:
    def unkind(row: Remediation, to: str, **more: Any) -> bool:
        return change(row, R.REJECTED if to == R.EXPIRED else to, **more)

    patch.setattr(gate, "change", unkind)


def expiry_is_not_asked_before_the_effect(patch: pytest.MonkeyPatch) -> None:
    def patient(row: Remediation, *, now: datetime) -> bool:
        return False

    patch.setattr(claim, "_expired", patient)


def first(name: str, breaks: Any) -> Variant:
    return Variant(name=name, breaks=breaks, quick=True)


CLAUSES = (
    Clause(
        number=10,
        says="fits one digest, by someone allowed to, before it expires",
        held_by=("remediation/decide/approval.py",),
        node=f"{LOOP}test_approve_needs_the_digest_the_right_and_the_time",
        variants=(
            first(
                "any digest will do",
                edit(ANSWERABLE, "row.digest != digest or digest_of(row.plan) != digest", "False"),
            ),
            Variant(
                name="anybody may approve",
                breaks=edit(ANSWERABLE, "not (user.is_active and user.has_perm(PERMISSION))", "False"),
            ),
            Variant(name="an approval never expires", breaks=edit(ANSWERABLE, "row.expires_at <= now", "False")),
        ),
    ),
    Clause(
        number=10,
        says="the plan that was signed, and no other",
        held_by=("remediation/decide/approval.py", "remediation/repair/claim.py"),
        node=f"{APPROVAL}test_a_plan_changed_after_approval_is_not_carried_out",
        variants=(
            Variant(
                name="a signature fits what the plan became",
                breaks=edit(SIGNATURES, "digest_of(row.plan) != row.digest", "False"),
            ),
        ),
    ),
    Clause(
        number=10,
        says="once",
        held_by=("remediation/decide/approval.py",),
        node=f"{LOOP}test_two_people_must_be_two",
        variants=(
            Variant(
                name="one person is two",
                breaks=together(
                    edit("remediation.decide.approval:approve", "len(signatures(row))", "row.approvals_needed"),
                    edit("remediation.decide.approval:enough", "row.approvals_needed", "1"),
                ),
            ),
            Variant(
                name="a person may answer twice",
                breaks=edit(
                    "remediation.decide.approval:_keep",
                    'raise Conflict(_("You have answered already; this step needs another person as well.")) from None',
                    "return",
                ),
            ),
        ),
    ),
    Clause(
        number=10,
        says="by somebody who still may when it is carried out",
        held_by=("remediation/decide/approval.py", "remediation/repair/claim.py"),
        node=f"{APPROVAL}test_who_may_no_longer_stops_the_effect",
        variants=(
            Variant(
                name="a right once had is a right",
                breaks=edit(SIGNATURES, " and one.user.has_perm(PERMISSION)", ""),
            ),
        ),
    ),
    Clause(
        number=10,
        says="before it expires: also when it was held after that",
        held_by=("remediation/repair/claim.py",),
        node=f"{HARD}test_approved_but_expired_while_held_calls_a_person",
        variants=(Variant(name="expiry is not asked before the effect", breaks=expiry_is_not_asked_before_the_effect),),
    ),
    Clause(
        number=10,
        says="other than the proposer where the step asks for two",
        held_by=("remediation/decide/approval.py",),
        node=f"{APPROVAL}test_the_author_does_not_count_where_two_are_asked",
        variants=(
            Variant(
                name="the author counts",
                breaks=edit("remediation.decide.approval:barred", "row.approvals_needed < 2", "True"),
            ),
        ),
    ),
    Clause(
        number=10,
        says="expired is not rejected",
        held_by=("remediation/repair/gate.py",),
        node=f"{LOOP}test_expired_is_not_rejected_and_calls_a_person",
        variants=(Variant(name="expired is told as rejected", breaks=expired_is_told_as_rejected),),
    ),
)
