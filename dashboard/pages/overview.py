"""Overview: is everything well, and what waits for me?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from dashboard.live import fragments
from dashboard.live.fragments import Context, Fragment, fragment
from dashboard.pages import chrome, health, rows, story
from remediation.models import Incident, Remediation, Rule, RuleStatus, Service, Source, SourceStatus
from remediation.states import IncidentState, RemediationState

EVENTS = 14
OPEN_ROWS = 50


def overview(request: HttpRequest) -> HttpResponse:
    return render(request, "overview/index.html", {"page": "overview"})


def cards(arguments: Sequence[str]) -> dict[str, Context | None]:
    """The card of each service; all of them cost the same few queries as one."""
    ids = [int(argument) for argument in arguments if argument.isdecimal()]
    found = {str(one.id): one for one in health.survey(now=timezone.now(), ids=ids)}
    return {argument: {"service": found[argument]} if argument in found else None for argument in arguments}


fragments.add(
    Fragment(name="card", template="overview/_card.html", contexts=cards, topics=("service:{}",), every_s=5, kept=True)
)


@fragment("services", "overview/_services.html", topics=("catalogue",))
def services(_: str) -> Context:
    """The grid without what is in its cards: it changes only when services come and go."""
    return {"ids": list(Service.objects.values_list("pk", flat=True)), "rules": Rule.objects.exists()}


@fragment("tally", "overview/_tally.html", topics=("service", "incident", "remediation", "freeze", "rule"), every_s=5)
def tally(_: str) -> Context:
    """How many services are in which state: the answer to the first question in one line."""
    counts = Counter(one.state for one in health.survey(now=timezone.now()))
    return {"counts": [(state, counts[state]) for state in health.ORDER if counts[state]], "total": counts.total()}


@fragment("attention", "overview/_attention.html", topics=("incident", "remediation"), every_s=5)
def attention(_: str) -> Context:
    """What a person has to do, the most urgent first."""
    asked = (
        Remediation.objects.filter(state=RemediationState.AWAITING_APPROVAL)
        .select_related("incident__rule", "incident__service")
        .order_by("expires_at")
    )
    asking = list(asked)
    needy = (
        Incident.objects.filter(needs_person=True)
        .exclude(state=IncidentState.RESOLVED)
        .exclude(pk__in=[row.incident_id for row in asking])
        .select_related("rule", "service")
    )
    on_it = Incident.objects.filter(taken_until__gt=timezone.now()).exclude(state=IncidentState.RESOLVED)
    return {
        "asking": asking,
        "needy": list(needy[:OPEN_ROWS]),
        "on_it": list(on_it.exclude(taken_by=None).select_related("rule", "taken_by").order_by("taken_until")),
    }


@fragment("open", "overview/_open.html", topics=("incident", "remediation"), every_s=5)
def open_incidents(_: str) -> Context:
    incidents = rows.with_repair(Incident.objects.exclude(state=IncidentState.RESOLVED))[: OPEN_ROWS + 1]
    last = Incident.objects.filter(state=IncidentState.RESOLVED).order_by("-resolved_at").select_related("rule").first()
    return {
        "rows": rows.table(incidents[:OPEN_ROWS]),
        "more": len(incidents) > OPEN_ROWS,
        "last": last,
    }


@fragment("events", "overview/_events.html", topics=("incident", "remediation", "freeze"), every_s=5)
def events(_: str) -> Context:
    return {"events": story.latest(EVENTS)}


@fragment("freshness", "overview/_freshness.html", topics=("rule",), every_s=5)
def freshness(_: str) -> Context:
    """How far what is shown can be trusted."""
    statuses = RuleStatus.objects.filter(rule__enabled=True)
    newest = statuses.exclude(evaluated_at=None).order_by("-evaluated_at").first()
    sources: list[dict[str, Any]] = [
        {"name": source.name, "status": _status(source)}
        for source in Source.objects.filter(enabled=True).select_related("status")
    ]
    return {
        "evaluated_at": newest.evaluated_at if newest else None,
        "failing": statuses.exclude(error="").count(),
        "sources": sources,
        "stalled": chrome.stalled(timezone.now()),
    }


def _status(source: Source) -> SourceStatus | None:
    return getattr(source, "status", None)
