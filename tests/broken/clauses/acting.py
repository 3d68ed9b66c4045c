"""Invariants 1 to 4 and 8: one at a time, one function that changes state, intents, rows, and an alert that ends."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from remediation import episodes, repair
from remediation.models import Incident, Remediation, change
from remediation.repair import claim, effect
from remediation.repair.lease import Lease
from remediation.states import Outcome
from tests import test_layers
from tests.broken.variant import Clause, Variant, edit, instead
from tests.remediation import test_invariants as machine

HARD = "tests/remediation/test_hard_cases.py::"
TRANSITION = "tests/remediation/models/test_transition.py::"
MACHINE = "tests/remediation/test_invariant_machine.py::test_from_where_the_trouble_is_the_invariants_hold"
CHANGE = "remediation.models.transition:change"
ATOMIC = "with transaction.atomic():"


def the_index_is_gone(patch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX one_live_remediation_per_target")


def another_file_writes_states(patch: pytest.MonkeyPatch) -> None:
    """The tests do, to begin in the middle of something: a file of theirs stands for one of the product."""
    patch.setattr(test_layers, "files", lambda: [Path(machine.__file__).with_name("test_hard_cases.py")])


def attaching_is_not_recorded(patch: pytest.MonkeyPatch) -> None:
    from remediation import deciding  # noqa: PLC0415 - this file's namesake beside it would be meant otherwise

    conclude = deciding.conclude

    def silent(case: Any, outcome: Outcome, summary: str, **more: Any) -> None:
        if outcome != Outcome.ATTACHED:
            conclude(case, outcome, summary, **more)

    patch.setattr(deciding, "conclude", silent)


def nothing_is_committed_before_the_effect(patch: pytest.MonkeyPatch) -> None:
    act = repair.act

    def in_one(row: Remediation, *, now: datetime) -> None:
        with transaction.atomic():
            act(row, now=now)

    patch.setattr(repair, "act", in_one)


def the_fencing_number_stays(patch: pytest.MonkeyPatch) -> None:
    def unfenced(row: Remediation, to: str, *, fence: Any = None, **more: Any) -> bool:
        return change(row, to, **more)

    patch.setattr(claim, "change", unfenced)


def renews_whatever_the_number(self: Lease) -> bool:
    rows = Remediation.objects.filter(pk=self.row.pk, state=self.state, lease_until__gt=self.clock())
    return bool(rows.update(due_at=self.clock()))


def a_late_worker_reports_all_the_same(patch: pytest.MonkeyPatch) -> None:
    def forgiving(row: Remediation, to: str, *, where: dict[str, Any] | None = None, **more: Any) -> bool:
        return change(row, to, **more)

    patch.setattr(effect, "change", forgiving)


def the_end_of_the_alert_ends_its_step(patch: pytest.MonkeyPatch) -> None:
    resolve = episodes.resolve

    def and_stop(incident: Incident, **more: Any) -> bool:
        incident.remediations.filter(state="executing").update(state="cancelled", lease_until=None)
        return resolve(incident, **more)

    patch.setattr(episodes, "resolve", and_stop)


CLAUSES = (
    Clause(
        number=1,
        says="one live remediation per target",
        held_by=("remediation/models/remediation.py", "remediation/deciding.py"),
        node=f"{MACHINE}[one live remediation]",
        variants=(Variant(name="targets are not held", breaks=machine.targets_are_not_held),),
    ),
    Clause(
        number=1,
        says="a unique partial index says so",
        held_by=("remediation/models/remediation.py",),
        node=f"{TRANSITION}test_database_refuses_a_second_live_remediation_of_a_target",
        variants=(Variant(name="the index is gone", breaks=the_index_is_gone, quick=True),),
    ),
    Clause(
        number=1,
        says="a duplicate attaches to it",
        held_by=("remediation/deciding.py",),
        node="tests/remediation/test_invariant_attaching.py::test_a_duplicate_attaches_to_what_is_under_way",
        variants=(Variant(name="attaching is not recorded", breaks=attaching_is_not_recorded),),
    ),
    Clause(
        number=2,
        says="a state changes only by compare-and-set",
        held_by=("remediation/models/transition.py",),
        node=f"{TRANSITION}test_slower_of_two_writes_nothing",
        variants=(
            Variant(
                name="the state is not compared",
                breaks=edit(CHANGE, ATOMIC, f"row.refresh_from_db(fields=['state'])\n    {ATOMIC}"),
                quick=True,
            ),
        ),
    ),
    Clause(
        number=2,
        says="and by whatever else the caller read",
        held_by=("remediation/models/transition.py",),
        node=f"{TRANSITION}test_condition_that_no_longer_holds_writes_nothing",
        variants=(
            Variant(
                name="what else was read is not compared", breaks=edit(CHANGE, ATOMIC, f"where = None\n    {ATOMIC}")
            ),
        ),
    ),
    Clause(
        number=2,
        says="in one function, which writes the Transition",
        held_by=("remediation/models/transition.py",),
        node=f"{MACHINE}[history]",
        variants=(Variant(name="a state changes without history", breaks=machine.states_change_without_history),),
    ),
    Clause(
        number=2,
        says="and nowhere else",
        held_by=("remediation/models/transition.py",),
        node="tests/test_layers.py::test_only_transition_changes_state",
        variants=(Variant(name="another file writes states as well", breaks=another_file_writes_states),),
    ),
    Clause(
        number=2,
        says="in the same transaction",
        held_by=("remediation/models/transition.py",),
        node="tests/remediation/test_invariant_rows.py::test_state_and_history_are_written_together_or_not_at_all",
        variants=(
            Variant(
                name="a state is committed before its history",
                breaks=edit(CHANGE, ATOMIC, "if True:"),
                quick=True,
            ),
        ),
    ),
    Clause(
        number=3,
        says="no effect without an intent",
        held_by=("remediation/repair/claim.py", "remediation/repair/lease.py"),
        node=f"{MACHINE}[an intent]",
        variants=(Variant(name="a call begins without an intent", breaks=machine.calls_begin_without_an_intent),),
    ),
    Clause(
        number=3,
        says="the intent is committed, with a key and a fencing number, before anything is touched",
        held_by=("remediation/repair/claim.py", "remediation/repair/effect.py"),
        node="tests/remediation/test_invariant_rows.py::test_the_intent_is_committed_when_the_target_is_touched",
        variants=(
            Variant(name="claim and effect are one transaction", breaks=nothing_is_committed_before_the_effect),
            Variant(
                name="the fencing number does not rise",
                breaks=the_fencing_number_stays,
            ),
        ),
    ),
    Clause(
        number=3,
        says="each call has a key of its own",
        held_by=("remediation/repair/rollout.py",),
        node="tests/remediation/repair/test_rollout.py::test_each_call_has_a_key_of_its_own",
        variants=(
            Variant(
                name="all calls share a key",
                breaks=edit("remediation.repair.rollout:attempt_on", '{row.key}:{target.pk}"', 'same"'),
            ),
        ),
    ),
    Clause(
        number=3,
        says="a worker whose lease has passed does nothing more",
        held_by=("remediation/repair/lease.py",),
        node=f"{HARD}test_worker_that_slept_past_its_lease_does_nothing",
        variants=(
            Variant(
                name="a lease never passes", breaks=instead("remediation.repair.lease:Lease.renew", lambda self: True)
            ),
        ),
    ),
    Clause(
        number=3,
        says="nor does one whose claim has a newer fencing number",
        held_by=("remediation/repair/lease.py",),
        node="tests/remediation/repair/test_rollout.py::"
        "test_lease_that_was_taken_over_is_not_renewed_and_nothing_is_reported",
        variants=(
            Variant(
                name="the fencing number is not compared",
                breaks=instead("remediation.repair.lease:Lease.renew", renews_whatever_the_number),
            ),
        ),
    ),
    Clause(
        number=3,
        says="and may not report success",
        held_by=("remediation/repair/effect.py",),
        node="tests/remediation/test_invariant_rows.py::test_a_worker_whose_lease_has_passed_reports_nothing",
        variants=(Variant(name="a late worker reports all the same", breaks=a_late_worker_reports_all_the_same),),
    ),
    Clause(
        number=8,
        says="whatever else happens meanwhile",
        held_by=("remediation/repair/effect.py",),
        node=f"{MACHINE}[the end of an alert]",
        variants=(
            Variant(name="a worker is given up with its alert", breaks=machine.the_end_of_the_alert_ends_the_step),
        ),
    ),
    Clause(
        number=8,
        says="the end of the alert never kills a running step",
        held_by=("remediation/repair/__init__.py", "remediation/episodes.py"),
        node="tests/remediation/test_invariant_rows.py::test_an_alert_that_ends_during_the_effect_lets_it_finish",
        variants=(
            Variant(name="the end of the alert ends its step", breaks=the_end_of_the_alert_ends_its_step, quick=True),
        ),
    ),
)
