"""One kept-alive client per source and thread, and the record of whether the source answers."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from django.db.models import F

from remediation import secrets
from remediation.models import Source, SourceStatus
from remediation.observe.base import Access
from remediation.observe.prometheus import Prometheus

NOTE_EVERY = timedelta(seconds=1)
"""Answers within this of the last noted one are not written again."""

_local = threading.local()


def access_of(source: Source) -> Access:
    """Raises ConfigurationError when the secret it refers to is missing."""
    return Access(
        url=source.url,
        auth=source.auth,
        username=source.username,
        secret=secrets.resolve(source.secret_ref) if source.secret_ref else "",
        timeout_s=source.timeout_s,
        stale_after_s=source.stale_after_s,
        verify_tls=source.verify_tls,
    )


def client_for(source: Source) -> Prometheus:
    """This thread's client of a source; a new one once the source was edited. Raises ConfigurationError."""
    clients: dict[int, tuple[Access, Prometheus]] = _local.__dict__.setdefault("clients", {})
    access = access_of(source)
    kept = clients.get(source.pk)
    if kept is None or kept[0] != access:
        kept = clients[source.pk] = (access, Prometheus(access))
    return kept[1]


def note_answer(source: Source, *, now: datetime) -> None:
    """Seldom, except that a failure is cleared at once: automation waits for it."""
    noted = SourceStatus.objects.filter(source=source, answered_at__gt=now - NOTE_EVERY)
    if noted.exclude(failed_at__gte=F("answered_at")).exists():
        return
    _note(source, answered_at=now)


def note_failure(source: Source, error: str, *, now: datetime) -> None:
    _note(source, failed_at=now, error=error)


def _note(source: Source, **values: object) -> None:
    if not SourceStatus.objects.filter(source=source).update(**values):
        SourceStatus.objects.get_or_create(source=source, defaults=values)
