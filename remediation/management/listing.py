"""Incidents as plain objects: what `manage.py incidents --json` prints and `/api/incidents.json` answers."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from remediation.models import Decision, Incident, Remediation
from remediation.states import IncidentState

LIMIT = 1000
"""The most that one answer holds."""


def incidents(*, only_open: bool = False, service: str = "", limit: int = 50) -> list[dict[str, Any]]:
    """The newest incidents first, each with its decision and its remediations, oldest first."""
    rows = Incident.objects.select_related("rule", "service", "decision")
    rows = rows.prefetch_related("remediations__playbook").order_by("-opened_at", "-pk")
    if only_open:
        rows = rows.exclude(state=IncidentState.RESOLVED)
    if service:
        rows = rows.filter(service__name=service)
    return [_incident(row) for row in rows[: max(1, min(limit, LIMIT))]]


def _incident(row: Incident) -> dict[str, Any]:
    return {
        "id": row.pk,
        "title": row.title,
        "alertname": row.labels.get("alertname", row.rule.name),
        "service": row.service.name if row.service else None,
        "severity": row.severity,
        "state": row.state,
        "verdict": row.verdict,
        "value": row.value if row.value is not None and math.isfinite(row.value) else None,
        "reason": row.reason,
        "opened_at": _time(row.opened_at),
        "fired_at": _time(row.fired_at),
        "resolved_at": _time(row.resolved_at),
        "labels": row.labels,
        "needs_person": row.needs_person,
        "attention": row.attention,
        "decision": _decision(row),
        "remediations": [_remediation(item) for item in sorted(row.remediations.all(), key=lambda item: item.pk)],
    }


def _decision(row: Incident) -> dict[str, Any] | None:
    decision: Decision | None = getattr(row, "decision", None)
    return None if decision is None else {"outcome": decision.outcome, "summary": decision.summary}


def _remediation(row: Remediation) -> dict[str, Any]:
    return {
        "id": row.pk,
        "verb": row.verb,
        "targets": [call["target"] for call in row.plan.get("calls", [])],
        "state": row.state,
        "reason": row.reason,
        "autonomy": row.autonomy,
        "playbook": row.playbook.name,
        "created_at": _time(row.created_at),
        "effect_started_at": _time(row.effect_started_at),
        "effect_ended_at": _time(row.effect_ended_at),
        "ended_at": _time(row.ended_at),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
