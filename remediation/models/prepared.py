"""Statements that are compiled once: Django spends several times longer on writing the SQL of a short statement than a
database on carrying it out, and the way from an alert to its effect has many of them (docs/decisions/0011).

    _open_of = Prepared(lambda given: Incident.objects.filter(rule=given("rule"), state=IncidentState.FIRING))
    rows = _open_of.all(rule=rule.pk)

What is asked is a queryset as elsewhere, compiled by Django for each kind of database. Only what is `given` differs
from one asking to the next: it goes to the database as a parameter, never as a part of the SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.db.models.expressions import Expression
from django.db.models.query import QuerySet, ValuesListIterable, get_related_populators
from django.db.models.sql import UpdateQuery

LONGEST = 20
"""Lists up to this length have a statement kept for each length; longer ones are compiled as they come."""

Row = TypeVar("Row")


class Place(Expression):
    """Where a value goes. Its type is that of what it is compared with."""

    def __init__(self, name: str, index: int | None = None) -> None:
        super().__init__()
        self.name, self.index = name, index

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]

    def filled(self, values: dict[str, Any]) -> Any:
        value = values[self.name] if self.index is None else values[self.name][self.index]
        if isinstance(value, str):  # a member of an enumeration is no text to every driver
            return str(value)
        return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


Giving = Callable[[str], Any]
"""Names what differs between two askings: a value (None is asked for as IS NULL), or a list of them."""

Shape = tuple[str, frozenset[tuple[str, int | None]]]
"""What the SQL depends on: the kind of database, which values are None (None), and the lengths of lists."""


def _shape(values: dict[str, Any]) -> Shape:
    shaped = {
        (name, None if value is None else len(value))
        for name, value in values.items()
        if value is None or isinstance(value, list)
    }
    return connection.vendor, frozenset(shaped)


def _places(values: dict[str, Any]) -> Giving:
    def given(name: str) -> Any:
        value = values[name]
        if isinstance(value, list):
            return [Place(name, index) for index in range(len(value))]
        return None if value is None else Place(name)

    return given


class Sql:
    """SQL with its parameters, of which some are still to be given."""

    def __init__(self, compiler: Any) -> None:
        try:
            self.text, self.params = compiler.as_sql()
        except EmptyResultSet:
            self.text, self.params = "", ()

    def run(self, cursor: Any, values: dict[str, Any]) -> None:
        cursor.execute(self.text, [one.filled(values) if isinstance(one, Place) else one for one in self.params])


class Compiled:
    """A question, and how a row of its answer becomes an object."""

    def __init__(self, rows: QuerySet[Any, Any]) -> None:
        compiler: Any = rows.query.get_compiler(using=DEFAULT_DB_ALIAS)
        self.sql = Sql(compiler)
        if not self.sql.text:
            return
        fields = [column[0] for column in compiler.select[: compiler.col_count]]
        self.converters = list(compiler.get_converters(fields).items())
        kind = rows._iterable_class
        self.tuples = issubclass(kind, ValuesListIterable)
        self.flat = kind.__name__ == "FlatValuesListIterable"
        if self.tuples or self.flat:
            return
        own = compiler.klass_info["select_fields"]
        self.model, self.own = compiler.klass_info["model"], slice(own[0], own[-1] + 1)
        self.names = [column[0].target.attname for column in compiler.select[self.own]]
        populators: Any = get_related_populators  # its stubs are of a later Django
        self.related = populators(compiler.klass_info, compiler.select, DEFAULT_DB_ALIAS)

    def ask(self, values: dict[str, Any]) -> list[Any]:
        if not self.sql.text:  # nothing can fit, as with an empty list
            return []
        with connection.cursor() as cursor:
            self.sql.run(cursor, values)
            rows = cursor.fetchall()
        if self.converters:
            rows = [self._converted(row) for row in rows]
        if self.flat:
            return [row[0] for row in rows]
        return [tuple(row) for row in rows] if self.tuples else [self._object(row) for row in rows]

    def _converted(self, row: Any) -> list[Any]:
        found = list(row)
        for place, (converters, expression) in self.converters:
            for convert in converters:
                found[place] = convert(found[place], expression, connection)
        return found

    def _object(self, row: Any) -> Any:
        found = self.model.from_db(DEFAULT_DB_ALIAS, self.names, row[self.own])
        for one in self.related:
            one.populate(row, found)
        return found


class Prepared(Generic[Row]):
    """A question: a queryset of objects (select_related is followed, prefetch_related is not) or of values_list."""

    def __init__(self, ask: Callable[[Giving], QuerySet[Any, Row]]) -> None:
        self._ask = ask
        self._kept: dict[Shape, Compiled] = {}

    def all(self, **values: Any) -> list[Row]:
        if any(isinstance(value, list) and len(value) > LONGEST for value in values.values()):
            return list(self._ask(values.__getitem__))
        shape = _shape(values)
        compiled = self._kept.get(shape)
        if compiled is None:
            compiled = self._kept[shape] = Compiled(self._rows(values))
        return compiled.ask(values)

    def _rows(self, values: dict[str, Any]) -> QuerySet[Any, Any]:
        return self._ask(_places(values))

    def first(self, **values: Any) -> Row | None:
        """The first row in the order of the question, which says itself that one is enough (`[:1]`) where there may be
        many; None when there is none."""
        found = self.all(**values)
        return found[0] if found else None


class PreparedTally:
    """Aggregates over what a queryset selects, by name."""

    def __init__(self, which: Callable[[Giving], QuerySet[Any]], **sums: Any) -> None:
        self._sums = sums
        self._which = which
        self._kept: dict[Shape, Sql] = {}

    def of(self, **values: Any) -> dict[str, Any]:
        shape = _shape(values)
        sql = self._kept.get(shape)
        if sql is None:
            query: Any = self._which(_places(values)).query.chain()
            query.clear_ordering(force=True)
            query.clear_select_clause()
            for name, what in self._sums.items():
                query.add_annotation(what, name)
            sql = self._kept[shape] = Sql(query.get_compiler(using=DEFAULT_DB_ALIAS))
        with connection.cursor() as cursor:
            sql.run(cursor, values)
            return dict(zip(self._sums, cursor.fetchone(), strict=True))


class PreparedUpdate:
    """An update of what a queryset selects. sets: what is written to a field: a value, an expression, or a Place, whose
    value is converted as the field asks for."""

    def __init__(self, which: Callable[[Giving], QuerySet[Any]], **sets: Any) -> None:
        self._which, self._sets = which, sets
        self._kept: dict[Shape, tuple[Sql, dict[str, Any]]] = {}

    def run(self, **values: Any) -> int:
        """How many rows there were."""
        asked = {place.name for place in self._sets.values() if isinstance(place, Place)}
        shape = _shape({name: value for name, value in values.items() if name not in asked})
        kept = self._kept.get(shape)
        if kept is None:
            kept = self._kept[shape] = self._written(values)
        sql, fields = kept
        values |= {name: field.get_db_prep_save(values[name], connection) for name, field in fields.items()}
        with transaction.mark_for_rollback_on_error(using=DEFAULT_DB_ALIAS), connection.cursor() as cursor:
            sql.run(cursor, values)
            return cast(int, cursor.rowcount)

    def _written(self, values: dict[str, Any]) -> tuple[Sql, dict[str, Any]]:
        rows = self._which(_places(values))
        fields = {
            place.name: rows.model._meta.get_field(name)
            for name, place in self._sets.items()
            if isinstance(place, Place)
        }
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(self._sets)
        query.clear_ordering(force=True)
        query.clear_select_clause()
        return Sql(query.get_compiler(using=DEFAULT_DB_ALIAS)), fields
