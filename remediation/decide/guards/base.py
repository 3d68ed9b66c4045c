"""The contract of a guard: a reason not to act yet, with its numbers."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from django.db import connection, transaction

from remediation import registry
from remediation.models import Incident, Prepared, Remediation, Target
from remediation.registry import Plugin

log = logging.getLogger(__name__)


_targets = Prepared(lambda given: Target.objects.filter(pk__in=given("pks")).order_by("pk"))


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a guard looks at. `step` is the step as the plan fixed it; one that was planned by an older version lacks
    what came later."""

    now: datetime
    incident: Incident
    remediation: Remediation

    @property
    def step(self) -> dict[str, Any]:
        step: dict[str, Any] = self.remediation.plan["step"]
        return step

    @property
    def target_ids(self) -> list[int]:
        return [target["id"] for target in self.remediation.plan["targets"]]

    @property
    def targets(self) -> list[Target]:
        """The plan's targets as they are now; one that was deleted is missing."""
        return _targets.all(pks=self.target_ids)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether it lets the action pass, why, and the numbers behind it.

    needs_person: where it passes, only with the approval of a person, whatever the autonomy is; where it does not,
    waiting will not mend it, so a person is called.
    """

    passed: bool
    reason: str
    numbers: dict[str, Any] = field(default_factory=dict)
    needs_person: bool = False


class Guard(Plugin, ABC):
    @abstractmethod
    def ask(self, situation: Situation) -> Answer:
        """Look, and touch nothing. An exception counts as a no."""


def ask_all(situation: Situation) -> list[dict[str, Any]]:
    """What every guard says, as it is stored. A guard that cannot be evaluated, or not even be loaded, says no."""
    guards = registry.guards()
    lost = [_lost(name) for name in registry.broken_guards()]
    try:
        with _savepoint():  # one for all of them, as long as none fails
            return lost + [_row(name, guard, guard.ask(situation)) for name, guard in guards.items()]
    except Exception:  # noqa: BLE001 - which one it was, and why, is found and logged one by one
        return lost + [_row(name, guard, _ask(name, guard, situation)) for name, guard in guards.items()]


def _savepoint() -> AbstractContextManager[None]:
    """Nothing where no transaction is open: on SQLite beginning one would keep everybody else from writing."""
    return cast(AbstractContextManager[None], transaction.atomic()) if connection.in_atomic_block else nullcontext()


def _ask(name: str, guard: Guard, situation: Situation) -> Answer:
    """A database error would spoil the transaction for the others: behind a savepoint it spoils one answer."""
    try:
        with _savepoint():
            return guard.ask(situation)
    except Exception as error:
        log.exception("guard %s failed", name)
        return Answer(passed=False, reason=f"could not be evaluated ({type(error).__name__}), so it says no")


def _lost(name: str) -> dict[str, Any]:
    return _row(name, None, Answer(passed=False, reason="is installed and cannot be loaded, so it says no"))


def _row(name: str, guard: Guard | None, answer: Answer) -> dict[str, Any]:
    return {
        "guard": name,
        "label": guard.label if guard else name,
        "passed": answer.passed,
        "reason": answer.reason,
        "numbers": answer.numbers,
        "needs_person": answer.needs_person,
    }


def for_person(answers: list[dict[str, Any]], *, passed: bool) -> str:
    """Why a person is needed, by the guards that let it pass or by those that do not; empty when nobody is."""
    wanted = [one for one in answers if one.get("needs_person") and one["passed"] == passed]
    return "; ".join(one["reason"] for one in wanted)


def refusals(answers: list[dict[str, Any]]) -> str:
    """The guards that say no, in one line; empty when none does."""
    return "; ".join(f"{answer['label']}: {answer['reason']}" for answer in answers if not answer["passed"])
