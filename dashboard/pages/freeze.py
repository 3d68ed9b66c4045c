"""The kill switch: pause automation everywhere or for one service, and let it run again."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dashboard.pages.answers import back_to, person
from remediation.decide import freeze as automation
from remediation.models import Service

LONGEST_S = 30 * 86400
REASON_LENGTH = 500


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def freeze(request: HttpRequest) -> HttpResponse:
    service, now = _service(request), timezone.now()
    automation.freeze(
        service=service,
        reason=request.POST.get("reason", "").replace("\x00", "").strip()[:REASON_LENGTH],
        by=person(request).username,
        until=_until(request.POST.get("for", ""), now),
        now=now,
    )
    paused = _("Automation is paused for %(service)s.") if service else _("Automation is paused everywhere.")
    ends = _("An effect that has begun ends as it would have.")
    messages.success(request, f"{paused % {'service': service}} {ends}")
    return back_to(request)


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def unfreeze(request: HttpRequest) -> HttpResponse:
    service = _service(request)
    lifted = automation.lift(service=service, by=person(request).username, now=timezone.now())
    if lifted:
        runs = _("Automation runs again for %(service)s.") if service else _("Automation runs again everywhere.")
        messages.success(request, runs % {"service": service})
    else:
        ran = _("Automation was not paused for %(service)s.") if service else _("Automation was not paused everywhere.")
        messages.info(request, ran % {"service": service})
    return back_to(request)


def _service(request: HttpRequest) -> Service | None:
    name = request.POST.get("service", "")
    return get_object_or_404(Service, name=name) if name else None


def _until(seconds: str, now: datetime) -> datetime | None:
    """When it ends by itself; None until somebody lifts it."""
    if not (seconds.isdecimal() and len(seconds) < 10 and 0 < int(seconds) <= LONGEST_S):
        return None
    return now + timedelta(seconds=int(seconds))
