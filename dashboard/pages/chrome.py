"""What surrounds every page: whether automation runs, whether the loop does, and how much waits for a person."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from dashboard.live.fragments import Context, fragment
from remediation import conf
from remediation.models import Freeze, Heartbeat, Incident, Remediation
from remediation.states import IncidentState, RemediationState

GRACE_S = 3
"""A heartbeat is written at the end of some work: this much later than expected is still alive."""


def waiting_count() -> int:
    """Approvals to give and incidents that need a person: the number in titles and on the favicon."""
    asked = Remediation.objects.filter(state=RemediationState.AWAITING_APPROVAL).values("incident_id")
    needy = Incident.objects.filter(needs_person=True).exclude(state=IncidentState.RESOLVED)
    return len(asked) + needy.exclude(pk__in=asked).count()


def stalled(now: datetime) -> list[Heartbeat]:
    """Stages that missed their signs of life."""
    rows = Heartbeat.objects.filter(every_s__gt=0).order_by("stage")
    return [row for row in rows if is_stalled(row, now)]


def is_stalled(row: Heartbeat, now: datetime) -> bool:
    return row.every_s > 0 and now - row.at > timedelta(seconds=conf.STALL_INTERVALS * row.every_s + GRACE_S)


@fragment("automation", "_automation.html", topics=("freeze",), every_s=5)
def automation(_: str) -> Context:
    """Running, paused by whom and why; in the header of every page."""
    freezes = list(Freeze.active(now=timezone.now(), anywhere=True).select_related("service").order_by("at"))
    everywhere = [freeze for freeze in freezes if freeze.service_id is None]
    return {"everywhere": everywhere, "services": [freeze for freeze in freezes if freeze.service_id is not None]}


@fragment("banner", "_banner.html", every_s=5)
def banner(_: str) -> Context:
    """Says so when the loop itself stands still: then nothing on the page can be trusted to be fresh."""
    return {"stalled": stalled(timezone.now())}


@fragment("count", "_count.html", topics=("incident", "remediation"), every_s=5)
def count(argument: str) -> Context | None:
    """The numbers in the navigation: each counts what its own page shows."""
    if argument == "approvals":
        return {"count": Remediation.objects.filter(state=RemediationState.AWAITING_APPROVAL).count()}
    if argument == "incidents":
        return {"count": Incident.objects.filter(needs_person=True).exclude(state=IncidentState.RESOLVED).count()}
    return None


@fragment("tally", "_tally.html", topics=("incident", "remediation"), every_s=5)
def tally(_: str) -> Context:
    """What titles and the icon count: what waits for a person, else what is open. standing.js reads it."""
    return {"waiting": waiting_count(), "open": Incident.objects.exclude(state=IncidentState.RESOLVED).count()}
