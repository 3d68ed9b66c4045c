"""Approvals: what is asked, with everything one needs to answer it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from dashboard.live.fragments import Context, fragment
from dashboard.pages import plans
from dashboard.pages.answers import conflict, person
from remediation.decide import approval
from remediation.exceptions import Conflict, NotAllowed
from remediation.models import Approval, Remediation
from remediation.states import RemediationState

ANSWERED = 10
REASON_LENGTH = 1000


def approvals(request: HttpRequest) -> HttpResponse:
    return render(request, "approvals/index.html", {"page": "approvals"})


def _asked() -> QuerySet[Remediation]:
    rows = Remediation.objects.filter(state=RemediationState.AWAITING_APPROVAL).order_by("expires_at", "pk")
    return rows.select_related("incident__service", "incident__rule", "playbook").prefetch_related("approvals__user")


@fragment("approvals", "approvals/_list.html", topics=("remediation",), every_s=5)
def asked(_: str) -> Context:
    last = Approval.objects.order_by("-at").first()
    return {"plans": [plans.view_of(row) for row in _asked()], "last": last}


@fragment("answered", "approvals/_answered.html", topics=("remediation",), every_s=5)
def answered(_: str) -> Context:
    """The last answers, and what came of them: also those that nobody gave in time."""
    rows = Approval.objects.select_related("remediation__incident__rule", "remediation__incident__service", "user")
    expired = Remediation.objects.filter(state=RemediationState.EXPIRED).select_related("incident__rule")
    return {"answers": list(rows.order_by("-at")[:ANSWERED]), "expired": list(expired.order_by("-ended_at")[:3])}


@require_POST
@permission_required("remediation.approve", raise_exception=True)
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Remediation, pk=pk)
    digest = request.POST.get("digest", "")
    call = partial(approval.approve, row, user=person(request), digest=digest, now=timezone.now())
    return _answer(request, call, f"Approved: {row.verb} {row.target_names}.")


@require_POST
@permission_required("remediation.approve", raise_exception=True)
def reject(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Remediation, pk=pk)
    digest, reason = request.POST.get("digest", ""), request.POST.get("reason", "").replace("\x00", "").strip()
    call = partial(
        approval.reject, row, user=person(request), digest=digest, reason=reason[:REASON_LENGTH], now=timezone.now()
    )
    return _answer(request, call, f"Rejected: {row.verb} {row.target_names}. Nothing will be done.")


def _answer(request: HttpRequest, call: Callable[[], Remediation], done: str) -> HttpResponse:
    """Give the answer, and say in words when it came too late or is not theirs to give."""
    try:
        row = call()
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except Conflict as error:
        return conflict(request, message=str(error), back=reverse("approvals"))
    if row.state == RemediationState.AWAITING_APPROVAL:
        done = f"{done} Another person has to approve it as well."
    messages.success(request, done)
    return redirect("incident", pk=row.incident_id)
