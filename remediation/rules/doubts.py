"""What speaks against a rule before it is stored: asked of its source, each finding with what to do about it.

The admin's form and `manage.py rules check --source` say the same, because both ask here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.utils.functional import Promise, lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation import matchers, registry
from remediation.condition import plain
from remediation.detect.base import Detector
from remediation.exceptions import HomeostatError, MatcherError, ObserveError, QueryRefused
from remediation.observe import window
from remediation.observe.answers import Answer
from remediation.observe.base import Access, Question
from remediation.rules import meaning, names, spacing
from remediation.series import fingerprint

MANY_SERIES = 10_000
"""Series of one rule beyond which an evaluation takes longer than its interval."""

NOT_THERE = {
    "metric": _("{at} has no metric {name}."),
    "label": _("{at} has no label {name}."),
    "value": _("{at} has no value {name}."),
}


class Client(Protocol):
    """What is asked of a source's client; every question raises ObserveError."""

    access: Access

    def instant(self, query: str, *, at: float) -> Answer: ...

    def range(self, query: str, *, start: float, end: float, step_s: float) -> Answer: ...

    def get_label_names(self, params: Any = None) -> Any: ...

    def get_label_values(self, label_name: str, params: Any = None) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """One reason against a rule. field: query, source, interval_s or params.NAME. text, remedy: looked up when they
    are shown, so that the record can have them in English. insist: whether a person may store it all the same, because
    the world may still change so that it fits."""

    field: str
    code: str
    text: str | Promise
    remedy: str | Promise
    insist: bool = True

    def __str__(self) -> str:
        return f"{self.text} {self.remedy}".strip()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A query, and who judges its answer how often. interval_s 0: that is not known."""

    query: str
    detector: Detector
    params: registry.Params
    interval_s: float = 0.0

    @classmethod
    def of(cls, query: str, detector: str, params: Mapping[str, Any], *, interval_s: float = 0.0) -> Asked:
        """Raises ConfigurationError."""
        found = registry.detector(detector)
        return cls(query=query, detector=found, params=found.parse(dict(params)), interval_s=float(interval_s))

    @property
    def expects_series(self) -> bool:
        """Whether no answer means that nothing can be said: a detector that judges values itself needs them all."""
        return not self.detector.needs_liveness or getattr(self.params, "op", None) is not None


@dataclass(frozen=True, kw_only=True)
class Found:
    """series: how many the query gives now; None when that could not be asked."""

    doubts: tuple[Doubt, ...]
    series: int | None = None


def find(client: Client, asked: Asked, *, now: float) -> Found:
    """Everything that speaks against it. Never raises for what the source does."""
    if asked.detector.source == "alerts":
        return Found(doubts=tuple(_matchers(asked.query)))
    doubts = [*_compares(asked), *_few_points(asked)]
    try:
        answer = client.instant(asked.query, at=now)
        if answer.kind == "matrix":
            raise QueryRefused("a range such as up[5m] has no single value; put a function such as rate() around it")
        doubts += [*_size(answer), *_window(client, asked, answer, now=now)]
        known = names.Names(client, now=now)
        unknown = list(_unknown(known, asked))
        doubts += unknown
        doubts += _spacing(client, asked, now=now)
        # An answer that is empty for a reason that was told needs no second one.
        told = {doubt.code for doubt in doubts}
        if not answer.series and asked.expects_series and not unknown and "short_query" not in told:
            doubts += _nothing(known, asked, compared="compared" in told)
    except QueryRefused as error:
        return Found(doubts=(_refused(error),))
    except HomeostatError as error:
        return Found(doubts=(*doubts, away(error)))
    return Found(doubts=tuple(doubts), series=len(answer.series))


def _words(error: Exception, *, without: str = "") -> Any:
    """What it says, looked up when it is shown. without: what it does not end with."""
    return lazy(lambda: plain(error).removesuffix(without), str)()


def _matchers(query: str) -> Iterator[Doubt]:
    try:
        matchers.parse(query)
    except MatcherError as error:
        yield Doubt(field="query", code="refused", text=_words(error), remedy="", insist=False)


def _refused(error: Exception) -> Doubt:
    text = format_lazy(_("The source refuses this query: {error}"), error=_words(error))
    return Doubt(field="query", code="refused", text=text, remedy="", insist=False)


def away(error: Exception) -> Doubt:
    """The source could not be asked."""
    return Doubt(
        field="source",
        code="unreachable",
        text=format_lazy(_("The query could not be tried: {error}."), error=_words(error, without=".")),
        remedy=_("Try again once the source answers."),
    )


def _compares(asked: Asked) -> Iterator[Doubt]:
    if asked.detector.needs_liveness or not meaning.compares(asked.query):
        return
    apart = meaning.of_expression(asked.query, missing="unknown")
    remedy: str | Promise = _("Leave the comparison out and say in the detector's parameters what is bad.")
    if {"op", "value"} <= apart.params.keys():
        compared = f"{apart.params['op']} {apart.params['value']:g}"
        said = _("Write only {query} here; “{compared}” belongs into the detector's parameters.")
        remedy = format_lazy(said, query=_one_line(apart.query), compared=compared)
    yield Doubt(
        field="query",
        code="compared",
        text=_("The comparison leaves only some series over; the others would be unknown instead of well."),
        remedy=remedy,
    )


def _size(answer: Answer) -> Iterator[Doubt]:
    count = len(answer.series)
    if count > MANY_SERIES:
        said = _("The query gives {count} series; more than {many} take longer to judge than an interval.")
        text = format_lazy(said, count=f"{count:,}", many=f"{MANY_SERIES:,}")
        yield Doubt(field="query", code="many", text=text, remedy=_("Sum them up, or ask for a part of them."))
    seen = Counter(fingerprint(labels) for labels in window.without_names([one.labels for one in answer.series]))
    twice = sum(1 for number in seen.values() if number > 1)
    if twice:
        said = _("The query gives {count} series whose labels are not their own, so that they cannot be told apart.")
        text = format_lazy(said, count=twice)
        yield Doubt(field="query", code="twice", text=text, remedy=_("Keep a label that differs."), insist=False)


def _window(client: Client, asked: Asked, answer: Answer, *, now: float) -> Iterator[Doubt]:
    """The question as the loop puts it; what only its window brings to light."""
    if len(answer.series) > MANY_SERIES:
        return
    question = Question(
        query=asked.query, window_s=asked.detector.window_s(asked.params), step_s=asked.detector.step_s(asked.params)
    )
    try:
        window.fetch(client, question, now=now)
    except QueryRefused:
        raise
    except ObserveError as error:
        yield away(error)


def _unknown(known: names.Names, asked: Asked) -> Iterator[Doubt]:
    for one in names.unknown(known, asked.query):
        text = format_lazy(NOT_THERE[one.kind], at=one.at or _("The source"), name=one.name)
        yield Doubt(field="query", code=f"unknown_{one.kind}", text=text, remedy=_near(one.near))


def _nothing(known: names.Names, asked: Asked, *, compared: bool) -> Iterator[Doubt]:
    """An empty answer, with the label value that explains it where one does; a comparison may explain it, too."""
    text: Promise = _("The query matches no series with a fresh sample now.")
    one = next(names.unmatched(known, asked.query), None)
    if one is not None:
        text = format_lazy("{} {}", text, format_lazy(_("None has {label}={value}."), label=one.at, value=one.name))
        yield Doubt(field="query", code="empty", text=text, remedy=_near(one.near))
    elif not compared:
        yield Doubt(field="query", code="empty", text=text, remedy=_("Look at its parts one by one."))


def _near(near: list[str]) -> Promise:
    if near:
        return format_lazy(_("Meant may be: {names}."), names=", ".join(near))
    return _("Look for a typing error, or for what is not scraped yet.")


def _few_points(asked: Asked) -> Iterator[Doubt]:
    for one in spacing.few_points(asked.params):
        yield Doubt(field=one.field, code="few_points", text=one.text, remedy=one.remedy, insist=False)


def _spacing(client: Client, asked: Asked, *, now: float) -> Iterator[Doubt]:
    for one in spacing.too_short(client, asked, now=now):
        yield Doubt(field=one.field, code=f"short_{one.field.rpartition('.')[2]}", text=one.text, remedy=one.remedy)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:79]}…"
