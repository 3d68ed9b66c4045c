"""Names in a query that its source has never heard: metrics, labels and values, each with near ones.

API: https://prometheus.io/docs/prometheus/latest/querying/api/#querying-metadata
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remediation import matchers
from remediation.exceptions import MatcherError, ObserveError
from remediation.matchers import Matcher
from remediation.observe import promql

if TYPE_CHECKING:
    from remediation.rules.doubts import Client

LATELY_S = 86400.0
"""A name that was heard within a day is known: jobs that run at night are no typing errors."""
NEAR = 3
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`")
_GROUPING = re.compile(r"\b(?:by|on|group_left|group_right)\s*\(([^()]*)\)", re.IGNORECASE)
"""What without() and ignoring() name may be missing and does no harm."""


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """kind: metric, label or value. at: the metric or the label that it was looked for at. near: what it may mean."""

    kind: str
    name: str
    at: str = ""
    near: list[str] = field(default_factory=list)


class Names:
    """What one source has heard lately; each question is asked once. Raises ObserveError."""

    def __init__(self, client: Client, *, now: float) -> None:
        self.client = client
        self.span = {"start": f"{now - LATELY_S:.3f}", "end": f"{now:.3f}"}
        self._labels: dict[str, list[str]] = {}
        self._values: dict[tuple[str, str], list[str]] = {}

    def metrics(self) -> list[str]:
        return self.values("__name__", "")

    def labels(self, match: str) -> list[str]:
        """The label names of what a selector matches; of everything when it is empty."""
        if match not in self._labels:
            with _readable():
                self._labels[match] = list(map(str, self.client.get_label_names(self._asked(match))))
        return self._labels[match]

    def values(self, label: str, match: str) -> list[str]:
        if (label, match) not in self._values:
            with _readable():
                self._values[label, match] = list(map(str, self.client.get_label_values(label, self._asked(match))))
        return self._values[label, match]

    def _asked(self, match: str) -> dict[str, str]:
        return self.span | ({"match[]": match} if match else {})


@contextmanager
def _readable() -> Iterator[None]:
    """A list of names in another shape than documented is no answer."""
    try:
        yield
    except (KeyError, TypeError, ValueError):
        raise ObserveError("the source gives its names in a form that cannot be read") from None


def unknown(known: Names, query: str) -> Iterator[Unknown]:
    """Metrics and labels that the source does not have, each once."""
    heard, told = set(_texts(query)), set()
    for one in [*_in_selectors(known, query, heard), *_in_groupings(known, query, heard)]:
        if (one.kind, one.name) not in told:
            told.add((one.kind, one.name))
            yield one


def unmatched(known: Names, query: str) -> Iterator[Unknown]:
    """Label values that nothing has, of matchers that ask for exactly one. For a query that gives nothing."""
    for metric, wanted in _asked_for(query):
        for matcher in wanted:
            if matcher.op != "=" or not matcher.value or matcher.name == "__name__":
                continue
            there = known.values(matcher.name, metric)
            if there and matcher.value not in there:
                close = near(matcher.value, there) or sorted(there)[:NEAR]
                yield Unknown(kind="value", name=matcher.value, at=matcher.name, near=close)


def near(name: str, names: Iterable[str]) -> list[str]:
    """The likeliest of what there is, likeliest first; those that merely differ in case or contain it included."""
    there = list(dict.fromkeys(names))
    close = difflib.get_close_matches(name, there, n=NEAR, cutoff=0.6)
    within = [other for other in there if name.lower() in other.lower()]
    return list(dict.fromkeys([*close, *sorted(within, key=len)]))[:NEAR]


def metrics_of(query: str) -> list[str]:
    """The metrics that a query names in so many words, each once."""
    return list(dict.fromkeys(metric for metric, _ in _asked_for(query) if metric and "{" not in metric))


def _in_selectors(known: Names, query: str, heard: set[str]) -> Iterator[Unknown]:
    for metric, wanted in _asked_for(query):
        labels = known.labels(metric)
        if not labels:
            if metric and "{" not in metric:
                yield Unknown(kind="metric", name=metric, near=near(metric, known.metrics()))
            continue
        for matcher in wanted:
            needless = matcher.op == "=" and not matcher.value
            if matcher.name not in labels and not needless and matcher.name not in heard:
                yield Unknown(kind="label", name=matcher.name, at=metric, near=near(matcher.name, labels))


def _in_groupings(known: Names, query: str, heard: set[str]) -> Iterator[Unknown]:
    """Labels that series are grouped or joined by."""
    wanted = [name.strip() for found in _GROUPING.findall(_STRING.sub('""', query)) for name in found.split(",")]
    there = {label for metric, _ in _asked_for(query) for label in known.labels(metric)}
    for name in filter(None, wanted):
        # label_replace() and the like make labels, whose names stand in the query as texts.
        if there and name not in there and name not in heard and name.isidentifier():
            yield Unknown(kind="label", name=name, near=near(name, there))


def _asked_for(query: str) -> Iterator[tuple[str, tuple[Matcher, ...]]]:
    """Per selector the metric (or a selector of its name, or nothing) and its other matchers; () where unreadable."""
    for selector in promql.selectors(query):
        if selector.inside in ("absent", "absent_over_time"):
            continue  # what it asks for may well not be there
        text = query[selector.start : selector.end]
        metric, brace, rest = text.partition("{")
        try:
            wanted = matchers.parse(brace + rest) if brace else ()
        except MatcherError:
            wanted = ()
        named = [matcher for matcher in wanted if matcher.name == "__name__"]
        if named and not metric.strip():
            exact = [matcher.value for matcher in named if matcher.op == "="]
            metric = exact[0] if exact else f"{{{','.join(map(str, named))}}}"
        yield metric.strip(), tuple(matcher for matcher in wanted if matcher.name != "__name__")


def _texts(query: str) -> Iterator[str]:
    for text in _STRING.findall(query):
        yield text[1:-1]
