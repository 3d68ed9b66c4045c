"""A remediation as people read it: the exact calls, before and after, guards with their numbers, proof so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.pages.blast import Blast, TargetView, blast_of, targets_of
from dashboard.pages.changes import CallView, call_view
from dashboard.pages.past import Outcome
from dashboard.pages.words import expected, number, span
from remediation.decide import approval, takeover
from remediation.decide.ladder import UNANSWERED
from remediation.models import Approval, Remediation
from remediation.states import REMEDIATION_LIVE, IncidentState, RemediationState, Verdict
from remediation.verify.recovery import judge

LEAD_IN = timedelta(minutes=10)
NAMED = 3


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
    acted_on: Sequence[TargetView]
    where: str
    calls: Sequence[CallView]
    evidence: Mapping[str, Any]
    guards: Sequence[GuardView]
    blast: Blast | None
    """None where no other target of that role is there, or nobody has asked yet: see `blast_text`."""
    blast_text: str
    past: Sequence[Outcome]
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
    def short_targets(self) -> str:
        """The names, or the first of them and how many more: what is typed and listed has all."""
        names = [call.target for call in self.calls]
        if len(names) <= NAMED:
            return self.targets
        more = len(names) - NAMED + 1
        text = ngettext("%(names)s and %(count)d more", "%(names)s and %(count)d more", more)
        return text % {"names": ", ".join(names[: NAMED - 1]), "count": more}

    @property
    def first_calls(self) -> Sequence[CallView]:
        return self.calls if len(self.calls) <= NAMED else self.calls[: NAMED - 1]

    @property
    def further_calls(self) -> Sequence[CallView]:
        return self.calls[len(self.first_calls) :]

    @property
    def helped(self) -> int:
        return sum(one.helped for one in self.past)

    @property
    def expected(self) -> str:
        return expected(self.row.incident.lower, self.row.incident.upper)

    @property
    def watched_from(self) -> float:
        """Where the small chart begins, in seconds since the epoch: it shows what was before as well."""
        return (self.row.incident.opened_at - LEAD_IN).timestamp()

    @property
    def who(self) -> str:
        """Who is needed, in words."""
        needed = self.row.approvals_needed
        if needed == 1:
            return _("One person who may approve is needed")
        return _("%(given)d of %(needed)d people have approved") % {"given": self.given, "needed": needed}


def view_of(row: Remediation, past: Sequence[Outcome] = ()) -> PlanView:
    plan = row.plan
    calls = [call_view(call) for call in plan.get("calls", [])]
    approvals = list(row.approvals.all())
    acted_on = targets_of(plan)
    needed = int(plan.get("verify", {}).get("good_samples", 1))
    backends = sorted({one.backend for one in acted_on} - {""})
    service = row.incident.service
    asks = row.state == RemediationState.AWAITING_APPROVAL
    blast, blast_text = blast_of(row.guards)
    return PlanView(
        row=row,
        targets=row.target_names,
        acted_on=acted_on,
        where=" · ".join([str(service) if service else _("no service"), *backends]),
        calls=calls,
        evidence=plan.get("evidence", {}),
        guards=[_guard(item) for item in row.guards],
        blast=blast,
        blast_text=blast_text,
        past=past,
        looks=looks_of(row),
        good=good_in_a_row(row, needed),
        good_needed=needed,
        verify=_verify_text(plan.get("verify", {})),
        undo="; ".join(dict.fromkeys(call.undo for call in calls if call.undo)),
        given=len(approval.signatures(row)) if asks and approvals else 0,
        approvals=approvals,
        risky=approval.is_risky(row),
        barred=_barred(row) if asks else [],
        on_it=takeover.holder(row.incident, now=timezone.now()) if asks else "",
        can_ask_again=row.state in UNANSWERED and row.incident.state == IncidentState.FIRING,
    )


def _barred(row: Remediation) -> list[str]:
    return [_("%(name)s, who %(what)s") % {"name": name, "what": what} for name, what in approval.barred(row).items()]


def _guard(item: Mapping[str, Any]) -> GuardView:
    return GuardView(
        label=str(item.get("label") or item.get("guard") or _("Guard")),
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
        return _("The incident's own condition is asked again.")
    samples = int(verify.get("good_samples", 1))
    settle = float(verify.get("settle_s", 0))
    wait = _("from %(span)s after the effect") % {"span": span(settle)} if settle else _("all taken after the effect")
    asked = ngettext(
        "%(count)d good sample in a row of the same condition, %(wait)s, within %(within)s.",
        "%(count)d good samples in a row of the same condition, %(wait)s, within %(within)s.",
        samples,
    )
    said = asked % {"count": samples, "wait": wait, "within": span(float(verify.get("within_s", 0)))}
    also = len(verify.get("queries") or [])
    if also:
        more = ngettext("%(count)d more condition has to hold.", "%(count)d more conditions have to hold.", also)
        said = f"{said} {more % {'count': also}}"
    return said


def evidence_text(evidence: Mapping[str, Any]) -> str:
    """The value the plan rests on, in words."""
    value = evidence.get("value")
    reason = str(evidence.get("reason", ""))
    if value is None:
        return reason
    return f"{number(float(value))} — {reason}" if reason else number(float(value))
