"""Incident: one problem as one story, with the chart of the very series that fired."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from dashboard.live import publish
from dashboard.live.fragments import Context, fragment
from dashboard.pages import acknowledging, charts, condition_charts, ladder, plans, rows, story
from dashboard.pages.answers import conflict, person
from dashboard.pages.words import expected, span
from remediation.decide import takeover
from remediation.decide.again import was_asked
from remediation.episodes import close_by_hand
from remediation.exceptions import Conflict
from remediation.models import Incident, Note
from remediation.states import REMEDIATION_LIVE, Outcome

NOTE_LENGTH = 4000


def incident(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(rows.with_repair(Incident.objects.all()), pk=pk)
    now = timezone.now()
    context = {
        "page": "incidents",
        "incident": row,
        "of_states": charts.is_of_alerts(row.rule_version.as_rule()),
        "query": row.rule_version.body.get("query", ""),
        "judged_by": row.rule_version.as_rule(),
        "conditions": condition_charts.panels_of(row),
        "now": now,
    }
    return render(request, "incident/index.html", context)


def _found(argument: str) -> Incident | None:
    if not argument.isdecimal():
        return None
    related = ("rule", "rule_version", "service", "acknowledged_by", "taken_by", "decision")
    incidents = Incident.objects.select_related(*related)
    return incidents.filter(pk=int(argument)).first()


@fragment("incident-head", "incident/_head.html", topics=("incident:{}",), every_s=2)
def head(argument: str) -> Context | None:
    row = _found(argument)
    if row is None:
        return None
    blind = row.open and row.verdict == "unknown"
    latest = row.remediations.order_by("-pk").first()
    # A repair proves itself also after the condition is over.
    matters = latest is not None and (row.open or latest.state in REMEDIATION_LIVE)
    return {
        "incident": row,
        "expected": expected(row.lower, row.upper),
        "blind": blind,
        "on_it": takeover.holder(row, now=timezone.now()) if row.open else "",
        "lengths": [(seconds, span(seconds)) for seconds in takeover.LENGTHS_S],
        "closable": row.open and (blind or not row.rule.enabled),
        "repair": latest if matters else None,
    }


@fragment("incident-repair", "incident/_repair.html", topics=("incident:{}",), every_s=2)
def repair(argument: str) -> Context | None:
    """What is being done, was done, or why nothing was."""
    row = _found(argument)
    if row is None:
        return None
    related = ("incident__service", "incident__rule", "incident__rule_version", "incident__taken_by", "playbook")
    remediations = row.remediations.select_related(*related).prefetch_related("approvals__user", "playbook__versions")
    views = [plans.view_of(one) for one in remediations.order_by("-pk")]
    decision = getattr(row, "decision", None)
    over_unhelped = decision is not None and not row.open and decision.outcome == Outcome.HELD
    nothing = over_unhelped or (decision is not None and decision.outcome in (Outcome.NOTHING, Outcome.ATTACHED))
    asked_again = was_asked([views[0].row]) if views else False
    return {"incident": row, "plans": views, "decision": decision, "nothing": nothing, "asked_again": asked_again}


@fragment("incident-ladder", "incident/_ladder.html", topics=("incident:{}",), every_s=5)
def rungs(argument: str) -> Context | None:
    """The playbook's steps in order, and which of them it has come to."""
    row = _found(argument)
    return None if row is None else {"incident": row, "ladder": ladder.of_incident(row)}


@fragment("incident-story", "incident/_story.html", topics=("incident:{}",), every_s=2)
def told(argument: str) -> Context | None:
    row = _found(argument)
    return None if row is None else {"entries": story.of_incident(row), "incident": row}


@require_GET
def series(request: HttpRequest, pk: int) -> JsonResponse:
    """The samples of the series that fired, what was expected of them, and what happened meanwhile."""
    row = get_object_or_404(Incident.objects.select_related("rule_version"), pk=pk)
    now = timezone.now()
    wanted = charts.asked_range(request.GET, now=now, incident=row)
    chart = charts.of_incident(row, wanted, now=now)
    newest, step = request.GET.get("after", ""), request.GET.get("step", "")
    told = charts.answer(chart, live=row.open, now=now, after=newest, step=step)
    return JsonResponse(told, headers={"Cache-Control": "no-store"})


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that somebody looks at it. It changes nothing of what is done automatically."""
    row = get_object_or_404(Incident, pk=pk)
    if not acknowledging.acknowledge(row, by=person(request), now=timezone.now()):
        messages.info(request, _("It was acknowledged already, or it is over."))
    return redirect("incident", pk=pk)


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """End what can no longer be seen to end."""
    row = get_object_or_404(Incident.objects.select_related("rule__source"), pk=pk)
    reason = request.POST.get("reason", "").strip().replace("\x00", "")[:NOTE_LENGTH]
    try:
        close_by_hand(row, by=person(request).username, reason=reason, now=timezone.now())
    except Conflict as error:
        return conflict(request, message=str(error), back=reverse("incident", args=[pk]))
    return redirect("incident", pk=pk)


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def note(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Incident, pk=pk)
    text = request.POST.get("text", "").strip().replace("\x00", "")[:NOTE_LENGTH]
    if not text:
        messages.error(request, _("The note was empty, so nothing was kept."))
    else:
        Note.objects.create(incident=row, author=person(request).username, text=text, at=timezone.now())
        publish.announce("incident", row.pk, incident=row.pk, service=row.service_id)
    return redirect("incident", pk=pk)
