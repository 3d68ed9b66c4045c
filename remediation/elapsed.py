"""Spans of time and weeks, counted by the database itself: SQLite's and PostgreSQL's own functions, no detour through
Python for each row."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.db.models import FloatField, Func, IntegerField

FIRST_MONDAY = date(1969, 12, 29)
"""The Monday of the week in which the epoch (a Thursday) lies: week 0."""


def first_day(week: int) -> date:
    """The Monday of a week as `Week` numbers it."""
    return FIRST_MONDAY + timedelta(weeks=week)


def week_of(day: date) -> int:
    return (day - FIRST_MONDAY).days // 7


class Elapsed(Func):
    """Seconds from the second of two times to the first: Elapsed("resolved_at", "fired_at"). Null where one is."""

    arity = 2
    arg_joiner = " - "
    output_field = FloatField()

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:
        days = self.copy()
        days.set_source_expressions([Func(one, function="JULIANDAY") for one in self.get_source_expressions()])
        return days.as_sql(compiler, connection, template="((%(expressions)s) * 86400.0)")

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:
        template = "CAST(EXTRACT(EPOCH FROM (%(expressions)s)) AS DOUBLE PRECISION)"
        return self.as_sql(compiler, connection, template=template)


class Week(Func):
    """The week of a time, in UTC, from Monday on; numbered from the one with the epoch."""

    arity = 1
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:
        template = "CAST((JULIANDAY(%(expressions)s) - 2440587.5 + 3) / 7 AS INTEGER)"
        return self.as_sql(compiler, connection, template=template)

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:
        template = "CAST(FLOOR((EXTRACT(EPOCH FROM %(expressions)s) / 86400 + 3) / 7) AS INTEGER)"
        return self.as_sql(compiler, connection, template=template)
