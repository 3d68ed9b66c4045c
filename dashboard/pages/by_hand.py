"""What a person does instead of the loop: take an incident over, hand it back, ask again for what nobody approved."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dashboard.pages.answers import conflict, person
from dashboard.pages.words import span, verb_word
from remediation.decide import again, takeover
from remediation.exceptions import Conflict, NotAllowed
from remediation.models import Incident, Remediation


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def take(request: HttpRequest, pk: int) -> HttpResponse:
    """I am on it: automation holds for as long as was chosen. Asked once more, it holds for as long from now."""
    row = get_object_or_404(Incident, pk=pk)
    length = request.POST.get("for", "")
    if length not in map(str, takeover.LENGTHS_S):
        raise BadRequest("for is one of the lengths that the page offers, in seconds")
    call = partial(takeover.take, row, user=person(request), for_s=int(length), now=timezone.now())
    done = _("You are on it: automation holds here for %(span)s.") % {"span": span(int(length))}
    return _answer(request, call, pk, done)


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def hand_back(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Incident, pk=pk)
    call = partial(takeover.hand_back, row, user=person(request), now=timezone.now())
    return _answer(request, call, pk, _("Handed back: automation goes on inside its limits."))


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def ask_again(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Remediation, pk=pk)
    call = partial(again.ask_again, row, user=person(request), now=timezone.now())
    what = f"{verb_word(row.verb)} {row.target_names}"
    return _answer(request, call, row.incident_id, _("Asked again: %(what)s is planned anew.") % {"what": what})


def _answer(request: HttpRequest, call: Callable[[], Incident], pk: int, done: str) -> HttpResponse:
    try:
        call()
    except NotAllowed as error:
        raise PermissionDenied(*error.args) from error  # looked up when it is shown
    except Conflict as error:
        return conflict(request, message=str(error), back=reverse("incident", args=[pk]))
    messages.success(request, done)
    return redirect("incident", pk=pk)
