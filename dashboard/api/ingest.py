"""Where an Alertmanager posts. Once stored the answer is 2xx, whatever happens next."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.contrib.auth.decorators import login_not_required
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from remediation import doorbell
from remediation.models import Alert, IngestToken
from remediation.observe import alerts, payload

log = logging.getLogger(__name__)

BODY_LIMIT = 1024 * 1024
"""Alertmanager bounds its messages by `max_alerts`; a thousand alerts with rich annotations stay below this."""
NOTE_USE_EVERY = timedelta(minutes=1)


@csrf_exempt  # a machine with a token, not a browser with a cookie
@login_not_required
@require_POST
def alertmanager(request: HttpRequest) -> HttpResponse:
    """The webhook, version 4. The token says which source speaks."""
    now = datetime.now(UTC)
    token = bearer(request)
    row = IngestToken.find(token, now=now) if token else None
    if row is None:
        return _refused(401, "Send a valid token: Authorization: Bearer TOKEN. `manage.py token` issues one.")
    body = read_body(request)
    if body is None:
        return _refused(413, f"The body may have {BODY_LIMIT} bytes; set max_alerts in Alertmanager's webhook_config.")
    try:
        delivery = payload.webhook(body)
    except payload.PayloadError as error:
        log.warning("source %s: a message is refused: %s", row.source, error)
        return _refused(400, str(error))
    alerts.note_skipped(row.source, delivery)
    try:
        changed = alerts.store(row.source, delivery.alerts, now=now, pulled=False)
    except OperationalError:
        return _refused(503, "The database is busy; nothing was stored. Send it again.")
    try:
        _announce(row, delivery, changed, now=now)
    except Exception:
        log.exception(
            "source %s: alerts are stored and not announced; they are judged in their rules' turn", row.source
        )
    return _stored(delivery, changed=len(changed))


def _announce(row: IngestToken, delivery: payload.Delivery, changed: Sequence[Alert], *, now: datetime) -> None:
    """What follows once alerts are stored. Sent again, they would not be new, and so not be announced either."""
    if changed:
        doorbell.ring("alerts_arrived", source_id=row.source_id, alert_ids=[one.pk for one in changed])
    if delivery.truncated:
        doorbell.ring("pull_alerts", source_id=row.source_id)  # what was left out is asked for
    _note_use(row, now=now)


def bearer(request: HttpRequest) -> str:
    """The token that was shown, or nothing."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def read_body(request: HttpRequest) -> bytes | None:
    """The whole body, or None when it is too long; never more than one byte beyond the limit is held."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdigit() and int(declared) > BODY_LIMIT:
        return None
    body = request.read(BODY_LIMIT + 1)
    return body if len(body) <= BODY_LIMIT else None


def _note_use(row: IngestToken, *, now: datetime) -> None:
    if row.last_used_at is None or now - row.last_used_at > NOTE_USE_EVERY:
        IngestToken.objects.filter(pk=row.pk).update(last_used_at=now)


def _stored(delivery: payload.Delivery, *, changed: int) -> JsonResponse:
    """2xx although alerts were skipped: sent again, they would be no better."""
    told: dict[str, object] = {"stored": len(delivery.alerts), "changed": changed, "skipped": delivery.skipped}
    if delivery.skipped:
        told["reason"] = delivery.reason
    return JsonResponse(told, status=200)


def _refused(status: int, text: str) -> JsonResponse:
    headers = {401: {"WWW-Authenticate": 'Bearer realm="homeostat"'}, 503: {"Retry-After": "5"}}.get(status)
    return JsonResponse({"error": text}, status=status, headers=headers)
