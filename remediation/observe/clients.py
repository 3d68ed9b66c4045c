"""Kept-alive clients per source and thread, and the record of whether the source answers."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.db.models import F, Q

from remediation import secrets
from remediation.models import Prepared, Source, SourceStatus
from remediation.observe.alertmanager import Alertmanager
from remediation.observe.base import Access
from remediation.observe.prometheus import Prometheus, origin_of

NOTE_EVERY = timedelta(seconds=1)
"""Answers within this of the last noted one are not written again."""

ALERTMANAGER_S = 5.0
"""An Alertmanager answers from memory; what waits for it also waits for the source itself."""

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


def alertmanager_access_of(source: Source) -> Access:
    """The source's credentials go along only to the same scheme and host: elsewhere nobody meant them to be.
    Raises ConfigurationError when the secret it refers to is missing, AddressRefused."""
    access, url = access_of(source), source.alertmanager_url
    moved = replace(access, url=url, timeout_s=min(access.timeout_s, ALERTMANAGER_S))
    return moved if _place_of(url) == _place_of(access.url) else replace(moved, auth="none", username="", secret="")


def alertmanager_for(source: Source) -> Alertmanager:
    """As client_for, of the source's Alertmanager. Raises ConfigurationError."""
    clients: dict[int, tuple[Access, Alertmanager]] = _local.__dict__.setdefault("alertmanagers", {})
    access = alertmanager_access_of(source)
    kept = clients.get(source.pk)
    if kept is None or kept[0] != access:
        kept = clients[source.pk] = (access, Alertmanager(access))
    return kept[1]


def _place_of(url: str) -> tuple[str, str | None]:
    parts = urlsplit(origin_of(url))
    return parts.scheme, parts.hostname


_noted = Prepared(
    lambda given: (
        # What lies ahead was written by a clock that has since been set back.
        SourceStatus.objects.filter(
            source=given("source"), answered_at__gt=given("since"), answered_at__lte=given("until")
        )
        .exclude(failed_at__gte=F("answered_at"))
        .order_by()
        .values_list("pk", flat=True)
    )
)


def note_answer(source: Source, *, now: datetime) -> None:
    """Seldom, except that a failure is cleared at once: automation waits for it."""
    if _noted.all(source=source.pk, since=now - NOTE_EVERY, until=now + NOTE_EVERY):
        return
    _note(source, answered_at=now)


def note_failure(source: Source, error: str, *, now: datetime) -> None:
    """failed_at stays that of the first failure since the last answer, so that pages can say since when."""
    answered = Q(answered_at=None) | Q(failed_at__gt=F("answered_at"))
    already = SourceStatus.objects.filter(answered, source=source, failed_at__isnull=False)
    if not already.update(error=error):
        _note(source, failed_at=now, error=error)


def _note(source: Source, **values: object) -> None:
    if not SourceStatus.objects.filter(source=source).update(**values):
        SourceStatus.objects.get_or_create(source=source, defaults=values)
