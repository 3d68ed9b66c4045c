"""Invariants 11 and 12: asked again before the effect, and proved by samples from after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from remediation import condition
from remediation.repair import proof
from tests.broken.variant import Clause, Variant, edit, instead
from tests.remediation import test_invariants as machine

LOOP = "tests/remediation/test_loop.py::"
HARD = "tests/remediation/test_hard_cases.py::"
RECOVERY = "tests/remediation/test_recovery.py::"
MACHINE = "tests/remediation/test_invariant_machine.py::test_from_where_the_trouble_is_the_invariants_hold"
JUDGE = "remediation.verify.recovery:judge"
FEEDING = "remediation.breakers:FEEDING"


def looks_from_before_the_effect_count(patch: pytest.MonkeyPatch) -> None:
    """As if the effect had ended a minute earlier than it did."""
    ask: Callable[..., Any] = condition.ask

    def reaching_back(incident: Any, *, now: datetime) -> Any:
        look = ask(incident, now=now)
        return replace(look, reach_s=0.0)

    patch.setattr(proof, "ask", reaching_back)


CLAUSES = (
    Clause(
        number=11,
        says="asked again just before the effect, whatever happened before",
        held_by=("remediation/repair/claim.py",),
        node=f"{MACHINE}[asked again]",
        variants=(Variant(name="the condition is not asked again", breaks=machine.the_condition_is_not_asked_again),),
    ),
    Clause(
        number=11,
        says="healed after the approval means self_recovered",
        held_by=("remediation/repair/claim.py",),
        node=f"{LOOP}test_healed_between_approval_and_effect_does_nothing",
        variants=(
            Variant(
                name="what was seen at the approval will do",
                breaks=machine.the_condition_is_not_asked_again,
                quick=True,
            ),
        ),
    ),
    Clause(
        number=11,
        says="also between that question and the claim",
        held_by=("remediation/repair/claim.py",),
        node=f"{HARD}test_healed_between_the_question_and_the_claim_does_nothing",
        variants=(
            Variant(
                name="the incident is not read again",
                breaks=instead("remediation.repair.claim:reread", lambda incident: None),
            ),
        ),
    ),
    Clause(
        number=11,
        says="and while a person is asked",
        held_by=("remediation/repair/__init__.py",),
        node=f"{LOOP}test_healed_before_approval_is_self_recovered",
        variants=(
            Variant(
                name="what waits is not looked at", breaks=instead("remediation.repair:BEFORE_EFFECT", frozenset())
            ),
        ),
    ),
    Clause(
        number=11,
        says="changed means superseded",
        held_by=("remediation/repair/claim.py", "remediation/decide/plan.py"),
        node=f"{LOOP}test_target_changed_by_hand_supersedes_the_plan",
        variants=(
            Variant(
                name="a changed target is as it was",
                breaks=instead("remediation.decide.plan:changed", lambda planned, now: ""),
                quick=True,
            ),
        ),
    ),
    Clause(
        number=12,
        says="no samples is never verified, whatever comes",
        held_by=("remediation/verify/recovery.py",),
        node=f"{MACHINE}[no samples]",
        variants=(Variant(name="no samples are good samples", breaks=machine.no_samples_are_good_samples),),
    ),
    Clause(
        number=12,
        says="no samples is never verified, in the loop",
        held_by=("remediation/repair/proof.py", "remediation/verify/recovery.py"),
        node=f"{LOOP}test_unknown_never_opens_acts_verifies_or_resolves",
        variants=(
            Variant(
                name="unknown is well once the effect is done",
                breaks=edit(
                    "remediation.repair.proof:_judge", "needed=", 'needed=0 if rows[-1]["verdict"] == "unknown" else '
                ),
            ),
        ),
    ),
    Clause(
        number=12,
        says="the window does not reach back before the effect; several good samples in a row, each another one",
        held_by=("remediation/verify/recovery.py",),
        node=f"{RECOVERY}test_looks_come_to",
        variants=(
            Variant(name="one good sample will do", breaks=edit(JUDGE, "good >= needed", "good >= 1"), quick=True),
            Variant(
                name="good samples need not be in a row",
                breaks=edit(JUDGE, "good = good + 1 if newest == Verdict.OK else 0", "good += newest == Verdict.OK"),
            ),
            Variant(
                name="one sample counts at each look",
                breaks=edit("remediation.verify.recovery:_telling", 'row["sample_at"] == last_sample', "False"),
            ),
            Variant(
                name="what is from before the effect counts",
                breaks=edit("remediation.verify.recovery:_telling", 'not row["counts"] or ', ""),
            ),
            Variant(
                name="no sample at the deadline is verified",
                breaks=edit(JUDGE, "state=RemediationState.INCONCLUSIVE", "state=RemediationState.VERIFIED"),
            ),
        ),
    ),
    Clause(
        number=12,
        says="minding what a range selector reaches back to",
        held_by=("remediation/verify/recovery.py", "remediation/observe/promql.py"),
        node="tests/remediation/test_invariant_proof.py::test_a_range_that_reaches_back_before_the_effect_proves_nothing",
        variants=(
            Variant(name="a range is as new as its newest sample", breaks=looks_from_before_the_effect_count),
            Variant(
                name="a sample's own time is what counts",
                breaks=edit(
                    "remediation.verify.recovery:Look.counts",
                    "self.sample_at - self.reach_s >= effect_at",
                    "self.sample_at >= effect_at",
                ),
            ),
        ),
    ),
)
