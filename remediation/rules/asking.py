"""Ask a source about the queries of rules in files, and point at the line of what it does not understand or have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from remediation import registry
from remediation.exceptions import ObserveError, QueryRefused
from remediation.observe.prometheus import Prometheus
from remediation.rules import doubts
from remediation.rules.declared import Declared
from remediation.rules.reading import Problem

_PLACE = re.compile(r"\b(\d+):(\d+): ")


def refused(client: Prometheus, rules: Iterable[Declared], *, now: float) -> list[Problem]:
    """What the source says against the rules' queries. Raises ObserveError when it gives no usable answer."""
    problems = []
    for rule in rules:
        for query, line in _queries(rule):
            try:
                client.instant(query, at=now)
            except QueryRefused as error:
                place = _PLACE.search(str(error))
                problem_line = line + (int(place[1]) - 1 if place else 0)
                problems.append(Problem(file=rule.file, line=problem_line, text=f"{rule.name}: {error}"))
            except ObserveError as error:
                raise ObserveError(f"{rule.place}: {rule.name}: {error}") from None
    return problems


def _queries(rule: Declared) -> Iterator[tuple[str, int]]:
    """Every query of a rule with the line where it stands; matchers of alerts are none."""
    if registry.detector(rule.meaning.detector).source == "samples":
        yield rule.meaning.query, rule.query_line
    yield from rule.further.queries()


def doubted(client: Prometheus, rules: Iterable[Declared], *, now: float) -> Iterator[Problem]:
    """What speaks against the rules, as the admin would say it when one is saved. Raises ConfigurationError."""
    for rule in rules:
        meaning = rule.meaning
        asked = doubts.Asked.of(meaning.query, meaning.detector, meaning.params, interval_s=rule.interval_s)
        for doubt in doubts.find(client, asked, now=now).doubts:
            yield Problem(file=rule.file, line=rule.query_line, text=f"{rule.name}: {doubt}")
