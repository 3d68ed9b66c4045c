"""Right before the effect: everything is asked once more, and the intent committed."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import connection, transaction
from django.db.models import F

from remediation.condition import ask
from remediation.decide import plan as plans
from remediation.decide.guards.base import Situation, ask_all, for_person, refusals
from remediation.doorbell import ring_after_commit
from remediation.draining import is_draining
from remediation.exceptions import HomeostatError
from remediation.models import Incident, Prepared, Remediation, Service, Target, change
from remediation.repair import second_opinion
from remediation.repair.around import before
from remediation.repair.gate import approved, hold
from remediation.repair.timing import lease_from
from remediation.states import Autonomy, IncidentState, Verdict
from remediation.states import RemediationState as R
from remediation.verify.recovery import Look

CLAIMS = 0x484F4D45
"""The advisory lock of all claims: any number that nobody else takes in this database."""
BLIND_AGAIN = timedelta(seconds=10)
"""When a plan whose condition could not be seen right before the effect is looked at again."""

WORKER = f"{socket.gethostname()}:{os.getpid()}"


_service_lock = Prepared(lambda given: Service.objects.select_for_update().filter(pk=given("pk")).only("pk"))
_incident_lock = Prepared(lambda given: Incident.objects.select_for_update().filter(pk=given("pk")).only("pk"))
_incident_now = Prepared(lambda given: Incident.objects.filter(pk=given("pk")))


def still_wanted(row: Remediation, targets: list[Target], *, now: datetime) -> Look | None:
    """Ask the condition and the targets again: healed, unknown and changed lead away from the effect. What was seen
    where it is wanted still."""
    if _unsigned(row, now=now) or _expired(row, now=now):
        return None
    look = ask(row.incident, now=now)
    if look.verdict == Verdict.OK:
        _healed(row, f"asked again before the effect: {look.reason}", now=now)
        return None
    if look.verdict == Verdict.UNKNOWN:
        _blind(row, look.reason, now=now)
        return None
    doubt = second_opinion.doubt(row, now=now)
    if doubt is not None:
        change(row, R.GATED, now=now, reason=doubt.reason, guards=doubt.answers, due_at=now + BLIND_AGAIN)
        return None
    return look if _unchanged(row, targets, now=now) else None


def _unsigned(row: Remediation, *, now: datetime) -> bool:
    """Nobody, or not enough people who still may, signed exactly this plan."""
    if row.autonomy == Autonomy.AUTO or approved(row):
        return False
    change(row, R.SUPERSEDED, now=now, reason="refused: this plan was not approved by enough people")
    return True


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


def claim(row: Remediation, look: Look, *, now: datetime) -> int | None:
    """Commit the intent. Freeze, guards and the incident are read in the same transaction, behind the service's lock,
    so that of two claims on one service the second sees the first. look: the condition as it was seen just before.
    Returns the fencing number."""
    if is_draining():  # it stays ready: the sweep rings for it again, and another process answers
        return None
    with transaction.atomic():
        lock(row)
        reread(row.incident)
        if row.incident.state == IncidentState.RESOLVED or row.incident.verdict == Verdict.OK:
            _healed(row, f"over before the effect: {row.incident.reason}", now=now)
            return None
        if _unsigned(row, now=now) or _expired(row, now=now):
            return None
        answers = ask_all(Situation(now=now, incident=row.incident, remediation=row))
        refused = refusals(answers)
        if refused:
            hold(row, answers, refused, now=now)
            return None
        wanted = for_person(answers, passed=True)
        if wanted and not approved(row):  # it may act by itself no longer: the gate asks a person
            change(row, R.GATED, now=now, reason=wanted, guards=answers, due_at=now)
            ring_after_commit("advance", remediation_id=row.pk)
            return None
        return _commit_intent(row, answers, look, now=now)


def lock(row: Remediation) -> None:
    """One claim at a time, of whatever service: the second sees the first. (SQLite has one writer anyway.) The row of
    the service is locked as well, so that it is not deleted meanwhile."""
    if row.incident.service_id is not None:
        found = bool(_service_lock.all(pk=row.incident.service_id))
    else:
        found = bool(_incident_lock.all(pk=row.incident_id))
    if not found:
        raise ObjectDoesNotExist(f"what {row} is about was deleted")
    if connection.vendor == "postgresql":  # what is counted everywhere (repairs at once, effects in an hour) too
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CLAIMS])


def reread(incident: Incident) -> None:
    """The incident's own fields, as they are now."""
    found = _incident_now.first(pk=incident.pk)
    if found is None:
        raise ObjectDoesNotExist(f"{incident} was deleted")
    for field in Incident._meta.concrete_fields:
        before, after = getattr(incident, field.attname), getattr(found, field.attname)
        if before != after:  # setting a foreign key forgets the row that was loaded with it
            setattr(incident, field.attname, after)


def _commit_intent(row: Remediation, answers: list[dict[str, Any]], look: Look, *, now: datetime) -> int | None:
    """The remediation's intent and that of its first call; the later ones follow one by one, see lease.begin."""
    fence = row.fence + 1
    lease = lease_from(now, timeout_s=float(row.plan["step"]["timeout_s"]))
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
        before_effect=before(row, look, now=now),
    )
    row.fence, row.lease_until = fence, lease
    return fence if claimed else None
