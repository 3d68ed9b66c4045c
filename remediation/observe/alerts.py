"""Alerts as rows: what was sent or pulled, and what a rule on alerts is judged by.

A webhook is a message that may come twice, late or out of order; a pull is the state as the source sees it now. So a
message never fires an alert again that is over, while a pull that still shows it opens a new start of its own.
Alertmanager's own list is a pull, too, for what Prometheus itself does not show: other rulers' alerts, other labels.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import numpy as np
from django.db import transaction
from django.db.models import Q, QuerySet

from remediation import matchers
from remediation.exceptions import ConfigurationError, ObserveError
from remediation.models import Alert, Prepared, SeriesState, Source, rewrite
from remediation.observe import clients
from remediation.series import Labels, Matrix, fingerprint
from remediation.states import Phase

if TYPE_CHECKING:
    from remediation.observe.answers import Answer
    from remediation.observe.base import SeenAlert
    from remediation.observe.inventory import SeenRule
    from remediation.observe.payload import Delivery

log = logging.getLogger(__name__)
_failures: dict[int, str] = {}

FIRING = "firing"
RESOLVED = "resolved"
RESOLVED_REACH_S = 3600.0
"""A resolved alert counts as good this long; later only for a series that is still open. Older rows are history."""
REPEAT_S = 5 * 3600.0
"""An alert that only messages told of counts as firing this long after the last one. Alertmanager repeats itself every
4 h (the default of repeat_interval) and a group_interval at most; after that the message of its end may be lost."""
SETTLING_S = 300.0
"""This long after its start an Alertmanager's list may be short: it keeps no alert over a restart, and rulers repeat
theirs every minute or two (Prometheus' resend delay and evaluation interval)."""
SAME_START = timedelta(milliseconds=1)
"""Alertmanager's list cuts the start to milliseconds; its messages do not."""
CHUNK = 500
"""Keys per statement: SQLite bounds the parameters of one."""

SEEN_EVERY_S = 10.0
"""How often it is written that an alert was seen once more: pulls may come several times a second."""
UPDATED = ("status", "ends_at", "annotations", "generator_url", "value", "pulled", "seen_at")
LINK_LIMIT = 2000
PENDING = 'ALERTS{alertstate="pending"}'

Key = tuple[str, datetime]

_named = Prepared(
    lambda given: Alert.objects.filter(source=given("source"), fingerprint__in=given("names")).order_by("pk")
)
_unseen = Prepared(
    lambda given: (
        Alert.objects.filter(source=given("source"), status=FIRING, seen_at__lt=given("now"))
        .filter(
            Q(pulled=True)
            | Q(fingerprint__in=Alert.objects.filter(source=given("source"), pulled=True).values("fingerprint"))
        )
        .order_by("pk")
    )
)
_source_lock = Prepared(lambda given: Source.objects.select_for_update(no_key=True).filter(pk=given("pk")).only("pk"))


class Alerting(Protocol):
    """What is asked of a source's client."""

    def alerts(self) -> Delivery: ...

    def rules(self) -> Sequence[SeenRule]: ...

    def instant(self, query: str, *, at: float) -> Answer: ...


class Listing(Protocol):
    """What is asked of an Alertmanager's client."""

    def alerts(self) -> Delivery: ...

    def started_at(self) -> float: ...


def pull(source: Source, client: Alerting, *, now: datetime) -> list[Alert]:
    """Read the source's alerts and settle them; the rows whose status changed. Raises ObserveError, then nothing is
    written: no answer says nothing about any alert."""
    changed = _pull_source(source, client, now=now)
    return changed + (_pull_alertmanager(source, now=now) if source.alertmanager_url else [])


def shown(source: Source, client: Alerting) -> dict[str, SeenAlert]:
    """What the source shows as firing, by fingerprint. Raises ObserveError."""
    delivery = client.alerts()
    note_skipped(source, delivery)
    return {fingerprint(one.labels): one for one in delivery.alerts}


def confirm(source: Source, name: str, one: SeenAlert, *, now: datetime) -> None:
    """Keep that a pull shows this alert. Nothing is written when its row says so, and was written lately."""
    rows = _named.all(source=source.pk, names=[name])
    lately = now - timedelta(seconds=SEEN_EVERY_S)
    if not any(row.status == FIRING and lately < row.seen_at <= now for row in rows):
        store(source, [one], now=now, pulled=True)


def _pull_source(source: Source, client: Alerting, *, now: datetime) -> list[Alert]:
    delivery = client.alerts()
    note_skipped(source, delivery)
    seen, unread = delivery.alerts, delivery.unread
    if not _gone(source, seen, now=now):
        return reconcile_pull(source, seen, now=now)
    # After a restart the source shows no alert until it has evaluated its rules, and none as firing that has to be
    # pending first once more; for a while it says so of the rule only, and not yet of each alert.
    found = client.instant(PENDING, at=now.timestamp()).series
    pending = {fingerprint(_without(series.labels, "__name__", "alertstate")) for series in found}
    known = {series.labels.get("alertname") for series in found}
    rules = [rule for rule in client.rules() if rule.kind == "alerting"]
    unsettled = {
        rule.name for rule in rules if rule.health == "unknown" or (rule.state == "pending" and rule.name not in known)
    }
    # What could not be kept this time is there all the same: it is not over.
    return reconcile_pull(source, seen, now=now, unsettled=unsettled, pending=pending | unread)


def _pull_alertmanager(source: Source, *, now: datetime) -> list[Alert]:
    """Never raises for an Alertmanager that fails: what the source itself said counts without it, and what only it
    knows becomes unknown in time."""
    error = ""
    changed: list[Alert] = []
    try:
        changed = reconcile_alertmanager(source, clients.alertmanager_for(source), now=now)
    except (ObserveError, ConfigurationError) as problem:
        error = str(problem)
    if _failures.get(source.pk, "") != error:  # once, not with every pull
        _failures[source.pk] = error
        log.warning("source %s: its Alertmanager %s", source, f"fails: {error}" if error else "answers again")
    return changed


def note_skipped(source: Source, delivery: Delivery) -> None:
    """One line of the log for all alerts of a delivery that cannot be kept; those that can are kept without them."""
    if delivery.skipped:
        log.warning("source %s: %d alerts are left out, the first since %s", source, delivery.skipped, delivery.reason)


def store(
    source: Source, seen: Iterable[SeenAlert], *, now: datetime, pulled: bool, listed: bool = False
) -> list[Alert]:
    """Keep what was seen; the rows that are new or changed their status. Seeing the same again changes nothing.

    pulled: seen in the source's own answer; listed: in its Alertmanager's; neither: in a message, which may be old.
    """
    news = {(fingerprint(item.labels), _moment(item.starts_at)): item for item in _resolved_last(seen)}
    if not news:
        return []
    with transaction.atomic():
        # 1. One writer per source: two Alertmanagers may send the same alert in the same instant.
        _one_writer(source)
        known = _known(source, {key[0] for key in news})
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


def reconcile_pull(
    source: Source,
    seen: Collection[SeenAlert],
    *,
    now: datetime,
    unsettled: Collection[str] = (),
    pending: Collection[str] = (),
) -> list[Alert]:
    """Keep the answer of a successful pull, and resolve the firing alerts it no longer shows.

    now: read before the source was asked, so that a message that came meanwhile is newer than the answer.
    unsettled: alert names whose rules the source has not evaluated since it started; their absence says nothing.
    pending: fingerprints of alerts that keep their status, since they are about to fire (again) or could not be read.
    """
    with transaction.atomic():
        changed = store(source, seen, now=now, pulled=True)
        over = [
            row
            for row in _gone(source, seen, now=now)
            if row.labels.get("alertname") not in unsettled and row.fingerprint not in pending
        ]
        return changed + _resolve(over, now=now)


def reconcile_alertmanager(source: Source, client: Listing, *, now: datetime) -> list[Alert]:
    """Settle what only messages told of by what Alertmanager lists now; the rows whose status changed. Raises
    ObserveError, then nothing is written.

    What pulls know is left to them: Prometheus says it first, and Alertmanager lists for minutes what is over when it
    is not told. What is muted there is not over; it is kept up to date, but does not begin here.
    """
    delivery = client.alerts()
    note_skipped(source, delivery)
    settled = not _unlisted(source, delivery, now=now) or now.timestamp() - client.started_at() >= SETTLING_S
    with transaction.atomic():
        _one_writer(source)
        changed = store(source, _told(source, delivery.alerts), now=now, pulled=False, listed=True)
        return changed + (_resolve(_unlisted(source, delivery, now=now), now=now) if settled else [])


def as_matrix(
    source_id: int, matchers_text: str, *, now: float, answered: bool, only: Collection[str] | None = None
) -> Matrix:
    """One series per distinct label set that fits the matchers: 1.0 firing, 0.0 resolved, NaN where nobody can tell.

    answered: whether the source answers pulls now; without that, what was pulled earlier may have changed since.
    only: the fingerprints that are asked for, where it is not all. Raises MatcherError.
    """
    wanted = matchers.parse(matchers_text)
    values: dict[str, float] = {}
    labels: dict[str, Labels] = {}
    rows: Iterable[Alert] = (
        _judged(source_id, now=_moment(now)) if only is None else _named.all(source=source_id, names=sorted(only))
    )
    for row in rows:
        if row.fingerprint not in labels and not all(matcher.matches(row.labels) for matcher in wanted):
            continue
        labels[row.fingerprint] = row.labels
        values[row.fingerprint] = _stronger(values.get(row.fingerprint), _value(row, now=now, answered=answered))
    return Matrix(
        labels=tuple(labels.values()),
        times=np.array([now]),
        values=np.array(list(values.values()), dtype=np.float64).reshape(len(values), 1),
        now=now,
        note="" if labels else "no alert that fits is firing or was resolved lately",
    )


def _without(labels: Labels, *names: str) -> Labels:
    return {name: value for name, value in labels.items() if name not in names}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _resolved_last(seen: Iterable[SeenAlert]) -> list[SeenAlert]:
    """Where one message tells both of one alert, that it is over is what counts."""
    return sorted(seen, key=lambda item: item.status == RESOLVED)


def _known(source: Source, fingerprints: set[str]) -> dict[str, list[Alert]]:
    names = sorted(fingerprints)
    known: dict[str, list[Alert]] = {}
    for start in range(0, len(names), CHUNK):
        for row in _named.all(source=source.pk, names=names[start : start + CHUNK]):
            known.setdefault(row.fingerprint, []).append(row)
    return known


def _one_writer(source: Source) -> None:
    if not _source_lock.all(pk=source.pk):
        raise Source.DoesNotExist


def _resolve(rows: list[Alert], *, now: datetime) -> list[Alert]:
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
        ends_at=None if item.ends_at is None else _moment(item.ends_at),
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
    row.ends_at = None if item.ends_at is None else _moment(item.ends_at)
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


def _gone(source: Source, seen: Collection[SeenAlert], *, now: datetime) -> list[Alert]:
    """Firing rows that a pull no longer shows. A row that only a webhook brought counts when pulls know its very
    labels: then the message that it was resolved got lost."""
    shown = _earliest(seen)
    rows = _unseen.all(source=source.pk, now=now)
    return [
        row for row in rows if row.fingerprint not in shown or (row.pulled and row.starts_at < shown[row.fingerprint])
    ]


def _told(source: Source, seen: Collection[SeenAlert]) -> list[SeenAlert]:
    """Of what Alertmanager lists: what pulls do not know, and of the muted only what was known to fire before."""
    known = _known(source, {fingerprint(item.labels) for item in seen})
    found = []
    for item in seen:
        rows = known.get(fingerprint(item.labels), [])
        muted = item.muted and not any(row.status == FIRING for row in rows)
        if not muted and not any(row.pulled for row in rows):
            found.append(item)
    return found


def _unlisted(source: Source, delivery: Delivery, *, now: datetime) -> list[Alert]:
    """Firing rows that only messages told of, and that Alertmanager no longer lists."""
    shown = _earliest(delivery.alerts)
    pulled = Alert.objects.filter(source=source, pulled=True).values("fingerprint")
    rows = Alert.objects.filter(source=source, status=FIRING, pulled=False, seen_at__lt=now)
    return [
        row
        for row in rows.exclude(fingerprint__in=pulled)
        if row.fingerprint not in delivery.unread
        and (row.fingerprint not in shown or row.starts_at < shown[row.fingerprint])
    ]


def _earliest(seen: Collection[SeenAlert]) -> dict[str, datetime]:
    """By fingerprint, since when it fires."""
    shown: dict[str, datetime] = {}
    for item in seen:
        name, start = fingerprint(item.labels), _moment(item.starts_at)
        shown[name] = min(start, shown.get(name, start))
    return shown


def _judged(source_id: int, *, now: datetime) -> QuerySet[Alert]:
    open_series = SeriesState.objects.filter(
        rule__source_id=source_id, phase__in=[Phase.PENDING, Phase.FIRING, Phase.RECOVERING]
    ).values("fingerprint")
    lately = datetime.fromtimestamp(now.timestamp() - RESOLVED_REACH_S, UTC)
    rows = Alert.objects.filter(source_id=source_id)
    return rows.filter(Q(status=FIRING) | Q(seen_at__gte=lately) | Q(fingerprint__in=open_series)).order_by("pk")


def _value(row: Alert, *, now: float, answered: bool) -> float:
    if row.pulled and not answered:
        return float("nan")
    # Alertmanager's own reading: an alert whose end has passed without being sent again is resolved.
    over = row.ends_at is not None and row.ends_at.timestamp() <= now
    if row.status == RESOLVED or over:
        return 0.0
    unheard = not row.pulled and now - row.seen_at.timestamp() > REPEAT_S
    return float("nan") if unheard else 1.0


def _stronger(before: float | None, new: float) -> float:
    """What several starts of one alert say together: firing beats unknown, unknown beats resolved."""
    values = [new] if before is None else [before, new]
    if 1.0 in values:
        return 1.0
    return float(np.sum(values))  # NaN when either is unknown, else 0
