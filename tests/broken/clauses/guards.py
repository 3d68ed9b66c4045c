"""Invariants 5 to 7: guards that break, the kill switch, and what counts as unavailable."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from remediation import conf
from remediation.decide import freeze
from remediation.decide.guards.base import Answer, Situation
from remediation.models import Freeze, Remediation, RemediationTarget
from remediation.repair import claim
from remediation.states import RemediationState as R
from tests.broken.variant import Clause, Variant, edit, instead
from tests.remediation import test_invariants as machine

HARD = "tests/remediation/test_hard_cases.py::"
HOLDS = "tests/remediation/decide/test_guard_holds.py::"
AT_WORK = "tests/remediation/test_invariant_unavailable.py::"
GUARDS = "remediation/decide/guards/"


def passes(self: Any, situation: Situation) -> Answer:
    return Answer(passed=True, reason="not asked")


def guards_are_asked_before_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """What is committed afterwards is a transaction of its own."""
    from contextlib import nullcontext  # noqa: PLC0415

    patch.setattr(claim, "transaction", SimpleNamespace(atomic=nullcontext))


def believes_the_writers_clock(self: Any, situation: Situation) -> Answer:
    active = Freeze.active(now=situation.now).filter(at__lte=situation.now).exists()
    return Answer(passed=not active, reason="frozen" if active else "not frozen")


def a_freeze_takes_leases_away(patch: pytest.MonkeyPatch) -> None:
    stop = freeze.freeze

    def and_kill(**more: Any) -> Freeze:
        Remediation.objects.filter(state=R.EXECUTING).update(lease_until=more["now"])
        return stop(**more)

    patch.setattr(freeze, "freeze", and_kill)


def only_executing(situation: Situation) -> set[int]:
    holds = RemediationTarget.objects.filter(live=True, remediation__state=R.EXECUTING)
    return set(holds.exclude(remediation=situation.remediation).values_list("target_id", flat=True))


def counts_what_is_known(self: Any, situation: Situation) -> Answer:
    count = Remediation.objects.filter(state__in=(R.EXECUTING, R.VERIFYING, R.ROLLING_BACK)).count()
    return Answer(passed=count < conf.CONCURRENCY, reason=f"{count} repairs are under way")


def counts_what_is_over(self: Any, situation: Situation) -> Answer:
    count = Remediation.objects.exclude(effect_started_at=None).exclude(ended_at=None).count()
    return Answer(passed=count < int(situation.step["budget"]), reason=f"{count} effects spent", needs_person=True)


def first(name: str, breaks: Any) -> Variant:
    return Variant(name=name, breaks=breaks, quick=True)


CLAUSES = (
    Clause(
        number=5,
        says="a guard that cannot be evaluated says no, each of them",
        held_by=(f"{GUARDS}base.py",),
        node=f"{HOLDS}test_guard_that_cannot_be_evaluated_says_no",
        variants=(
            first(
                "a guard that breaks says yes",
                edit("remediation.decide.guards.base:_ask", "passed=False", "passed=True"),
            ),
        ),
    ),
    Clause(
        number=5,
        says="and what it says holds the effect",
        held_by=(f"{GUARDS}base.py", "remediation/repair/claim.py"),
        node="tests/remediation/test_invariant_guards.py::test_a_guard_that_breaks_holds_the_effect",
        variants=(
            Variant(
                name="what could not be evaluated is no refusal",
                breaks=edit(
                    "remediation.decide.guards.base:refusals",
                    'if not answer["passed"]',
                    'if not answer["passed"] and "could not be evaluated" not in answer["reason"]',
                ),
            ),
            Variant(
                name="guards are not asked at the claim",
                breaks=instead("remediation.repair.claim:refusals", lambda answers: ""),
            ),
        ),
    ),
    Clause(
        number=5,
        says="nobody looked for storms: there may be one",
        held_by=(f"{GUARDS}storm.py",),
        node=f"{HOLDS}test_storm_that_nobody_looks_for_cannot_be_ruled_out",
        variants=(
            Variant(
                name="no look means no storm",
                breaks=edit(
                    "remediation.decide.guards.storm:StormGuard.ask",
                    "if looked_s > LOOKED_WITHIN_S:",
                    "looked_s = min(looked_s, 0.0)\n    if False:",
                ),
            ),
        ),
    ),
    Clause(
        number=5,
        says="a maintenance window that cannot be read holds",
        held_by=(f"{GUARDS}maintenance.py",),
        node="tests/remediation/decide/test_guard_maintenance.py::test_window_that_cannot_be_read_holds",
        variants=(
            Variant(
                name="maintenance is not asked",
                breaks=instead("remediation.decide.guards.maintenance:MaintenanceGuard.ask", passes),
            ),
        ),
    ),
    Clause(
        number=6,
        says="no effect while frozen, whatever comes",
        held_by=(f"{GUARDS}freeze.py", "remediation/repair/claim.py"),
        node="tests/remediation/test_invariant_machine.py::"
        "test_from_where_the_trouble_is_the_invariants_hold[a freeze]",
        variants=(Variant(name="freeze is not asked", breaks=machine.freeze_is_not_asked),),
    ),
    Clause(
        number=6,
        says="read in the transaction that enters executing",
        held_by=("remediation/repair/claim.py",),
        node="tests/remediation/test_invariant_guards.py::test_freeze_is_read_in_the_transaction_that_enters_executing",
        variants=(
            Variant(name="guards are asked before the transaction", breaks=guards_are_asked_before_the_transaction),
        ),
    ),
    Clause(
        number=6,
        says="a freeze that comes while the last questions are asked still holds",
        held_by=("remediation/repair/claim.py",),
        node=f"{HARD}test_freeze_while_questions_are_asked_holds_the_effect",
        variants=(
            Variant(
                name="the gate's answers are good enough",
                breaks=instead("remediation.repair.claim:ask_all", lambda situation: []),
            ),
        ),
    ),
    Clause(
        number=6,
        says="it stops what has not begun: the next call of a rollout",
        held_by=("remediation/repair/lease.py",),
        node="tests/remediation/repair/test_rollout.py::test_freeze_between_two_calls_stops",
        variants=(
            Variant(
                name="guards are asked once a rollout",
                breaks=instead("remediation.repair.lease:refusals", lambda answers: ""),
            ),
        ),
    ),
    Clause(
        number=6,
        says="and an undo",
        held_by=("remediation/repair/undo.py",),
        node="tests/remediation/repair/test_undo.py::test_freeze_holds_the_undo_and_calls_a_person",
        variants=(
            Variant(
                name="an undo asks for no freeze",
                breaks=edit("remediation.repair.undo:_claim", "if frozen is not None:", "if False:"),
            ),
        ),
    ),
    Clause(
        number=6,
        says="within 2 s, by the database alone: the very next effect is held",
        held_by=("remediation/management/commands/freeze.py", "remediation/models/freeze.py"),
        node="tests/remediation/test_invariant_guards.py::test_the_command_stops_the_next_effect_without_broker_and_web",
        variants=(
            Variant(
                name="a freeze counts by its writer's clock",
                breaks=instead("remediation.decide.guards.freeze:FreezeGuard.ask", believes_the_writers_clock),
            ),
        ),
    ),
    Clause(
        number=6,
        says="it never kills one midway",
        held_by=("remediation/decide/freeze.py", "remediation/repair/effect.py"),
        node="tests/remediation/test_invariant_guards.py::test_a_freeze_during_the_effect_lets_it_finish",
        variants=(first("a freeze takes leases away", a_freeze_takes_leases_away),),
    ),
    Clause(
        number=7,
        says="what is acted on counts as unavailable in the blast radius",
        held_by=(f"{GUARDS}blast_radius.py",),
        node=f"{AT_WORK}test_what_is_acted_on_does_not_stay",
        variants=(
            first(
                "what is acted on is available",
                instead("remediation.decide.guards.blast_radius:_acted_on", lambda situation: set()),
            ),
            Variant(
                name="what is being verified is available",
                breaks=instead("remediation.decide.guards.blast_radius:_acted_on", only_executing),
            ),
        ),
    ),
    Clause(
        number=7,
        says="in the number of repairs at once",
        held_by=(f"{GUARDS}concurrency.py",),
        node=f"{AT_WORK}test_what_is_acted_on_takes_a_place",
        variants=(
            Variant(
                name="what nobody knows takes no place",
                breaks=instead("remediation.decide.guards.concurrency:ConcurrencyGuard.ask", counts_what_is_known),
            ),
        ),
    ),
    Clause(
        number=7,
        says="and is spent in the budgets of effects",
        held_by=(f"{GUARDS}budget.py",),
        node=f"{AT_WORK}test_what_is_acted_on_is_spent",
        variants=(
            Variant(
                name="only what is over is spent",
                breaks=instead("remediation.decide.guards.budget:BudgetGuard.ask", counts_what_is_over),
            ),
        ),
    ),
    Clause(
        number=7,
        says="in the loop: a second incident of the service",
        held_by=(f"{GUARDS}blast_radius.py",),
        node="tests/remediation/test_guards_in_the_loop.py::test_second_incident_of_a_service_counts_what_is_in_flight",
        variants=(
            Variant(
                name="the blast radius is not asked",
                breaks=instead("remediation.decide.guards.blast_radius:BlastRadiusGuard.ask", passes),
            ),
        ),
    ),
)
