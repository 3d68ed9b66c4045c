"""Playbooks: what each does, what it has shown, and how far it may go alone."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from dashboard.live.fragments import Context, fragment
from dashboard.pages.answers import conflict, person
from dashboard.pages.words import said
from remediation import masking, trust
from remediation.chances import Share
from remediation.exceptions import Conflict
from remediation.models import Playbook, PlaybookVersion, Problem, Remediation, Step, Transition
from remediation.shadow import healed_alone
from remediation.states import Autonomy, RemediationState

SHOWN = 200
REASON_LENGTH = 500
CHANGES_SHOWN = 20

WORDS = {
    Autonomy.SHADOW: gettext_lazy("decides and records, does nothing"),
    Autonomy.APPROVE: gettext_lazy("asks a person before it acts"),
    Autonomy.AUTO: gettext_lazy("acts by itself, inside its guards"),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    playbook: Playbook
    steps: list[Step]
    attempts: int
    verified: int


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A share as a bar: from 0 to 100, with the ends of its interval."""

    share: Share

    @property
    def at(self) -> float:
        return round(100 * self.share.value, 1) if self.share.n else 0

    @property
    def low(self) -> float:
        return round(100 * self.share.low, 1)

    @property
    def width(self) -> float:
        return round(100 * (self.share.high - self.share.low), 1)


def playbooks(request: HttpRequest) -> HttpResponse:
    return render(request, "playbooks/index.html", {"page": "playbooks"})


@fragment("playbooks", "playbooks/_list.html", topics=("playbook", "remediation", "catalogue"), every_s=10)
def listed(argument: str) -> Context:
    tried = Remediation.objects.filter(effect_started_at__isnull=False, ended_at__isnull=False).order_by()
    counts = tried.values_list("playbook_id", "playbook_version").annotate(
        attempts=Count("pk"), verified=Count("pk", filter=Q(state=RemediationState.VERIFIED, relapsed_at=None))
    )
    shown = {(playbook, version): (attempts, verified) for playbook, version, attempts, verified in counts}
    found = Playbook.objects.prefetch_related("steps").order_by("-enabled", "-priority", "pk")[:SHOWN]
    return {"rows": [_row(one, *shown.get((one.pk, one.version), (0, 0))) for one in found]}


def _row(playbook: Playbook, attempts: int, verified: int) -> Row:
    steps = sorted(playbook.steps.all(), key=lambda step: step.position)
    return Row(playbook=playbook, steps=steps, attempts=attempts, verified=verified)


@fragment("problems", "playbooks/_problems.html", topics=("problem",), every_s=30)
def problems(argument: str) -> Context:
    found = Problem.objects.filter(closed_at=None).select_related("rule", "service", "playbook")
    return {"problems": [(one, _spark(one.trend), max(one.trend, default=0)) for one in found[:SHOWN]]}


def _spark(trend: list[int]) -> list[tuple[int, float, float]]:
    """Bars of a picture 14 wide a day and 20 high: x, y, height."""
    most = max([*trend, 1])
    return [
        (place * 8, round(20 - 18 * count / most, 1), round(18 * count / most, 1)) for place, count in enumerate(trend)
    ]


def playbook(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Playbook, pk=pk)
    return render(request, "playbooks/playbook.html", {"page": "playbooks", "playbook": row, "degrees": _degrees(row)})


def _degrees(row: Playbook) -> list[tuple[str, str, bool]]:
    return [(one.value, str(WORDS[one]), one == row.autonomy) for one in Autonomy]


@fragment("playbook", "playbooks/_record.html", topics=("playbook:{}", "remediation"), every_s=10)
def shown(argument: str) -> Context | None:
    row = Playbook.objects.filter(pk=argument).first() if argument.isdecimal() else None
    if row is None:
        return None
    alone = healed_alone(row)
    return {
        "playbook": row,
        "words": WORDS[Autonomy(row.autonomy)],
        "records": [(one, Bar(share=one.lift.ours)) for one in trust.records(row)],
        "alone": Bar(share=alone),
        "proposal": trust.proposal(row, now=timezone.now()),
        "steps": row.steps.order_by("position"),
        "changes": Transition.objects.filter(kind="playbook", object_id=row.pk).order_by("-pk")[:CHANGES_SHOWN],
        "versions": PlaybookVersion.objects.filter(playbook=row)[:CHANGES_SHOWN],
    }


@require_POST
@permission_required("remediation.change_playbook", raise_exception=True)
def autonomy(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Playbook, pk=pk)
    wanted = request.POST.get("autonomy", "")
    if wanted not in list(Autonomy):
        return conflict(request, message=_("Choose shadow, approve or auto."), back=f"/playbooks/{pk}/")
    reason = request.POST.get("reason", "").replace("\x00", "").strip()[:REASON_LENGTH]
    try:
        trust.give(row, Autonomy(wanted), by=person(request).username, reason=reason, now=timezone.now())
    except Conflict as error:
        return conflict(request, message=str(error), back=f"/playbooks/{pk}/")
    messages.success(
        request,
        _("%(playbook)s is %(autonomy)s now: it %(does)s.")
        % {"playbook": row, "autonomy": said(wanted), "does": WORDS[Autonomy(wanted)]},
    )
    return redirect("playbook", pk=pk)


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def close_problem(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Problem, pk=pk)
    reason = request.POST.get("reason", "").replace("\x00", "").strip()[:REASON_LENGTH]
    try:
        masking.close_problem(row, by=person(request).username, reason=reason, now=timezone.now())
    except Conflict as error:
        return conflict(request, message=str(error), back="/playbooks/")
    messages.success(
        request,
        _("The problem with %(rule)s is closed. It opens again when the repairs go on.") % {"rule": row.rule},
    )
    return redirect("playbooks")
