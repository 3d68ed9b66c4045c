"""Moments as they stand in addresses."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils.dateparse import parse_date, parse_datetime


def moment(text: str) -> datetime | None:
    """A date, or a date and time, in UTC; None for anything else."""
    try:
        day = parse_date(text)
        at = parse_datetime(text) or (datetime(day.year, day.month, day.day) if day else None)
        return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
