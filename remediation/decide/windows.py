"""When maintenance windows hold: once, or every week by the clock on the wall of their own time zone.

A weekly window begins at its time of day as the clocks there show it, whatever the offset is then: a time that a change
of the clocks skips begins when it would have come without the change, one that it repeats begins the first time. It
lasts its seconds, which such a change neither adds to nor takes from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation.exceptions import ConfigurationError
from remediation.models import MaintenanceWindow, Prepared

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_S = 86_400.0
WEEK = 7


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """One time that a window holds, in UTC. end None: until somebody ends it."""

    start: datetime
    end: datetime | None

    def covers(self, at: datetime) -> bool:
        return self.start <= at and (self.end is None or at < self.end)


_windows = Prepared(
    lambda given: MaintenanceWindow.objects.filter(
        Q(service=None) | Q(service=given("service")), enabled=True
    ).order_by("pk")
)


def of_service(service_id: int | None) -> list[MaintenanceWindow]:
    """The windows that are for a service: its own, and those for all."""
    return _windows.all(service=service_id)


def occurrence(window: MaintenanceWindow, now: datetime) -> Occurrence | None:
    """The time that covers this moment; where several do, the one that ends last. Raises ConfigurationError."""
    back = math.ceil(float(window.lasts_s) / DAY_S) + 1
    found = [one for one in _occurrences(window, now, days=range(-back, 2)) if one.covers(now)]
    return max(found, key=lambda one: one.end or datetime.max.replace(tzinfo=UTC), default=None)


def upcoming(window: MaintenanceWindow, now: datetime) -> Occurrence | None:
    """The next time that begins after this moment. Raises ConfigurationError."""
    later = max(now, _utc(window.starts_at))
    found = [one for one in _occurrences(window, later, days=range(-1, WEEK + 2)) if one.start > now]
    return min(found, key=lambda one: one.start, default=None)


def local(window: MaintenanceWindow, at: datetime) -> datetime:
    """A moment by the clocks of the window's time zone. Raises ConfigurationError."""
    return at.astimezone(_zone(window))


def weekdays_of(window: MaintenanceWindow) -> set[int]:
    """Monday is 0; empty for a window that holds once. Raises ConfigurationError."""
    names = [name.strip().lower() for name in window.weekdays.split(",") if name.strip()]
    wrong = [name for name in names if name not in WEEKDAYS]
    if wrong:
        said = _("{names} is no weekday; write them like {examples}")
        raise ConfigurationError(format_lazy(said, names=", ".join(wrong), examples=", ".join(WEEKDAYS[:3])))
    return {WEEKDAYS.index(name) for name in names}


def _occurrences(window: MaintenanceWindow, near: datetime, *, days: range) -> Iterator[Occurrence]:
    """The times that begin on the days around a moment, cut at the window's own bounds."""
    weekdays = weekdays_of(window)
    first, last = _utc(window.starts_at), _utc(window.ends_at) if window.ends_at else None
    if not weekdays:
        yield Occurrence(start=first, end=last)
        return
    if window.begins is None:
        said = _("{window} holds every week, but nobody said at what time of day it begins")
        raise ConfigurationError(format_lazy(said, window=str(window)))
    begins, zone, today = window.begins, _zone(window), local(window, near).date()
    for day in (today + timedelta(days=number) for number in days):
        if day.weekday() not in weekdays:
            continue
        start = _utc(datetime.combine(day, begins, tzinfo=zone))
        end = start + timedelta(seconds=float(window.lasts_s))
        if start >= first and (last is None or start < last):
            yield Occurrence(start=start, end=min(end, last) if last else end)


def _zone(window: MaintenanceWindow) -> tzinfo:
    if window.timezone == "UTC":  # also where no time zones are installed
        return UTC
    try:
        return ZoneInfo(window.timezone)
    except (KeyError, ValueError, OSError) as error:
        said = _("{window}: there is no time zone {name}")
        raise ConfigurationError(format_lazy(said, window=str(window), name=repr(window.timezone))) from error


def _utc(at: datetime) -> datetime:
    """Reckoned in UTC, where adding seconds means seconds."""
    return at.astimezone(UTC)
