"""The kill switch: pause automation everywhere or for one service, and let it run again."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
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
    messages.success(
        request, f"Automation is paused {_where(service)}. An effect that has begun ends as it would have."
    )
    return back_to(request)


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def unfreeze(request: HttpRequest) -> HttpResponse:
    service = _service(request)
    lifted = automation.lift(service=service, by=person(request).username, now=timezone.now())
    if lifted:
        messages.success(request, f"Automation runs again {_where(service)}.")
    else:
        messages.info(request, f"Automation was not paused {_where(service)}.")
    return back_to(request)


def _service(request: HttpRequest) -> Service | None:
    name = request.POST.get("service", "")
    return get_object_or_404(Service, name=name) if name else None


def _until(seconds: str, now: datetime) -> datetime | None:
    """When it ends by itself; None until somebody lifts it."""
    if not (seconds.isdecimal() and len(seconds) < 10 and 0 < int(seconds) <= LONGEST_S):
        return None
    return now + timedelta(seconds=int(seconds))


def _where(service: Service | None) -> str:
    return f"for {service}" if service else "everywhere"
