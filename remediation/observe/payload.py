"""Alerts as Alertmanager's webhook (version 4) and /api/v2/alerts and Prometheus' /api/v1/alerts send them. Pure.

Strict about what matters, tolerant of fields it does not know. An alert that cannot be kept is left out and counted:
one odd alert must not hide the others. Formats:
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config and .../prometheus/latest/querying/api/#alerts
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from remediation.observe.base import SeenAlert
from remediation.redact import redacted_facts
from remediation.series import fingerprint

MAX_SENT = 1000
MAX_PULLED = 50_000
"""Alerts in one webhook call, and in one answer that Homeostat asked for: a storm must stay readable."""

MAX_LABELS = 100
MAX_VALUE = 2000
"""Characters of a label's value; a longer annotation is cut, since people read it and nothing is decided by it."""

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,199}")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class PayloadError(ValueError):
    """What is wrong with what was sent, for the person who set the sender up; it repeats none of it but label names."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One webhook call, or one answer.

    truncated: how many alerts Alertmanager left out, so that a pull is needed. skipped: how many cannot be kept.
    reason: why not the first of them. unread: fingerprints of those whose labels could be read: they are there all the
    same.
    """

    alerts: list[SeenAlert]
    truncated: int = 0
    skipped: int = 0
    reason: str = ""
    unread: frozenset[str] = frozenset()


def webhook(body: bytes) -> Delivery:
    """The alerts of a webhook's body. Raises PayloadError for the whole of it, or when none of its alerts can be kept;
    its size is the caller's concern."""
    try:
        message = orjson.loads(body)
    except ValueError:
        raise PayloadError("the body is not JSON, or nested too deeply") from None
    if not isinstance(message, dict):
        raise PayloadError("the body is not a JSON object")
    if message.get("version", "4") != "4":
        raise PayloadError("only version 4 of Alertmanager's webhook is understood")
    truncated = message.get("truncatedAlerts", 0) or 0
    if not isinstance(truncated, int) or isinstance(truncated, bool) or truncated < 0:
        raise PayloadError("truncatedAlerts is not a count")
    delivery = _each(_items(message.get("alerts"), limit=MAX_SENT), _sent)
    if delivery.skipped and not delivery.alerts:
        raise PayloadError(delivery.reason)
    return replace(delivery, truncated=truncated)


def prometheus_alerts(items: object) -> Delivery:
    """The firing ones of /api/v1/alerts: pending ones have not lasted yet. Raises PayloadError for the whole list."""
    found = _items(items, limit=MAX_PULLED)
    return _each([item for item in found if not isinstance(item, dict) or item.get("state") == "firing"], _evaluated)


def alertmanager_alerts(items: object) -> Delivery:
    """Those of Alertmanager's /api/v2/alerts, which all fire. Raises PayloadError for the whole list."""
    return _each(_items(items, limit=MAX_PULLED), _listed)


def timestamp(text: object) -> float | None:
    """Seconds since the epoch of an RFC 3339 time; None for Go's zero time, which means that there is none.
    Raises PayloadError."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise PayloadError("a time is not written like 2026-01-31T12:00:00Z")
    date, clock, fraction, zone = match.groups()
    if date == "0001-01-01":
        return None
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        return moment.astimezone(UTC).timestamp() + float(fraction or 0)
    except (ValueError, OverflowError):
        raise PayloadError("a time does not exist") from None


def _items(items: object, *, limit: int) -> list[object]:
    if not isinstance(items, list):
        raise PayloadError("alerts is not a list of objects")
    if len(items) > limit:
        raise PayloadError(f"more than {limit} alerts at once; max_alerts in Alertmanager's webhook bounds them")
    return items


def _each(items: list[object], read: Callable[[Mapping[str, Any]], SeenAlert]) -> Delivery:
    """Every alert that can be kept, and how many cannot."""
    alerts: list[SeenAlert] = []
    unread: set[str] = set()
    reason = ""
    for item in items:
        try:
            alerts.append(read(_object(item)))
        except PayloadError as error:
            reason = reason or str(error)
            unread |= _identity(item)
    return Delivery(alerts=alerts, skipped=len(items) - len(alerts), reason=reason, unread=frozenset(unread))


def _object(item: object) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise PayloadError("alerts is not a list of objects")
    return item


def _identity(item: object) -> set[str]:
    """Which alert it is, when that much can be read."""
    try:
        return {fingerprint(_labels(_object(item).get("labels")))}
    except PayloadError:
        return set()


def _sent(item: Mapping[str, Any]) -> SeenAlert:
    status = item.get("status")
    if status not in ("firing", "resolved"):
        raise PayloadError("an alert's status is neither firing nor resolved")
    ends_at = item.get("endsAt")
    return SeenAlert(
        labels=_labels(item.get("labels")),
        annotations=_annotations(item.get("annotations")),
        status=status,
        starts_at=_start(item.get("startsAt")),
        ends_at=timestamp(ends_at) if ends_at else None,
        generator_url=_link(item.get("generatorURL")),
    )


def _evaluated(item: Mapping[str, Any]) -> SeenAlert:
    return SeenAlert(
        labels=_labels(item.get("labels")),
        annotations=_annotations(item.get("annotations")),
        status="firing",
        starts_at=_start(item.get("activeAt")),
        value=_number(item.get("value")),
    )


def _listed(item: Mapping[str, Any]) -> SeenAlert:
    """Without its endsAt: that is when Alertmanager gives it up unless it is told again, a few minutes ahead."""
    status = item.get("status")
    state = status.get("state") if isinstance(status, dict) else None
    if state not in ("active", "suppressed", "unprocessed"):
        raise PayloadError("an alert's state is none that Alertmanager has")
    return SeenAlert(
        labels=_labels(item.get("labels")),
        annotations=_annotations(item.get("annotations")),
        status="firing",
        starts_at=_start(item.get("startsAt")),
        generator_url=_link(item.get("generatorURL")),
        muted=state != "active",
    )


def _start(text: object) -> float:
    starts_at = timestamp(text)
    if starts_at is None:
        raise PayloadError("an alert does not say since when")
    return starts_at


def _labels(found: object) -> dict[str, str]:
    """At least one; one without a value counts as not there, as in Prometheus."""
    labels = {name: value for name, value in _pairs(found, "label").items() if value}
    if not labels:
        raise PayloadError("an alert has no labels")
    for name, value in labels.items():
        if not _NAME.fullmatch(name):
            raise PayloadError(f"{name[:100]!r} is not a label name")
        if len(value) > MAX_VALUE:
            raise PayloadError(f"the value of label {name} is longer than {MAX_VALUE} characters")
    return labels


def _annotations(found: object) -> dict[str, str]:
    pairs = _pairs({} if found is None else found, "annotation")
    if any(not _NAME.fullmatch(name) for name in pairs):
        raise PayloadError("an annotation has a name that is none")
    shown = redacted_facts(pairs)  # texts for people: nothing is judged or matched by them
    return {name: text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…" for name, text in shown.items()}


def _pairs(found: object, what: str) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise PayloadError(f"{what}s are not an object of texts")
    if len(found) > MAX_LABELS:
        raise PayloadError(f"an alert has more than {MAX_LABELS} {what}s")
    if any("\0" in name or "\0" in value for name, value in found.items()):
        raise PayloadError(f"a NUL character in the {what}s")
    return found


def _number(found: object) -> float | None:
    """A value that is a number, and finite; any other says nothing."""
    if not isinstance(found, str | float | int) or isinstance(found, bool):
        return None
    try:
        value = float(found)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _link(found: object) -> str:
    """An address that a page may link to, else nothing."""
    if not isinstance(found, str) or len(found) > 4 * MAX_VALUE or not found.isprintable():
        return ""
    try:
        parts = urlsplit(found)
    except ValueError:
        return ""
    return found if parts.scheme in ("http", "https") and parts.netloc else ""
