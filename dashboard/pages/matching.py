"""Filters of lists in Alertmanager's syntax: `severity="critical", service=~"cart|pay"`.

The database compares; regular expressions are asked of the distinct values of a label, here and within a time limit: a
pattern that explodes costs half a second and says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from remediation import matchers
from remediation.exceptions import MatcherError
from remediation.matchers import Matcher

LENGTH = 200
"""Characters of a filter: its page is a live piece, whose key holds it."""

ADDRESS_LENGTH = 280
"""Of the whole filter as it stands in the address, where a quote takes three characters."""

MATCHERS = 10
VALUES = 1000
WITHIN_S = 0.5

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Where the labels of a list's rows are: in a JSON object, and some in columns of their own."""

    rows: Callable[[], QuerySet[Any]]
    json: str
    columns: Mapping[str, Combinable]

    def label(self, name: str) -> Combinable:
        """The value of a label; empty where there is none, as in Prometheus."""
        column = self.columns.get(name)
        return text_of(self.json, name) if column is None else column


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A filter as it was written. `error` says why it cannot be used; then nothing is shown, and the text is kept."""

    text: str = ""
    matchers: tuple[Matcher, ...] = ()
    error: str = ""

    def joined(self, matcher: Matcher) -> str:
        """The text with one matcher more, in place of any that says the opposite."""
        kept = [one for one in self.matchers if (one.name, one.value) != (matcher.name, matcher.value)]
        return ", ".join(str(one) for one in [*kept, matcher])


def text_of(json: str, name: str) -> Combinable:
    """A label in a JSON field, as text."""
    return Coalesce(KeyTextTransform(name, json), Value(""), output_field=TextField())


def read(text: str, *, address: int = 0) -> Wanted:
    """What a person wrote, and how long the address is that it makes. Never raises."""
    text = text.replace("\x00", "").strip()
    if len(text) > LENGTH or address > ADDRESS_LENGTH:
        return Wanted(text=text[: 2 * LENGTH], error=_("too long: at most about %(n)s characters") % {"n": LENGTH})
    try:
        found = matchers.parse(text)
    except MatcherError as error:
        return Wanted(text=text, error=str(error))
    if len(found) > MATCHERS:
        return Wanted(text=text, error=_("at most %(n)s matchers") % {"n": MATCHERS})
    return Wanted(text=text, matchers=found)


def complaint(ask: Callable[[], object]) -> str:
    """What is wrong with a filter that could be read, but not asked; else empty."""
    try:
        ask()
    except MatcherError as error:
        return str(error)
    return ""


def narrowed(rows: QuerySet[Row], wanted: Wanted, labelled: Labelled) -> QuerySet[Row]:
    """The rows that all matchers fit. Raises MatcherError when a regular expression takes too long."""
    until = time.monotonic() + WITHIN_S
    # Equality first: it leaves fewer values to ask the regular expressions about.
    for number, matcher in enumerate(sorted(wanted.matchers, key=lambda one: "~" in one.op)):
        label, alias = labelled.label(matcher.name), f"label_{number}"
        if "~" in matcher.op:
            fits = Q(**{f"{alias}__in": _hits(rows, label, matcher, until)})
        else:
            fits = Q(**{alias: matcher.value})
            fits = ~fits if matcher.op == "!=" else fits
        rows = rows.alias(**{alias: label}).filter(fits)
    return rows


def _hits(rows: QuerySet[Row], label: Combinable, matcher: Matcher, until: float) -> list[str]:
    found = list(rows.order_by().values_list(label, flat=True).distinct()[: VALUES + 1])
    if len(found) > VALUES:
        told = {"name": matcher.name, "n": VALUES}
        raise MatcherError(_("%(name)s has more than %(n)s values here: narrow the list by another label") % told)
    hits = []
    for value in found:
        if time.monotonic() > until:
            raise MatcherError(_("the regular expression of %(matcher)s takes too long") % {"matcher": matcher})
        if matcher.matches({matcher.name: value}):
            hits.append(value)
    return hits
