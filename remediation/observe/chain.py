"""Many instant questions to one source as one: a thousand rules cost a source twenty questions, not a thousand."""

from __future__ import annotations

from collections.abc import Mapping

from remediation.observe.answers import Answer, Samples

LABEL = "__homeostat_rule__"
"""Tells the parts of the answer apart; taken off again before anybody sees it. No scraped series has a label of such a
name, since they are reserved: one that had would lose it."""


def chained(queries: Mapping[str, str]) -> str:
    """One query that gives the series of all, each with its key in LABEL. The queries must be whole (promql.is_whole),
    or one could speak for another; keys are plain words."""
    # The line break ends a comment at a query's end.
    return "\nor ".join(f'label_replace(({query}\n), "{LABEL}", "{key}", "", "")' for key, query in queries.items())


def parts(answer: Answer) -> dict[str, list[Samples]]:
    """The series of each key that has any, without LABEL."""
    found: dict[str, list[Samples]] = {}
    for series in answer.series:
        labels = dict(series.labels)
        key = labels.pop(LABEL, "")
        found.setdefault(key, []).append(Samples(labels=labels, times=series.times, values=series.values))
    return found
