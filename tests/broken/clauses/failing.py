"""Invariants 13 and 14: the breaker, and crashes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from remediation import breakers
from remediation.act import execution
from remediation.act.execution import Carried
from remediation.models import Remediation
from remediation.states import NEXT_RUNG
from remediation.states import RemediationState as R
from remediation.targets.base import Found
from tests.broken.variant import Breaks, Clause, Variant, edit, instead
from tests.remediation import test_invariants as machine

LOOP = "tests/remediation/test_loop.py::"
BREAKERS = "tests/remediation/test_breakers.py::"
MACHINE = "tests/remediation/test_invariant_machine.py::test_from_where_the_trouble_is_the_invariants_hold"
FEEDING = "remediation.breakers:FEEDING"
ON_MOVE = "remediation.breakers:_on_move"


def no_feed(*states: R) -> Breaks:
    return instead(FEEDING, breakers.FEEDING - set(states))


def a_lost_answer_means_nothing_was_done(patch: pytest.MonkeyPatch) -> None:
    carry_out: Callable[..., Carried] = execution.carry_out

    def hopeful(*given: Any) -> Carried:
        carried = carry_out(*given)
        return replace(carried, outcome="not_started") if carried.outcome == "unknown" else carried

    patch.setattr(execution, "carry_out", hopeful)


def the_world_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(execution, "probe", lambda *given: Found(done=False, reason="it will not have begun"))


def self_recovered_resets(patch: pytest.MonkeyPatch) -> None:
    feed = breakers.feed

    def kind(row: Remediation, to: str, *, now: datetime, reason: str) -> None:
        feed(row, R.VERIFIED if to == R.SELF_RECOVERED else to, now=now, reason=reason)

    patch.setattr(breakers, "feed", kind)
    edit(ON_MOVE, "to == R.VERIFIED", "to in (R.VERIFIED, R.SELF_RECOVERED)")(patch)


CLAUSES = (
    *(
        Clause(
            number=13,
            says=f"{state} feeds the breaker",
            held_by=("remediation/breakers.py",),
            node=f"tests/remediation/test_invariant_breakers.py::test_what_feeds_the_breaker[{state}]",
            variants=(Variant(name=f"{state} does not feed", breaks=no_feed(state), quick=state == R.UNKNOWN),),
        )
        for state in (R.INEFFECTIVE, R.WORSENED, R.INCONCLUSIVE, R.FAILED, R.UNKNOWN)
    ),
    Clause(
        number=13,
        says="each attempt once",
        held_by=("remediation/breakers.py",),
        node=f"{BREAKERS}test_each_bad_end_counts_once",
        variants=(
            Variant(
                name="unknown and then failed is two",
                breaks=instead("remediation.breakers:_counted_before", lambda row: False),
            ),
        ),
    ),
    Clause(
        number=13,
        says="verified resets",
        held_by=("remediation/breakers.py",),
        node=f"{BREAKERS}test_only_verified_resets",
        variants=(Variant(name="verified does not reset", breaks=edit(ON_MOVE, "to == R.VERIFIED or to in", "to in")),),
    ),
    Clause(
        number=13,
        says="only verified resets",
        held_by=("remediation/breakers.py",),
        node=f"{BREAKERS}test_what_was_never_tried_neither_feeds_nor_resets",
        variants=(Variant(name="healed by itself resets", breaks=self_recovered_resets),),
    ),
    Clause(
        number=13,
        says="half open one bad end opens it again, and only verified closes it",
        held_by=("remediation/breakers.py",),
        node=f"{BREAKERS}test_half_open_closes_on_verified_and_opens_on_one_bad",
        variants=(
            Variant(
                name="half open is as good as closed",
                breaks=edit("remediation.breakers:feed", " or breaker.state == State.HALF_OPEN", ""),
            ),
        ),
    ),
    Clause(
        number=13,
        says="an open breaker holds what comes",
        held_by=("remediation/decide/guards/breaker.py",),
        node="tests/remediation/test_breakers_in_the_loop.py::test_breaker_opens_rests_asks_a_person_and_closes",
        variants=(
            Variant(
                name="an open breaker lets pass",
                breaks=edit(
                    "remediation.decide.guards.breaker:BreakerGuard.ask",
                    "if breaker.state == Breaker.State.OPEN",
                    "if False",
                ),
            ),
        ),
    ),
    Clause(
        number=14,
        says="a crash in the middle of an effect gives unknown, whatever comes",
        held_by=("remediation/repair/effect.py",),
        node=f"{MACHINE}[a crash]",
        variants=(Variant(name="a crash counts as not begun", breaks=machine.a_crash_counts_as_not_begun),),
    ),
    Clause(
        number=14,
        says="a worker that never reports: unknown, and probed",
        held_by=("remediation/repair/effect.py",),
        node=f"{LOOP}test_worker_that_never_reports_is_unknown_and_probed",
        variants=(
            Variant(name="silence counts as not begun", breaks=machine.a_crash_counts_as_not_begun, quick=True),
            Variant(
                name="a probe is believed while the worker may be at it",
                breaks=instead("remediation.repair.effect:may_still_act", lambda row, *, now: False),
            ),
        ),
    ),
    Clause(
        number=14,
        says="probe() asks the world what happened",
        held_by=("remediation/repair/effect.py", "remediation/act/execution.py"),
        node=f"{LOOP}test_lost_answer_is_unknown_and_the_probe_decides",
        variants=(
            Variant(name="a lost answer means nothing was done", breaks=a_lost_answer_means_nothing_was_done),
            Variant(name="the world is not asked", breaks=the_world_is_not_asked),
        ),
    ),
    Clause(
        number=14,
        says="what did not start is retried",
        held_by=("remediation/decide/ladder.py",),
        node=f"{LOOP}test_not_started_is_failed_and_tried_once_more",
        variants=(
            Variant(
                name="what was refused is not tried again",
                breaks=instead("remediation.decide.ladder:UNTOUCHED_TRIES", 0),
            ),
        ),
    ),
    Clause(
        number=14,
        says="and nothing else is",
        held_by=("remediation/decide/ladder.py",),
        node="tests/remediation/test_invariant_proof.py::test_what_nobody_can_tell_is_not_tried_again",
        variants=(
            Variant(
                name="what nobody can tell is tried again",
                breaks=instead("remediation.decide.ladder:NEXT_RUNG", NEXT_RUNG | {R.INCONCLUSIVE}),
            ),
        ),
    ),
)
