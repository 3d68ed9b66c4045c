"""Alerts as rows: what was seen is kept once per start, whatever order it comes in.

A webhook is a message that may come twice, late or out of order; a pull is the state as the source sees it now. So a
message never fires an alert again that is over, while a pull that still shows it opens a new start of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from remediation.models import Alert, Prepared, Source, rewrite
from remediation.series import fingerprint

if TYPE_CHECKING:
    from remediation.observe.base import SeenAlert

FIRING = "firing"
RESOLVED = "resolved"
SAME_START = timedelta(milliseconds=1)
"""Alertmanager's list cuts the start to milliseconds; its messages do not."""
CHUNK = 500
"""Keys per statement: SQLite bounds the parameters of one."""
SEEN_EVERY_S = 10.0
"""How often it is written that an alert was seen once more: pulls may come several times a second."""
UPDATED = ("status", "ends_at", "annotations", "generator_url", "value", "pulled", "seen_at")
LINK_LIMIT = 2000

Key = tuple[str, datetime]

of_names = Prepared(
    lambda given: Alert.objects.filter(source=given("source"), fingerprint__in=given("names")).order_by("pk")
)
"""A source's alerts with these fingerprints (names), all their starts."""
_source_lock = Prepared(lambda given: Source.objects.select_for_update(no_key=True).filter(pk=given("pk")).only("pk"))


def store(
    source: Source, seen: Iterable[SeenAlert], *, now: datetime, pulled: bool, listed: bool = False
) -> list[Alert]:
    """Keep what was seen; the rows that are new or changed their status. Seeing the same again changes nothing.

    pulled: seen in the source's own answer; listed: in its Alertmanager's; neither: in a message, which may be old.
    """
    news = {(fingerprint(item.labels), moment(item.starts_at)): item for item in _resolved_last(seen)}
    if not news:
        return []
    with transaction.atomic():
        # 1. One writer per source: two Alertmanagers may send the same alert in the same instant.
        one_writer(source)
        known = known_by_name(source, {key[0] for key in news})
        # 2. What is there is brought up to date, what is not is added.
        fresh: list[Alert] = []
        touched: list[Alert] = []
        changed: list[Alert] = []
        for key, item in news.items():
            rows = known.get(key[0], [])
            start, row = _place(rows, key[1], now=now, pulled=pulled, current=pulled or listed)
            if row is None:
                fresh.append(_new(source, (key[0], start), item, now=now, pulled=pulled))
                continue
            before = _kept(row)
            if _update(row, item, now=now, pulled=pulled):
                changed.append(row)
            if _kept(row) != before:
                touched.append(row)
        rewrite(Alert, touched, UPDATED)
        return Alert.objects.bulk_create(fresh, batch_size=CHUNK) + changed


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _resolved_last(seen: Iterable[SeenAlert]) -> list[SeenAlert]:
    """Where one message tells both of one alert, that it is over is what counts."""
    return sorted(seen, key=lambda item: item.status == RESOLVED)


def known_by_name(source: Source, fingerprints: set[str]) -> dict[str, list[Alert]]:
    names = sorted(fingerprints)
    known: dict[str, list[Alert]] = {}
    for start in range(0, len(names), CHUNK):
        for row in of_names.all(source=source.pk, names=names[start : start + CHUNK]):
            known.setdefault(row.fingerprint, []).append(row)
    return known


def one_writer(source: Source) -> None:
    if not _source_lock.all(pk=source.pk):
        raise Source.DoesNotExist


def end(rows: list[Alert], *, now: datetime) -> list[Alert]:
    for row in rows:
        row.status, row.ends_at, row.seen_at = RESOLVED, now, now
    rewrite(Alert, rows, ("status", "ends_at", "seen_at"))
    return rows


def _place(
    rows: list[Alert], start: datetime, *, now: datetime, pulled: bool, current: bool
) -> tuple[datetime, Alert | None]:
    """The start and the row that what was seen belongs to; no row when it needs a new one. current: it is so now."""
    row = next((item for item in rows if abs(item.starts_at - start) < SAME_START), None)
    if row is None or row.status == FIRING or not current or row.seen_at >= now:
        return start, row
    # A pull that is newer than the end still shows it (the source restarted, or a message was wrong): a new start.
    again = (item for item in rows if item.starts_at > start and item.pulled == pulled and item.status == FIRING)
    return now, next(again, None)


def _new(source: Source, key: Key, item: SeenAlert, *, now: datetime, pulled: bool) -> Alert:
    return Alert(
        source=source,
        fingerprint=key[0],
        starts_at=key[1],
        status=item.status,
        ends_at=None if item.ends_at is None else moment(item.ends_at),
        labels=dict(item.labels),
        annotations=dict(item.annotations),
        generator_url=_link(item),
        value=item.value,
        pulled=pulled,
        received_at=now,
        seen_at=now,
    )


def _update(row: Alert, item: SeenAlert, *, now: datetime, pulled: bool) -> bool:
    """Bring a row up to date; whether its status changed. What is over stays over for this start."""
    if row.status == RESOLVED:
        return False
    row.ends_at = None if item.ends_at is None else moment(item.ends_at)
    row.annotations, row.generator_url = dict(item.annotations), _link(item)
    row.value = item.value if item.value is not None else row.value
    row.pulled = row.pulled or pulled
    row.seen_at = now
    row.status = item.status
    return row.status == RESOLVED


def _kept(row: Alert) -> list[object]:
    """What is worth a write: that it was seen is so once in a while."""
    seen = int(row.seen_at.timestamp() // SEEN_EVERY_S)
    return [seen if name == "seen_at" else getattr(row, name) for name in UPDATED]


def _link(item: SeenAlert) -> str:
    """Half an address leads nowhere: one that does not fit is left out."""
    return item.generator_url if len(item.generator_url) <= LINK_LIMIT else ""
