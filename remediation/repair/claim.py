"""Right before the effect: everything is asked once more, and the intent committed."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from remediation import conf
from remediation.condition import ask
from remediation.decide import plan as plans
from remediation.decide.guards.base import Situation, ask_all, refusals
from remediation.doorbell import ring_after_commit
from remediation.exceptions import HomeostatError
from remediation.models import Incident, Remediation, Service, Target, change
from remediation.repair.gate import approved, hold
from remediation.states import Autonomy, IncidentState, Verdict
from remediation.states import RemediationState as R

BLIND_AGAIN = timedelta(seconds=10)
"""When a plan whose condition could not be seen right before the effect is looked at again."""

WORKER = f"{socket.gethostname()}:{os.getpid()}"


def still_wanted(row: Remediation, targets: list[Target], *, now: datetime) -> bool:
    """Ask the condition and the targets again: healed, unknown and changed lead away from the effect."""
    if row.autonomy != Autonomy.AUTO and not approved(row):
        change(row, R.SUPERSEDED, now=now, reason="refused: this plan was not approved by enough people")
        return False
    if _expired(row, now=now):
        return False
    look = ask(row.incident, now=now)
    if look.verdict == Verdict.OK:
        _healed(row, f"asked again before the effect: {look.reason}", now=now)
        return False
    if look.verdict == Verdict.UNKNOWN:
        _blind(row, look.reason, now=now)
        return False
    return _unchanged(row, targets, now=now)


def _expired(row: Remediation, *, now: datetime) -> bool:
    if row.expires_at is None or row.expires_at > now:
        return False
    change(row, R.EXPIRED, now=now, reason="approved, but the time to act on it is over")
    ring_after_commit("reconcile", incident_id=row.incident_id)
    return True


def _healed(row: Remediation, reason: str, *, now: datetime) -> None:
    change(row, R.SELF_RECOVERED, now=now, reason=reason)
    ring_after_commit("reconcile", incident_id=row.incident_id)


def _blind(row: Remediation, why: str, *, now: datetime) -> None:
    """Nobody can tell whether it is still wanted: wait, or plan anew where the question itself is no longer asked."""
    reason = f"asked again before the effect, and nobody can tell: {why}"
    if row.incident.rule_version.number != row.incident.rule.version:
        change(row, R.SUPERSEDED, now=now, reason=f"{reason} (the rule was edited since)")
        ring_after_commit("reconcile", incident_id=row.incident_id)
    else:
        change(row, R.GATED, now=now, reason=reason, due_at=now + BLIND_AGAIN)


def _unchanged(row: Remediation, targets: list[Target], *, now: datetime) -> bool:
    step = row.plan["step"]
    planned = plans.stored_calls(row.plan)
    gone = len(targets) != len(planned) or not all(target.enabled for target in targets)
    try:
        difference = (
            "a target was disabled or removed since this was planned"
            if gone
            else plans.changed(planned, plans.preview(row.verb, step["params"], targets))
        )
    except HomeostatError as error:
        change(row, R.FAILED, now=now, reason=f"looked at the targets before the effect: {error}")
        ring_after_commit("reconcile", incident_id=row.incident_id)
        return False
    if difference:
        change(row, R.SUPERSEDED, now=now, reason=difference)
        ring_after_commit("reconcile", incident_id=row.incident_id)
        return False
    return True


def claim(row: Remediation, *, now: datetime) -> int | None:
    """Commit the intent. Freeze, guards and the incident are read in the same transaction, behind the service's lock,
    so that of two claims on one service the second sees the first. Returns the fencing number."""
    with transaction.atomic():
        _lock(row)
        row.incident.refresh_from_db()
        if row.incident.state == IncidentState.RESOLVED or row.incident.verdict == Verdict.OK:
            _healed(row, f"over before the effect: {row.incident.reason}", now=now)
            return None
        if _expired(row, now=now):
            return None
        answers = ask_all(Situation(now=now, incident=row.incident, remediation=row))
        refused = refusals(answers)
        if refused:
            hold(row, answers, refused, now=now)
            return None
        return _commit_intent(row, answers, now=now)


def _lock(row: Remediation) -> None:
    """One claim on a service at a time. (SQLite has one writer anyway.)"""
    if row.incident.service_id is not None:
        Service.objects.select_for_update().get(pk=row.incident.service_id)
    else:
        Incident.objects.select_for_update().get(pk=row.incident_id)


def _commit_intent(row: Remediation, answers: list[dict[str, Any]], *, now: datetime) -> int | None:
    fence = row.fence + 1
    lease = now + timedelta(seconds=float(row.plan["step"]["timeout_s"]) + conf.LEASE_MARGIN_S)
    claimed = change(
        row,
        R.EXECUTING,
        now=now,
        reason=f"{row.verb} of {row.target_names} starts",
        facts={"worker": WORKER, "fence": fence, "key": str(row.key)},
        where={"fence": row.fence, "digest": row.digest},
        fence=F("fence") + 1,
        worker=WORKER,
        guards=answers,
        effect_started_at=now,
        lease_until=lease,
        due_at=lease,
    )
    row.fence = fence
    return fence if claimed else None
