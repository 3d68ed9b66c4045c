"""Rows of incidents, as every table of them shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from dashboard.pages.words import expected
from remediation.models import Incident, Remediation
from remediation.states import REMEDIATION_LIVE


@dataclass(frozen=True, kw_only=True)
class IncidentRow:
    incident: Incident
    repair: Remediation | None
    expected: str

    @property
    def state(self) -> str:
        """Unknown on top of the state that is held: the row must not look as if it were known to be so."""
        if self.incident.open and self.incident.verdict == "unknown":
            return "unknown"
        return self.incident.state


def with_repair(incidents: QuerySet[Incident]) -> QuerySet[Incident]:
    repairs = Remediation.objects.order_by("-pk")
    return incidents.select_related("rule", "service", "acknowledged_by", "decision").prefetch_related(
        Prefetch("remediations", queryset=repairs)
    )


def table(incidents: Iterable[Incident]) -> list[IncidentRow]:
    return [
        IncidentRow(incident=incident, repair=_repair(incident), expected=expected(incident.lower, incident.upper))
        for incident in incidents
    ]


def _repair(incident: Incident) -> Remediation | None:
    """The live remediation, or else the last one."""
    found = list(incident.remediations.all())
    live = [row for row in found if row.state in REMEDIATION_LIVE]
    return next(iter(live or found), None)
