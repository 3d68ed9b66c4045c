"""Invariants 15 and 16: what comes while a cause is being repaired waits for that."""

from __future__ import annotations

from typing import Any

from remediation.decide.guards.base import Answer, Situation
from tests.broken.variant import Clause, Variant, edit, instead
from tests.remediation import test_invariants as machine

LOOP = "tests/remediation/test_loop.py::"
HOLDS = "tests/remediation/decide/test_guard_holds.py::"
GUARDS = "remediation/decide/guards/"


def passes(self: Any, situation: Situation) -> Answer:
    return Answer(passed=True, reason="not asked")


CLAUSES = (
    Clause(
        number=15,
        says="alerts on the target attach to the remediation",
        held_by=("remediation/deciding.py",),
        node="tests/remediation/test_invariant_attaching.py::test_what_comes_on_the_target_waits_for_its_repair",
        variants=(
            Variant(
                name="a second repair of the target is planned",
                breaks=machine.targets_are_not_held,
            ),
        ),
    ),
    Clause(
        number=15,
        says="and so do those on its dependants, as long as it is being repaired",
        held_by=(f"{GUARDS}dependency.py",),
        node="tests/remediation/test_invariant_attaching.py::test_what_comes_on_a_dependant_waits_for_the_repair",
        variants=(
            Variant(
                name="a dependant waits for the incident only",
                breaks=instead("remediation.decide.guards.dependency:under_repair", lambda causes: set()),
            ),
            Variant(
                name="a dependency is not asked for",
                breaks=instead("remediation.decide.guards.dependency:DependencyGuard.ask", passes),
            ),
        ),
    ),
    Clause(
        number=16,
        says="a dependency's open incident holds automation on its dependants",
        held_by=(f"{GUARDS}dependency.py",),
        node=f"{LOOP}test_dependency_holds_the_victim_until_the_cause_is_repaired",
        variants=(
            Variant(
                name="victims are repaired",
                breaks=instead("remediation.decide.guards.dependency:DependencyGuard.ask", passes),
            ),
        ),
    ),
    Clause(
        number=16,
        says="pending counts, and however far",
        held_by=(f"{GUARDS}dependency.py",),
        node="tests/remediation/test_invariant_guards.py::test_the_cause_may_be_pending_and_far_away",
        variants=(
            Variant(
                name="only what fires is a cause",
                breaks=edit(
                    "remediation.decide.guards.dependency:DependencyGuard.ask",
                    ".exclude(state=IncidentState.RESOLVED)",
                    ".filter(state=IncidentState.FIRING)",
                ),
            ),
            Variant(
                name="only the nearest is a cause",
                breaks=edit(
                    "remediation.decide.guards.dependency:_reach", "found |= edge", "found |= edge\n        break"
                ),
            ),
        ),
    ),
    Clause(
        number=16,
        says="the cause is repaired",
        held_by=(f"{GUARDS}dependency.py",),
        node=f"{HOLDS}test_dependency_repairs_the_cause_and_holds_the_victims",
        variants=(
            Variant(
                name="the cause waits for its victims",
                breaks=edit(
                    "remediation.decide.guards.dependency:causes_of",
                    "return upstream - downstream - {service.pk}",
                    "return upstream | downstream",
                ),
            ),
        ),
    ),
)
