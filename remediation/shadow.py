"""Watching faults about which nothing is done: how often do they end by themselves?"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from remediation.chances import Share
from remediation.models import Playbook, Remediation, record
from remediation.states import Verdict

WATCHED_AT_ONCE = 200
UNTOUCHED = {"watch_until__isnull": False, "incident__acknowledged_by": None, "incident__taken_by": None}
"""Faults that were watched and that nobody worked on."""
LASTED = Q(incident__resolved_at__gt=F("watch_until")) | Q(
    incident__resolved_at=None, incident__judged_at__gte=F("watch_until"), incident__verdict=Verdict.BAD
)
"""Of those, what was still there at the end of its window, once nothing says that it healed."""


def watch(row: Remediation, *, now: datetime) -> None:
    """Begin to watch a fault about which nothing is done."""
    window = timedelta(seconds=float(row.playbook.shadow_window_s))
    Remediation.objects.filter(pk=row.pk, watch_until=None).update(watch_until=now + window)


def settle_watches(*, now: datetime) -> int:
    """Write down which watched faults have ended by themselves in time. Returns how many."""
    ended = Remediation.objects.filter(
        **UNTOUCHED, healed_at=None, incident__resolved_at__lte=F("watch_until")
    ).select_related("incident")
    return sum(_settle(row, now=now) for row in ended[:WATCHED_AT_ONCE])


def _settle(row: Remediation, *, now: datetime) -> bool:
    ended = row.incident.resolved_at
    assert ended is not None  # noqa: S101 - the question was for those that have one
    with transaction.atomic():
        if not Remediation.objects.filter(pk=row.pk, healed_at=None).update(healed_at=ended):
            return False
        after = (ended - row.created_at).total_seconds()
        record(row, "healed by itself", now=now, reason=f"the fault ended by itself, {after:.0f} s after the plan")
    return True


def healed_alone(playbook: Playbook) -> Share:
    """Of the faults that shadow watched to the end of its window, how many ended by themselves. Those that somebody
    worked on say nothing, nor do those that ended while a plan waited: had they lasted, something would have been
    done."""
    watched = playbook.remediations.filter(**UNTOUCHED)
    healed = watched.filter(healed_at__isnull=False).count()
    lasting = watched.filter(LASTED, healed_at=None).count()
    return Share(hits=healed, n=healed + lasting)
