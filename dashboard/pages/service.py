"""Service: its health, what it depends on, what can be acted on, and what is watched."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from dashboard.live.fragments import Context, fragment
from dashboard.pages import by_itself, health, rows, service_charts, strips, watching
from dashboard.pages.words import span
from remediation.decide import takeover
from remediation.models import Freeze, Incident, Service
from remediation.states import IncidentState

OPEN = 30
RECENT = 10


def service(request: HttpRequest, name: str) -> HttpResponse:
    row = get_object_or_404(Service, name=name)
    shown = service_charts.panels(row, request.GET.get("charts", ""))
    return render(request, "service/index.html", {"page": "overview", "service": row, "charts": shown})


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
        "automation": by_itself.automation_of(row, now=now, serving=_serving(row)),
        "needs": [known[other] for other in row.depends_on.values_list("pk", flat=True) if other in known],
        "needed_by": [known[other] for other in row.dependants.values_list("pk", flat=True) if other in known],
        "strip": strips.strips().get(row.pk),
        "freezes": list(Freeze.active(now=now, anywhere=True).filter(service=row)),
    }


def _serving(row: Service) -> list[by_itself.Serving]:
    return by_itself.serving(row, [(rule, dict(state.labels)) for rule, state in watching.worst_first(row)])


@fragment("service-hand", "service/_hand.html", topics=("service:{}", "catalogue", "playbook"), every_s=5)
def by_hand(argument: str) -> Context | None:
    """What is done about it by playbooks, and what a person may do."""
    row = _found(argument)
    if row is None:
        return None
    now = timezone.now()
    open_now = Incident.objects.filter(service=row).exclude(state=IncidentState.RESOLVED)
    shown = open_now.select_related("rule", "taken_by").order_by("-opened_at")[:OPEN]
    return {
        "service": row,
        "serving": _serving(row),
        "open": [(one, takeover.holder(one, now=now)) for one in shown],
        "lengths": [(seconds, span(seconds)) for seconds in takeover.LENGTHS_S],
        "off": list(row.targets.exclude(automation_off="").order_by("name")),
    }


@fragment("service-rules", "service/_rules.html", topics=("service:{}",), every_s=5)
def watched(argument: str) -> Context | None:
    row = _found(argument)
    return None if row is None else {"service": row, "watched": watching.watched(row, timezone.now())}


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
