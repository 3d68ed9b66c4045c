"""A repair that was proved, and did not last."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from remediation.models import Incident, Prepared, Remediation, record
from remediation.states import RemediationState, Verdict

_verified = Prepared(
    lambda given: (
        Remediation.objects.filter(
            incident__rule=given("rule"),
            incident__fingerprint=given("fingerprint"),
            state=RemediationState.VERIFIED,
            relapsed_at=None,
        )
        .select_related("incident")
        .order_by("pk")
    )
)


def note_relapse(incident: Incident, *, now: datetime) -> int:
    """An incident is firing: record on the verified attempts at the same series that it was bad again within the time
    their plans name. Returns how many there were."""
    if incident.verdict != Verdict.BAD:
        return 0
    verified = _verified.all(rule=incident.rule_id, fingerprint=incident.fingerprint)
    return sum(_note(row, incident, now=now) for row in verified)


def _note(row: Remediation, incident: Incident, *, now: datetime) -> bool:
    since = incident.judged_at if row.incident_id == incident.pk else incident.fired_at
    if row.ended_at is None or since is None:
        return False
    after_s = (since - row.ended_at).total_seconds()
    if not 0 < after_s <= float(row.plan["verify"].get("relapse_s") or 0.0):
        return False
    with transaction.atomic():
        if not Remediation.objects.filter(pk=row.pk, relapsed_at=None).update(relapsed_at=since):
            return False
        reason = f"bad again {after_s:.0f} s after it was verified; it does not count as one that helped"
        record(row, "relapsed", now=now, reason=reason, facts={"after_s": round(after_s, 1)})
    return True
