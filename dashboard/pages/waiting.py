"""What waits for a person, and what is open: the rows of the overview, in few columns.

Each row is a value that says everything it shows, so that a piece of equal rows is not rendered again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.live.fragments import Context
from dashboard.pages import chrome
from dashboard.pages.words import expected
from remediation.models import Incident, Remediation
from remediation.models.prepared import Prepared
from remediation.states import REMEDIATION_LIVE, IncidentState, RemediationState
from remediation.texts import fill

OPEN_ROWS = 25
"""Open incidents of the overview."""
AT_MOST = 12
"""Rows of each kind; how many more there are is said, and where."""

TITLE = ("rule__name", "annotations", "labels", "value")
SERVICE = ("service__name", "service__title")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A repair that waits for approval."""

    pk: int
    verb: str
    targets: str
    title: str
    service: str
    expires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Needy:
    """An incident that automation will not end, or that somebody works on (`by`, `until`)."""

    pk: int
    title: str
    why: str = ""
    opened_at: datetime | None = None
    by: str = ""
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Repair:
    verb: str
    state: str
    targets: str


@dataclass(frozen=True, kw_only=True)
class OpenRow:
    """An open incident. `state` is unknown where the verdict is: the row must not look as if it were known."""

    pk: int
    title: str
    state: str
    severity: str
    service: str
    service_title: str
    reason: str
    value: float | None
    expected: str
    opened_at: datetime
    needs_person: bool
    acknowledged_by: str
    repair: Repair | None
    outcome: str
    summary: str


_asking = Prepared(
    lambda _: (
        Remediation.objects.filter(state=RemediationState.AWAITING_APPROVAL)
        .order_by("expires_at", "pk")
        .values_list("pk", "verb", "plan__calls", "expires_at", *(f"incident__{name}" for name in (*TITLE, *SERVICE)))[
            :AT_MOST
        ]
    )
)
_ASKED = Remediation.objects.filter(state=RemediationState.AWAITING_APPROVAL)
_needy = Prepared(
    lambda _: (
        Incident.objects.filter(needs_person=True)
        .exclude(state=IncidentState.RESOLVED)
        .exclude(pk__in=_ASKED.values("incident_id"))
        .order_by("opened_at", "pk")
        .values_list("pk", "attention", "opened_at", *TITLE)[:AT_MOST]
    )
)
_taken = Prepared(
    lambda given: (
        Incident.objects.filter(taken_until__gt=given("now"))
        .exclude(state=IncidentState.RESOLVED)
        .exclude(taken_by=None)
        .order_by("taken_until", "pk")
        .values_list("pk", "taken_by__username", "taken_until", *TITLE)[:AT_MOST]
    )
)


def waiting(now: datetime) -> Context:
    """Approvals to give, the one that expires first on top; incidents that need a person; and who is on which."""
    asking = tuple(_asked(*row) for row in _asking.all())
    needy = tuple(Needy(pk=pk, title=_title(*words), why=why, opened_at=at) for pk, why, at, *words in _needy.all())
    taken = _taken.all(now=now)
    return {
        "asking": asking,
        "more_asking": chrome.tally().asked - len(asking) if len(asking) == AT_MOST else 0,
        "needy": needy,
        "more_needy": chrome.tally().needy_only - len(needy) if len(needy) == AT_MOST else 0,
        "on_it": tuple(Needy(pk=pk, title=_title(*words), by=by, until=until) for pk, by, until, *words in taken),
    }


def _asked(pk: int, verb: str, calls: Any, expires_at: datetime | None, *words: Any) -> Asked:
    title, service, service_title = words[:4], words[4], words[5]
    return Asked(
        pk=pk,
        verb=verb,
        targets=_targets(calls),
        title=_title(*title),
        service=service_title or service or "",
        expires_at=expires_at,
    )


OPEN = ("pk", "state", "verdict", "severity", "reason", "lower", "upper", "opened_at", "needs_person")
BESIDE = ("acknowledged_by__username", "decision__outcome", "decision__summary")


_COLUMNS = (*OPEN, *BESIDE, *TITLE, *SERVICE)
_NEWEST = Incident.objects.exclude(state=IncidentState.RESOLVED).order_by("-opened_at", "-pk")
_newest = Prepared(lambda _: _NEWEST.values_list(*_COLUMNS)[:OPEN_ROWS])
_repairs_of_newest = Prepared(
    lambda _: (
        Remediation.objects.filter(incident_id__in=_NEWEST.values("pk")[:OPEN_ROWS])
        .order_by("pk")
        .values_list("incident_id", "state", "verb", "plan__calls")
    )
)


def open_rows() -> tuple[OpenRow, ...]:
    """The newest open incidents, each with its live repair or else the last one."""
    found = [dict(zip(_COLUMNS, row, strict=True)) for row in _newest.all()]
    repairs = _repairs()
    return tuple(_open_row(row, repairs.get(row["pk"])) for row in found)


def _open_row(row: dict[str, Any], repair: Repair | None) -> OpenRow:
    return OpenRow(
        pk=row["pk"],
        title=_title(*(row[name] for name in TITLE)),
        state="unknown" if row["verdict"] == "unknown" else row["state"],
        severity=row["severity"],
        service=row["service__name"] or "",
        service_title=row["service__title"] or row["service__name"] or "",
        reason=row["reason"],
        value=row["value"],
        expected=expected(row["lower"], row["upper"]),
        opened_at=row["opened_at"],
        needs_person=row["needs_person"],
        acknowledged_by=row["acknowledged_by__username"] or "",
        repair=repair,
        outcome=row["decision__outcome"] or "",
        summary=row["decision__summary"] or "",
    )


def _repairs() -> dict[int, Repair]:
    found: dict[int, Repair] = {}
    live: set[int] = set()
    for incident, state, verb, calls in _repairs_of_newest.all():
        if state in REMEDIATION_LIVE or incident not in live:
            found[incident] = Repair(verb=verb, state=state, targets=_targets(calls))
        if state in REMEDIATION_LIVE:
            live.add(incident)
    return found


def _targets(calls: Any) -> str:
    """As Remediation.target_names says it."""
    return ", ".join(call["target"] for call in calls or [])


def _title(rule: str, annotations: Any, labels: Any, value: float | None) -> str:
    """As Incident.title says it."""
    return fill((annotations or {}).get("summary") or rule, labels or {}, value)
