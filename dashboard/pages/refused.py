"""What somebody tried and may not: a page that says so, and a line of history."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import override
from django.views.defaults import permission_denied

from dashboard.pages.answers import person
from remediation.models import Transition, record

log = logging.getLogger(__name__)

SAFE = ("GET", "HEAD", "OPTIONS")
A_MINUTE = 30
"""Lines that one person leaves in a minute at most."""


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The project's handler403: whatever was refused to somebody who signed in, except mere looking, is kept."""
    user = getattr(request, "user", None)
    if request.method not in SAFE and user is not None and user.is_authenticated:
        try:
            _keep(request, exception)
        except Exception:
            log.exception("a refusal could not be written down")
    return permission_denied(request, exception)


def _keep(request: HttpRequest, exception: Exception) -> None:
    user, now = person(request), timezone.now()
    lately = Transition.objects.filter(kind="user", object_id=user.pk, to_state="refused")
    if lately.filter(at__gt=now - timedelta(minutes=1)).count() >= A_MINUTE:
        return
    path = request.path.replace("\x00", "")[:500]
    with override("en"):  # whatever language the page answers in, history is kept in one
        reason = f"{request.method} {path}" + (f": {exception}" if str(exception) else "")
    record(user, "refused", now=now, reason=reason, actor=user.username)
