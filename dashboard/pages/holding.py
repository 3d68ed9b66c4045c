"""What holds automation: freezes, storms, people, breakers, maintenance, targets that are off; part of System."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from dashboard.live.fragments import Context, fragment
from dashboard.pages.answers import back_to, conflict, person
from dashboard.pages.words import span
from remediation import conf
from remediation.decide import automation, windows
from remediation.decide import no_storm as word
from remediation.exceptions import ConfigurationError, Conflict
from remediation.models import Breaker, Freeze, Incident, MaintenanceWindow, Source, Storm, Target
from remediation.states import IncidentState

SHOWN = 100
REASON_LENGTH = 500
TOPICS = ("freeze", "incident", "storm", "breaker", "maintenance", "target", "catalogue")


@dataclass(frozen=True, kw_only=True)
class WindowView:
    """A window that holds now, that comes next, or (wrong) that cannot be read and therefore holds."""

    window: MaintenanceWindow
    now: windows.Occurrence | None = None
    next: windows.Occurrence | None = None
    wrong: str = ""


@fragment("holding", "system/_holding.html", topics=TOPICS, every_s=5)
def holding(_: str) -> Context:
    now = timezone.now()
    rest = timedelta(seconds=conf.BREAKER_REST_S)
    breakers = Breaker.objects.exclude(state=Breaker.State.CLOSED).select_related("playbook", "service")
    views = list(_windows(now))
    coming = [(view.next.start, view.window.pk, view) for view in views if view.next]
    return {
        "freezes": list(Freeze.active(now=now, anywhere=True).select_related("service").order_by("at")[:SHOWN]),
        "taken": list(_taken(now)),
        "storms": [(storm, storm.dismissed(now), storm.dismissed_until()) for storm in _storms()],
        "lengths": [(length, span(length)) for length in word.LENGTHS_S],
        "breakers": [(row, row.changed_at + rest) for row in breakers.order_by("changed_at")[:SHOWN]],
        "windows": [view for view in views if view.now or view.wrong],
        "coming": [view for _, _, view in sorted(coming, key=lambda one: one[:2])[:5]],
        "targets": list(Target.objects.exclude(automation_off="").select_related("service")[:SHOWN]),
    }


def _taken(now: datetime) -> QuerySet[Incident]:
    """What people repair by hand: each holds automation on the whole service."""
    rows = Incident.objects.filter(taken_until__gt=now, service__isnull=False).exclude(state=IncidentState.RESOLVED)
    return rows.exclude(taken_by=None).select_related("service", "taken_by", "rule").order_by("taken_until")[:SHOWN]


def _storms() -> list[Storm]:
    return list(Storm.objects.filter(ended_at=None).select_related("source")[:SHOWN])


def _windows(now: datetime) -> Iterator[WindowView]:
    rows = MaintenanceWindow.objects.filter(enabled=True).select_related("service").order_by("pk")
    for window in rows[:SHOWN]:
        try:
            yield WindowView(window=window, now=windows.occurrence(window, now), next=windows.upcoming(window, now))
        except ConfigurationError as error:
            yield WindowView(window=window, wrong=str(error))


@require_POST
@permission_required("remediation.approve", raise_exception=True)
def switch_on(request: HttpRequest, pk: int) -> HttpResponse:
    """Let automation touch a target again."""
    target = get_object_or_404(Target.objects.select_related("service"), pk=pk)
    try:
        automation.switch_on(target, by=person(request).username, now=timezone.now())
    except Conflict as error:
        return conflict(request, message=str(error), back=reverse("system"))
    messages.success(
        request,
        gettext("Automation may act on %(target)s of %(service)s again.")
        % {"target": target, "service": target.service},
    )
    return back_to(request, "system")


@require_POST
@permission_required("remediation.approve", raise_exception=True)
def no_storm(request: HttpRequest, pk: int) -> HttpResponse:
    """So much really broke: let automation act on what this source sees, for a while."""
    source = get_object_or_404(Source, pk=pk)
    length = request.POST.get("for", "")
    if length not in map(str, word.LENGTHS_S):
        raise BadRequest("for is one of the lengths that the page offers, in seconds")
    reason = request.POST.get("reason", "").replace("\x00", "").strip()[:REASON_LENGTH]
    try:
        word.say(source, by=person(request).username, reason=reason, for_s=int(length), now=timezone.now())
    except ValueError as error:
        messages.error(request, gettext("Not without a reason: %(error)s.") % {"error": error})
        return back_to(request, "system")
    except Conflict as error:
        return conflict(request, message=str(error), back=reverse("system"))
    told = gettext("On your word automation acts on what %(source)s sees, for %(time)s.")
    messages.success(request, told % {"source": source, "time": span(int(length))})
    return back_to(request, "system")
