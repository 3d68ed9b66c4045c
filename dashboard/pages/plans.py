"""A remediation as people read it: the exact calls, before and after, guards with their numbers, proof so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from dashboard.pages.words import NOTHING, number, span, state_word
from remediation.decide import approval, takeover
from remediation.decide.ladder import UNANSWERED
from remediation.models import Approval, Remediation
from remediation.states import REMEDIATION_LIVE, IncidentState, RemediationState, Verdict
from remediation.verify.recovery import judge


@dataclass(frozen=True, kw_only=True)
class Change:
    """One property of a target, before and after."""

    name: str
    before: str
    after: str

    @property
    def differs(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, kw_only=True)
class CallView:
    target: str
    text: str
    changes: Sequence[Change]
    undo: str


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look of the verification."""

    at: datetime | None
    verdict: str
    value: float | None
    reason: str
    counts: bool = True
    """False for a sample that still rests on something from before the effect."""

    @property
    def said(self) -> str:
        """The value unless the reason begins with it anyway, and the reason."""
        value = number(self.value)
        return self.reason if self.reason.startswith(value) or self.value is None else f"{value} {self.reason}"


@dataclass(frozen=True, kw_only=True)
class GuardView:
    label: str
    passed: bool
    reason: str
    numbers: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class PlanView:
    """Everything that a card about a remediation shows."""

    row: Remediation
    targets: str
    where: str
    calls: Sequence[CallView]
    evidence: Mapping[str, Any]
    guards: Sequence[GuardView]
    looks: Sequence[Look]
    good: int
    good_needed: int
    verify: str
    undo: str
    given: int
    approvals: Sequence[Approval]
    risky: bool
    """Asks for the name of what it acts on to be typed, and for a fresh sign-in."""
    barred: Sequence[str]
    """Who may not approve it, each with why."""
    on_it: str
    """Who repairs it by hand at the moment."""
    can_ask_again: bool

    @property
    def asks(self) -> bool:
        return self.row.state == RemediationState.AWAITING_APPROVAL

    @property
    def live(self) -> bool:
        return self.row.state in REMEDIATION_LIVE

    @property
    def refusing(self) -> list[GuardView]:
        return [guard for guard in self.guards if not guard.passed]

    @property
    def dots(self) -> list[bool]:
        """One per good sample that is needed: whether it is there."""
        return [number < self.good for number in range(self.good_needed)]

    @property
    def who(self) -> str:
        """Who is needed, in words."""
        needed = self.row.approvals_needed
        if needed == 1:
            return "One person who may approve is needed"
        return f"{self.given} of {needed} people have approved"


def view_of(row: Remediation) -> PlanView:
    plan = row.plan
    calls = [_call(call) for call in plan.get("calls", [])]
    approvals = list(row.approvals.all())
    looks = looks_of(row)
    needed = int(plan.get("verify", {}).get("good_samples", 1))
    backends = sorted({str(target.get("backend", "")) for target in plan.get("targets", [])} - {""})
    service = row.incident.service
    asks = row.state == RemediationState.AWAITING_APPROVAL
    return PlanView(
        row=row,
        targets=row.target_names,
        where=" · ".join([str(service) if service else "no service", *backends]),
        calls=calls,
        evidence=plan.get("evidence", {}),
        guards=[_guard(item) for item in row.guards],
        looks=looks,
        good=good_in_a_row(row, needed),
        good_needed=needed,
        verify=_verify_text(plan.get("verify", {})),
        undo="; ".join(dict.fromkeys(call.undo for call in calls if call.undo)),
        given=len(approval.signatures(row)) if asks and approvals else 0,
        approvals=approvals,
        risky=approval.is_risky(row),
        barred=[f"{name}, who {what}" for name, what in approval.barred(row).items()] if asks else [],
        on_it=takeover.holder(row.incident, now=timezone.now()) if asks else "",
        can_ask_again=row.state in UNANSWERED and row.incident.state == IncidentState.FIRING,
    )


def _call(call: Mapping[str, Any]) -> CallView:
    before, after = dict(call.get("before") or {}), dict(call.get("after") or {})
    names = [*before, *(name for name in after if name not in before)]
    changes = [
        Change(name=state_word(name), before=_said(before.get(name)), after=_said(after.get(name, before.get(name))))
        for name in names
    ]
    return CallView(
        target=str(call.get("target", "")),
        text=str(call.get("text", "")),
        changes=changes,
        undo=str(call.get("undo") or ""),
    )


def _said(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(item)}" for name, item in value.items()) or NOTHING
    if isinstance(value, list | tuple):
        return ", ".join(_said(item) for item in value) or NOTHING
    return str(value)


def _guard(item: Mapping[str, Any]) -> GuardView:
    return GuardView(
        label=str(item.get("label") or item.get("guard") or "Guard"),
        passed=bool(item.get("passed")),
        reason=str(item.get("reason", "")),
        numbers=item.get("numbers") or {},
    )


def looks_of(row: Remediation) -> list[Look]:
    return [
        Look(
            at=_moment(item.get("at")),
            verdict=str(item.get("verdict", Verdict.UNKNOWN)),
            value=item.get("value"),
            reason=str(item.get("reason", "")),
            counts=bool(item.get("counts", True)),
        )
        for item in row.checks
    ]


def _moment(written: Any) -> datetime | None:
    """A look's time, written as text or as seconds since the epoch."""
    if isinstance(written, int | float):
        return datetime.fromtimestamp(written, UTC)
    try:
        return datetime.fromisoformat(str(written))
    except ValueError:
        return None


def good_in_a_row(row: Remediation, needed: int) -> int:
    """Good samples so far, counted as the verification counts them."""
    return min(needed, judge(row.checks, needed=needed, deadline=math.inf, now=0).good)


def _verify_text(verify: Mapping[str, Any]) -> str:
    if not verify:
        return "The incident's own condition is asked again."
    samples = int(verify.get("good_samples", 1))
    settle = float(verify.get("settle_s", 0))
    wait = f", from {span(settle)} after the effect" if settle else ", all taken after the effect"
    within = span(float(verify.get("within_s", 0)))
    return f"{samples} good sample{'s' if samples != 1 else ''} in a row of the same condition{wait}, within {within}."


def evidence_text(evidence: Mapping[str, Any]) -> str:
    """The value the plan rests on, in words."""
    value = evidence.get("value")
    reason = str(evidence.get("reason", ""))
    if value is None:
        return reason
    return f"{number(float(value))} — {reason}" if reason else number(float(value))
