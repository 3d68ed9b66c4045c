"""Overview: is everything well, and what waits for me?

The page is put together from pieces that are kept: each piece reads few columns into values that say everything, and is
rendered again only when these differ. The services are surveyed once for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from dashboard.live.fragments import Context, Fragment, add, fragment, one_look
from dashboard.pages import chrome, health, servicemap, story, strips, waiting
from remediation.models import Incident, Rule, RuleStatus, Source
from remediation.models.prepared import Prepared, PreparedTally
from remediation.states import IncidentState

EVENTS = 14


def overview(request: HttpRequest) -> HttpResponse:
    """`view` is grid or map; `show`, on the map, which part of it. Anything else is taken for the default."""
    with one_look():
        seen = health.everything()
        context: dict[str, object] = {"page": "overview", "view": "grid"}
        if request.GET.get("view") == "map":
            scopes = servicemap.scopes(seen)
            shown = request.GET.get("show", "")
            team = shown.startswith(servicemap.TEAM)
            scope = shown if team or shown in scopes else scopes[0]
            context |= {"view": "map", "scope": scope, "scopes": scopes, "team": team and scope.partition("=")[2]}
        return render(request, "overview/index.html", context)


def cards(arguments: Sequence[str]) -> dict[str, Context | None]:
    """The card of each service; all of them cost the same few queries as one."""
    found, beats = health.everything().services, strips.strips()
    known = {argument: found.get(int(argument)) if argument.isdecimal() else None for argument in arguments}
    return {argument: {"service": one, "strip": beats[one.id]} if one else None for argument, one in known.items()}


add(Fragment(name="card", template="overview/_card.html", contexts=cards, topics=("service:{}",), every_s=5, kept=True))


@fragment("services", "overview/_services.html", topics=("catalogue",), kept=True)
def services(_: str) -> Context:
    """The grid without what is in its cards: it changes only when services come and go."""
    ids = tuple(health.everything().services)
    if ids:
        return {"ids": ids, "many": len(ids) > servicemap.FEW}
    return {"ids": ids, "rules": Rule.objects.exists(), "sources": Source.objects.exists()}


TALLIED = ("service", "incident", "remediation", "freeze", "rule", "catalogue")


@fragment("states", "overview/_states.html", topics=TALLIED, every_s=5, kept=True)
def states(_: str) -> Context:
    """How many services are in which state: the answer to the first question in one line."""
    counts = Counter(one.state for one in health.everything().services.values())
    return {"counts": tuple((state, counts[state]) for state in health.ORDER if counts[state]), "total": counts.total()}


@fragment("attention", "overview/_attention.html", topics=("incident", "remediation"), every_s=5, kept=True)
def attention(_: str) -> Context:
    """What a person has to do, the most urgent first."""
    return waiting.waiting(timezone.now())


@fragment("open", "overview/_open.html", topics=("incident", "remediation"), every_s=5, kept=True)
def open_incidents(_: str) -> Context:
    total = chrome.tally().open
    rows = waiting.open_rows() if total else ()
    last = None
    if not total:
        ended = Incident.objects.filter(state=IncidentState.RESOLVED).select_related("rule").order_by("-resolved_at")
        last = next(((row.pk, row.title, row.resolved_at) for row in ended[:1]), None)
    blind = sum(1 for one in health.everything().services.values() if one.state == "unknown")
    watched = bool(total) or Rule.objects.filter(enabled=True).exists()
    return {"rows": rows, "total": total, "last": last, "blind": 0 if total else blind, "watched": watched}


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of what happened last."""

    id: str
    at: datetime
    tone: str
    title: str
    actor: str
    href: str
    subject: str


@fragment("events", "overview/_events.html", topics=("incident", "remediation", "freeze"), every_s=5, kept=True)
def events(_: str) -> Context:
    found = story.latest(EVENTS)
    named = ("id", "at", "tone", "title", "actor", "href", "subject")
    return {"events": tuple(Event(**{name: getattr(entry, name) for name in named}) for entry in found)}


_newest = Prepared(
    lambda _: (
        RuleStatus.objects.filter(rule__enabled=True)
        .exclude(evaluated_at=None)
        .order_by("-evaluated_at")
        .values_list("evaluated_at", flat=True)[:1]
    )
)
_failing = PreparedTally(lambda _: RuleStatus.objects.filter(rule__enabled=True).exclude(error=""), n=Count("pk"))
_sources = Prepared(
    lambda _: (
        Source.objects.filter(enabled=True)
        .order_by("name")
        .values_list("name", "status__answered_at", "status__failed_at", "status__error")
    )
)


@fragment("freshness", "overview/_freshness.html", topics=("rule",), every_s=5, kept=True)
def freshness(_: str) -> Context:
    """How far what is shown can be trusted."""
    return {
        "evaluated_at": _newest.first(),
        "failing": _failing.of()["n"],
        "sources": tuple(_sources.all()),
        "stalled": tuple(row.stage for row in chrome.stalled(timezone.now())),
    }
