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
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dashboard import signing_in
from dashboard.live.fragments import Context, fragment
from dashboard.pages import plans
from dashboard.pages.answers import person
from dashboard.pages.login import locked_text
from dashboard.pages.looking import what_became
from dashboard.pages.past import outcomes
from dashboard.pages.words import verb_word
from remediation.decide import approval
from remediation.exceptions import Conflict, NotAllowed
from remediation.models import Approval, Remediation
from remediation.states import RemediationState

ANSWERED = 10
REASON_LENGTH = 1000


def approvals(request: HttpRequest) -> HttpResponse:
    return render(request, "approvals/index.html", {"page": "approvals"})


def _asked() -> QuerySet[Remediation]:
    rows = _related().filter(state=RemediationState.AWAITING_APPROVAL).order_by("expires_at", "pk")
    return rows.prefetch_related("approvals__user", "playbook__versions")


@fragment("approvals", "approvals/_list.html", topics=("remediation",), every_s=5)
def asked(_argument: str) -> Context:
    last = Approval.objects.order_by("-at").first()
    rows = list(_asked())
    past = outcomes(rows)
    return {"plans": [plans.view_of(row, past[row.pk]) for row in rows], "last": last}


@fragment("answered", "approvals/_answered.html", topics=("remediation",), every_s=5)
def answered(_argument: str) -> Context:
    """The last answers, and what came of them: also those that nobody gave in time."""
    rows = Approval.objects.select_related("remediation__incident__rule", "remediation__incident__service", "user")
    expired = Remediation.objects.filter(state=RemediationState.EXPIRED).select_related("incident__rule")
    return {"answers": list(rows.order_by("-at")[:ANSWERED]), "expired": list(expired.order_by("-ended_at")[:3])}


@require_POST
@permission_required("remediation.approve", raise_exception=True)
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign a plan. A risky one asks for the name of what it acts on, and for the password where that was long ago."""
    row = get_object_or_404(_related(), pk=pk)
    digest, typed = request.POST.get("digest", ""), request.POST.get("target", "").replace("\x00", "")[:REASON_LENGTH]
    if not _answerable(request, row):
        typed = (
            ""  # approve says what is wrong; were it answerable a moment later, nobody has been asked for a password
        )
    elif missing := _missing(request, row, typed):
        return missing
    call = partial(approval.approve, row, user=person(request), digest=digest, now=timezone.now(), typed=typed)
    return _answer(request, call, pk, _("Approved: %(what)s.") % {"what": _what(row)})


def _related() -> QuerySet[Remediation]:
    return Remediation.objects.select_related(
        "incident__service", "incident__rule", "incident__rule_version", "incident__taken_by", "playbook"
    )


def _answerable(request: HttpRequest, row: Remediation) -> bool:
    return row.state == RemediationState.AWAITING_APPROVAL and person(request).username not in approval.barred(row)


def _missing(request: HttpRequest, row: Remediation, typed: str) -> HttpResponse | None:
    """The form once more, when the risky step it approves needs something that it did not bring."""
    user = person(request)
    if not approval.is_risky(row):
        return None
    if not approval.confirms(row, typed):
        return _once_more(request, row, typed, _wrong_name(row, typed), 400)
    password = request.POST.get("password", "")
    if signing_in.lately(request) or (password and signing_in.again(request, password)):
        return None
    until = signing_in.locked_until(user.username, now=timezone.now())
    if until is not None:
        return _once_more(request, row, typed, locked_text((until - timezone.now()).total_seconds()), 429)
    wrong, missing = _("That is not your password."), _("You signed in a while ago: this step asks for your password.")
    return _once_more(request, row, typed, wrong if password else missing, 403)


def _wrong_name(row: Remediation, typed: str) -> str:
    names = {"typed": typed, "name": row.target_names}
    if typed.strip():
        return _("“%(typed)s” is not what it acts on. Type %(name)s, exactly as it is written.") % names
    return _("The name of what it acts on is missing. Type %(name)s, exactly as it is written.") % names


def _once_more(request: HttpRequest, row: Remediation, typed: str, why: str, status: int) -> HttpResponse:
    context = {"page": "approvals", "plan": plans.view_of(row), "typed": typed, "why": why}
    return render(request, "approvals/once_more.html", context, status=status)


@require_POST
@permission_required("remediation.approve", raise_exception=True)
def reject(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(_related(), pk=pk)
    digest, reason = request.POST.get("digest", ""), request.POST.get("reason", "").replace("\x00", "").strip()
    call = partial(
        approval.reject, row, user=person(request), digest=digest, reason=reason[:REASON_LENGTH], now=timezone.now()
    )
    return _answer(request, call, pk, _("Rejected: %(what)s. Nothing will be done.") % {"what": _what(row)})


def _what(row: Remediation) -> str:
    return f"{verb_word(row.verb)} {row.target_names}"


def _answer(request: HttpRequest, call: Callable[[], Remediation], pk: int, done: str) -> HttpResponse:
    """Give the answer, and say in words when it came too late or is not theirs to give."""
    try:
        row = call()
    except NotAllowed as error:
        raise PermissionDenied(*error.args) from error  # looked up when it is shown
    except (Conflict, approval.Unconfirmed) as error:
        return _too_late(request, pk, message=str(error))
    if row.state == RemediationState.AWAITING_APPROVAL:
        done = f"{done} {_('Another person has to approve it as well.')}"
    messages.success(request, done)
    return redirect("incident", pk=row.incident_id)


def _too_late(request: HttpRequest, pk: int, *, message: str) -> HttpResponse:
    """409: who was quicker, what it is now, and where to see it."""
    row = get_object_or_404(_related(), pk=pk)
    waits = row.state == RemediationState.AWAITING_APPROVAL
    last = row.approvals.select_related("user").order_by("at").last()
    context = {"page": "approvals", "row": row, "message": message, "waits": waits}
    became = "" if waits else what_became(row.state, last)
    return render(request, "approvals/too_late.html", context | {"became": became}, status=409)
