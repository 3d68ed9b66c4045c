"""What sources and their Alertmanagers say of alerts, asked for and settled; see alert_rows.py for how it is kept, and
alert_series.py for what rules make of it.

Alertmanager's own list is a pull, too, for what Prometheus itself does not show: other rulers' alerts, other labels.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from django.db import transaction
from django.db.models import Q

from remediation.exceptions import ConfigurationError, ObserveError
from remediation.models import Alert, Prepared, Source
from remediation.observe import clients
from remediation.observe.alert_rows import (
    FIRING,
    RESOLVED,
    SEEN_EVERY_S,
    end,
    known_by_name,
    moment,
    of_names,
    one_writer,
    store,
)
from remediation.observe.alert_series import REPEAT_S, as_matrix
from remediation.series import Labels, fingerprint

if TYPE_CHECKING:
    from remediation.observe.answers import Answer
    from remediation.observe.base import SeenAlert
    from remediation.observe.inventory import SeenRule
    from remediation.observe.payload import Delivery

__all__ = [
    "FIRING",
    "REPEAT_S",
    "RESOLVED",
    "SEEN_EVERY_S",
    "SETTLING_S",
    "Alerting",
    "Listing",
    "as_matrix",
    "confirm",
    "note_skipped",
    "pull",
    "reconcile_alertmanager",
    "reconcile_pull",
    "shown",
    "store",
]

log = logging.getLogger(__name__)
_failures: dict[int, str] = {}

SETTLING_S = 300.0
"""This long after its start an Alertmanager's list may be short: it keeps no alert over a restart, and rulers repeat
theirs every minute or two (Prometheus' resend delay and evaluation interval)."""
PENDING = 'ALERTS{alertstate="pending"}'

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
    rows = of_names.all(source=source.pk, names=[name])
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
        return changed + end(over, now=now)


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
        one_writer(source)
        changed = store(source, _told(source, delivery.alerts), now=now, pulled=False, listed=True)
        return changed + (end(_unlisted(source, delivery, now=now), now=now) if settled else [])


def _without(labels: Labels, *names: str) -> Labels:
    return {name: value for name, value in labels.items() if name not in names}


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
    known = known_by_name(source, {fingerprint(item.labels) for item in seen})
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
        name, start = fingerprint(item.labels), moment(item.starts_at)
        shown[name] = min(start, shown.get(name, start))
    return shown
