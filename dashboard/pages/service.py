"""Service: its health, what it depends on, what can be acted on, and what is watched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from dashboard.live.fragments import Context, fragment
from dashboard.pages import health, rows
from dashboard.pages.words import expected
from remediation import matchers
from remediation.exceptions import MatcherError
from remediation.models import Freeze, Incident, Rule, SeriesState, Service
from remediation.states import IncidentState

OPEN = 30
RECENT = 10
SERIES_PER_RULE = 20


@dataclass(frozen=True, kw_only=True)
class Series:
    state: SeriesState
    expected: str

    @property
    def shown(self) -> str:
        """Unknown wins over the phase that is held meanwhile."""
        return "unknown" if self.state.verdict == "unknown" else self.state.phase


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A rule, and the series of it that belong to the service."""

    rule: Rule
    blind: str
    series: list[Series]
    more: int


def service(request: HttpRequest, name: str) -> HttpResponse:
    row = get_object_or_404(Service, name=name)
    return render(request, "service/index.html", {"page": "overview", "service": row})


def _found(argument: str) -> Service | None:
    return Service.objects.filter(pk=int(argument)).first() if argument.isdecimal() else None


@fragment("service-head", "service/_head.html", topics=("service:{}", "freeze"), every_s=5)
def head(argument: str) -> Context | None:
    row = _found(argument)
    if row is None:
        return None
    now = timezone.now()
    known = {one.id: one for one in health.survey(now=now)}
    return {
        "service": row,
        "health": known[row.pk],
        "needs": [known[other] for other in row.depends_on.values_list("pk", flat=True) if other in known],
        "needed_by": [known[other] for other in row.dependants.values_list("pk", flat=True) if other in known],
        "freezes": list(Freeze.active(now=now, anywhere=True).filter(service=row)),
    }


@fragment("service-rules", "service/_rules.html", topics=("service:{}",), every_s=5)
def watched(argument: str) -> Context | None:
    row = _found(argument)
    return None if row is None else {"service": row, "watched": _watched(row, timezone.now())}


def _watched(row: Service, now: datetime) -> list[Watched]:
    own = Rule.objects.filter(enabled=True, service=row).select_related("status")
    loose = Rule.objects.filter(enabled=True, service=None).select_related("status")
    by_rule: dict[int, list[SeriesState]] = {rule.pk: [] for rule in [*own, *loose]}
    states = SeriesState.objects.filter(rule_id__in=by_rule).order_by("rule_id", "fingerprint")
    labels = {rule.pk: rule.labels for rule in loose}
    for state in states[: health.SERIES_LIMIT]:
        if state.rule_id not in labels or _fits(row, {**state.labels, **labels[state.rule_id]}):
            by_rule[state.rule_id].append(state)
    shown = [*own, *(rule for rule in loose if by_rule[rule.pk])]
    return [_one(rule, by_rule[rule.pk], now) for rule in shown]


def _fits(row: Service, labels: dict[str, str]) -> bool:
    try:
        return matchers.matches(row.matcher_text, labels)
    except MatcherError:
        return False


def _one(rule: Rule, states: list[SeriesState], now: datetime) -> Watched:
    worst_first = sorted(states, key=lambda state: (state.phase == "ok" and state.verdict == "ok", state.fingerprint))
    series = [
        Series(state=state, expected=expected(state.lower, state.upper)) for state in worst_first[:SERIES_PER_RULE]
    ]
    return Watched(
        rule=rule, blind=health.blindness(rule, now), series=series, more=max(0, len(states) - SERIES_PER_RULE)
    )


@fragment("service-targets", "service/_targets.html", topics=("service:{}",), every_s=5)
def targets(argument: str) -> Context | None:
    row = _found(argument)
    if row is None:
        return None
    held = row.targets.prefetch_related("holds__remediation").order_by("name")
    shown = [(target, next((hold.remediation for hold in target.holds.all() if hold.live), None)) for target in held]
    return {"service": row, "targets": shown}


@fragment("service-incidents", "service/_incidents.html", topics=("service:{}",), every_s=5)
def incidents(argument: str) -> Context | None:
    row = _found(argument)
    return None if row is None else {"open": rows.table(_incidents(row).exclude(state=IncidentState.RESOLVED)[:OPEN])}


@fragment("service-past", "service/_past.html", topics=("service:{}",), every_s=5)
def past(argument: str) -> Context | None:
    row = _found(argument)
    if row is None:
        return None
    resolved = rows.table(_incidents(row).filter(state=IncidentState.RESOLVED)[:RECENT])
    return {"service": row, "past": resolved, "open": not resolved and _incidents(row).exists()}


def _incidents(row: Service) -> QuerySet[Incident]:
    return rows.with_repair(Incident.objects.filter(service=row)).order_by("-opened_at")
