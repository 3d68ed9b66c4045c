"""What surrounds every page: whether automation runs, whether the loop does, and how much waits for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from dashboard.live.fragments import Context, fragment, once
from remediation.models import Freeze, Heartbeat, Incident, Remediation
from remediation.models.prepared import Prepared, PreparedTally
from remediation.states import IncidentState, RemediationState

_asks = Prepared(
    lambda _: (
        Remediation.objects.filter(state=RemediationState.AWAITING_APPROVAL)
        .order_by()
        .values_list("incident_id", flat=True)
    )
)
_ASKED_FOR = Q(Exists(Remediation.objects.filter(incident=OuterRef("pk"), state=RemediationState.AWAITING_APPROVAL)))
_open = PreparedTally(
    lambda _: Incident.objects.exclude(state=IncidentState.RESOLVED),
    open=Count("pk"),
    needy=Count("pk", filter=Q(needs_person=True)),
    needy_only=Count("pk", filter=Q(needs_person=True) & ~_ASKED_FOR),
)
_freezes = Prepared(
    lambda given: Freeze.active(now=given("now"), anywhere=True).select_related("service").order_by("at")
)
_beats = Prepared(lambda _: Heartbeat.objects.filter(every_s__gt=0).order_by("stage"))


@dataclass(frozen=True, kw_only=True)
class Tally:
    """open: incidents. needy: those that need a person. needy_only: those of them for which no approval is asked.
    asked: approvals to give."""

    open: int
    needy: int
    needy_only: int
    asked: int

    @property
    def waiting(self) -> int:
        """Approvals to give and incidents that need a person: the number in titles and on the favicon."""
        return self.asked + self.needy_only


@once
def tally() -> Tally:
    return Tally(asked=len(_asks.all()), **_open.of())


def waiting_count() -> int:
    return tally().waiting


@once
def freezes() -> list[Freeze]:
    """What holds now, everywhere or somewhere, with the service; the oldest first."""
    return _freezes.all(now=timezone.now())


@once
def beats() -> list[Heartbeat]:
    """Of the stages that give a sign of life again and again."""
    return _beats.all()


def stalled(now: datetime) -> list[Heartbeat]:
    """Stages that missed their signs of life."""
    return [row for row in beats() if is_stalled(row, now)]


def is_stalled(row: Heartbeat, now: datetime) -> bool:
    return row.is_stalled(now)


@fragment("automation", "_automation.html", topics=("freeze",), every_s=5)
def automation(_: str) -> Context:
    """Running, paused by whom and why; in the header of every page."""
    everywhere = [freeze for freeze in freezes() if freeze.service_id is None]
    return {"everywhere": everywhere, "services": [freeze for freeze in freezes() if freeze.service_id is not None]}


@fragment("banner", "_banner.html", every_s=5)
def banner(_: str) -> Context:
    """Says so when the loop itself stands still: then nothing on the page can be trusted to be fresh."""
    return {"stalled": stalled(timezone.now())}


@fragment("count", "_count.html", topics=("incident", "remediation"), every_s=5)
def count(argument: str) -> Context | None:
    """The numbers in the navigation: each counts what its own page shows."""
    if argument == "approvals":
        return {"count": tally().asked}
    if argument == "incidents":
        return {"count": tally().needy}
    return None


@fragment("tally", "_tally.html", topics=("incident", "remediation"), every_s=5)
def tallied(_: str) -> Context:
    """What titles and the icon count: what waits for a person, else what is open. standing.js reads it."""
    return {"waiting": tally().waiting, "open": tally().open}
