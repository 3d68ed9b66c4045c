"""What stands around an effect: the service's other conditions, and those of everything that depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db.models import QuerySet

from remediation.exceptions import HomeostatError
from remediation.models import Incident, Remediation, Rule, SeriesState, Service
from remediation.observe import promql
from remediation.states import Phase, Severity, Verdict
from remediation.verify.collateral import Neighbour, not_well, persisting, turned_bad
from remediation.verify.recovery import Look

MANY = 2000
"""With more than this wrong already, nobody can say what an effect added to it, and the watch is off."""
SHOWN = 50
FAR_S = 86400.0
"""How far back a query is taken to reach that cannot be read."""


def before(row: Remediation, look: Look, *, now: datetime) -> dict[str, Any]:
    """What is known right before the effect: the condition itself, and what is not well around it."""
    found: dict[str, Any] = {"at": now.timestamp(), "value": look.value, "score": look.score}
    if watched(row):
        wrong = not_well(_neighbours(_states(row.incident).exclude(verdict=Verdict.OK, phase=Phase.OK)[: MANY + 1]))
        found |= {"not_well": wrong} if len(wrong) <= MANY else {"too_many": len(wrong)}
    return found


def watched(row: Remediation) -> bool:
    """Whether the plan asks for it. One that was written before this could be asked does not."""
    return bool(row.plan["verify"].get("collateral", False)) and row.incident.service_id is not None


def turned(row: Remediation, *, effect_at: float, early: bool = False) -> list[dict[str, Any]]:
    """What is bad now that was well right before the effect, as a look keeps it. effect_at: seconds since the epoch.
    early: see turned_bad."""
    if not watched(row) or "not_well" not in row.before_effect:
        return []
    bad = _states(row.incident).filter(verdict=Verdict.BAD)[: MANY + SHOWN]
    excused = row.before_effect["not_well"]
    return turned_bad(_neighbours(bad), before=excused, effect_at=effect_at, early=early)[:SHOWN]


def lasting(seen: Sequence[Sequence[dict[str, Any]]]) -> str:
    """What of it counts, by name; empty where nothing does. seen: what each look found, oldest first."""
    return ", ".join(one["name"] for one in persisting(seen))


def _states(incident: Incident) -> QuerySet[SeriesState]:
    services = {incident.service_id, *dependants_of(incident.service)}
    rows = SeriesState.objects.filter(rule__service__in=services, rule__enabled=True)
    rows = rows.exclude(rule_id=incident.rule_id, fingerprint=incident.fingerprint).exclude(
        rule__severity=Severity.INFO
    )
    return rows.select_related("rule__source", "rule__service").order_by("pk")


def dependants_of(service: Service | None) -> set[int]:
    """The ids of everything that depends on a service, however far."""
    if service is None:
        return set()
    links = list(Service.depends_on.through.objects.values_list("from_service_id", "to_service_id"))
    found: set[int] = set()
    edge = {service.pk}
    while edge:
        edge = {user for user, used in links if used in edge} - found - {service.pk}
        found |= edge
    return found


def _neighbours(rows: QuerySet[SeriesState]) -> list[Neighbour]:
    return [
        Neighbour(
            key=f"{row.rule_id}/{row.fingerprint}",
            name=f"{row.rule.name} of {row.rule.service} ({row.reason})",
            verdict=row.verdict,
            phase=row.phase,
            judged_at=row.judged_at,
            reach_s=max(
                _reach_s(query, float(row.rule.source.stale_after_s), detector) for query, detector in _asks(row.rule)
            ),
        )
        for row in rows
    ]


def _asks(rule: Rule) -> list[tuple[str, str]]:
    """Every query of a rule with its detector."""
    more = [(str(one.get("query", "")), str(one.get("detector", ""))) for one in rule.conditions if one]
    return [(rule.query, rule.detector), *more]


@lru_cache(maxsize=1000)
def _reach_s(query: str, stale_after_s: float, detector: str) -> float:
    """How far back a verdict may rest on older samples. Alerts are as old as their last message at most."""
    if detector == "firing_alert":
        return stale_after_s
    try:
        return promql.reach_s(query, lookback_s=stale_after_s)
    except HomeostatError:
        return FAR_S
