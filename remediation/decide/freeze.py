"""The kill switch. Rows only, so it works while the broker and the web are down."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from remediation.models import Freeze, Service, record


def freeze(*, service: Service | None, reason: str, by: str, until: datetime | None, now: datetime) -> Freeze:
    """Pause all new effects, everywhere or on one service. One that is under way ends as it would have."""
    with transaction.atomic():
        row = Freeze.objects.create(service=service, reason=reason, by=by, at=now, until=until)
        record(row, "frozen", now=now, reason=reason, actor=by, facts={"service": service.name if service else ""})
    return row


def lift(*, service: Service | None, by: str, now: datetime) -> int:
    """End the freezes of one service, or (service None) those that hold everywhere. Returns how many there were."""
    with transaction.atomic():
        rows = list(Freeze.active(now=now, anywhere=True).filter(service=service))
        for row in rows:
            row.lifted_at, row.lifted_by = now, by
            row.save(update_fields=["lifted_at", "lifted_by"])
            record(row, "lifted", now=now, actor=by, facts={"service": service.name if service else ""})
    return len(rows)
