"""Before the effect: guards, a person, and shadow."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from remediation import conf
from remediation.decide import approval
from remediation.decide.guards.base import Situation, ask_all, for_person, refusals
from remediation.deciding import call_person
from remediation.doorbell import ring_after_commit
from remediation.models import Remediation, change
from remediation.repair.sight import freshen
from remediation.shadow import watch
from remediation.states import Autonomy
from remediation.states import RemediationState as R

BY_STORM = frozenset({"storm", "partial"})
"""The guards that say no because of a storm."""


def shadow(row: Remediation, *, now: datetime) -> None:
    calls = "; ".join(call["text"] for call in row.plan["calls"])
    if change(row, R.SHADOWED, now=now, reason=f"would have done: {calls}"):
        watch(row, now=now)
        ring_after_commit("reconcile", incident_id=row.incident_id)


def gate(row: Remediation, *, now: datetime) -> None:
    """Ask every guard; with none refusing go on to a person or to the worker."""
    if row.autonomy == Autonomy.AUTO and row.state == R.PLANNED:
        # They are asked where it counts, in the transaction that enters executing: asked here as well they would only
        # make the first effect late.
        if change(row, R.READY, now=now, reason="auto: every guard is asked right before the effect", due_at=now):
            ring_after_commit("act", remediation_id=row.pk)
        return
    freshen(row, now=now)
    answers = ask_all(Situation(now=now, incident=row.incident, remediation=row))
    refused = refusals(answers)
    if refused:
        hold(row, answers, refused, now=now)
        return
    wanted = for_person(answers, passed=True)
    if row.autonomy == Autonomy.AUTO and not wanted:
        if change(row, R.READY, now=now, reason="every guard lets it pass", guards=answers, due_at=now):
            ring_after_commit("act", remediation_id=row.pk)
        return
    if approved(row):
        if change(row, R.AWAITING_APPROVAL, now=now, reason="approved before it was held", guards=answers, due_at=now):
            change(row, R.READY, now=now, reason="approved, and every guard lets it pass again", due_at=now)
            ring_after_commit("act", remediation_id=row.pk)
        return
    expires = row.expires_at or now + timedelta(seconds=float(row.plan["step"].get("approval_ttl_s", 900)))
    change(
        row, R.AWAITING_APPROVAL, now=now, reason=_asks(row, wanted), guards=answers, expires_at=expires, due_at=expires
    )


def _asks(row: Remediation, wanted: str) -> str:
    people = "one person" if row.approvals_needed == 1 else f"{row.approvals_needed} people"
    return f"{wanted or 'every guard lets it pass'}; {people} must approve"


def approved(row: Remediation) -> bool:
    """Whether enough people signed exactly this plan, and still may."""
    return approval.enough(row)


def hold(row: Remediation, answers: list[dict[str, Any]], refused: str, *, now: datetime) -> None:
    """Wait. A spent budget is for a person as well, and so is flapping: whatever comes back that often is not repaired
    by this step."""
    wanted = for_person(answers, passed=False)
    if wanted:
        call_person(row.incident, f"{row} is held: {wanted}", now=now)
    due = now + timedelta(seconds=_pause_s(row, answers))
    if row.state == R.GATED:
        Remediation.objects.filter(pk=row.pk, state=R.GATED).update(guards=answers, reason=refused, due_at=due)
    else:
        change(row, R.GATED, now=now, reason=refused, guards=answers, due_at=due)


def _pause_s(row: Remediation, answers: list[dict[str, Any]]) -> float:
    """Until the guards are asked again. What a storm alone holds may be thousands: seldom, and not all at once."""
    refusing = {answer["guard"] for answer in answers if not answer["passed"]}
    if "storm" not in refusing or refusing - BY_STORM:
        return conf.GATE_RECHECK_S
    return conf.STORM_RECHECK_S * (1 + row.pk % 100 / 100)


def await_person(row: Remediation, *, now: datetime) -> None:
    if approved(row):  # the last answer was kept, and its worker died before it went on
        if change(row, R.READY, now=now, reason="approved by enough people", due_at=now):
            ring_after_commit("act", remediation_id=row.pk)
        return
    if row.expires_at is None or row.expires_at > now:
        return
    if change(row, R.EXPIRED, now=now, reason="nobody answered in time"):
        call_person(row.incident, f"{row} was not answered in time", now=now)
