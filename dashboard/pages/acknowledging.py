"""Acknowledge: somebody looks at it. It changes nothing of what is done automatically."""

from __future__ import annotations

from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from dashboard.pages.answers import back_to, person
from remediation.models import Incident, record
from remediation.states import IncidentState

AT_ONCE = 50


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def acknowledge_all(request: HttpRequest) -> HttpResponse:
    """All that were selected in a list."""
    asked = [int(pk) for pk in request.POST.getlist("incident")[:AT_ONCE] if pk.isdecimal() and len(pk) < 19]
    by, now = person(request), timezone.now()
    done = sum(acknowledge(row, by=by, now=now) for row in Incident.objects.filter(pk__in=asked).order_by("pk"))
    if done:
        told = ngettext("%(n)s incident is acknowledged.", "%(n)s incidents are acknowledged.", done)
        messages.success(request, told % {"n": done})
    if done < len(asked):
        messages.info(request, _("What was acknowledged already, or is over, stays as it is."))
    if not asked:
        messages.info(request, _("No incident was selected."))
    return back_to(request, "incidents")


def acknowledge(row: Incident, *, by: User, now: datetime) -> bool:
    """Whether it was this person who did: False where it was acknowledged already, or is over."""
    with transaction.atomic():
        new = Incident.objects.filter(pk=row.pk, acknowledged_at=None).exclude(state=IncidentState.RESOLVED)
        if not new.update(acknowledged_by=by, acknowledged_at=now):
            return False
        record(row, "acknowledged", now=now, actor=by.username)
    return True
