"""Observe and detect for many rules of one source at once, in as few questions as possible.

Rules that look at nothing but the newest sample are asked together, some fifty in one question. Of a rule with many
series that were all well, the source only counts how many are on the good side of the limit, and how many are not; when
the first number is what it was, and the second is none, there is nothing to fetch, to judge or to write.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import numpy as np

from remediation import condition
from remediation.detect.base import Verdicts
from remediation.exceptions import ConfigurationError, ObserveError, SourceFailed
from remediation.judging import Asked, asking, noting_once
from remediation.models import Rule, RuleStatus
from remediation.observe import chain, promql, window
from remediation.observe.answers import Answer, Samples
from remediation.observe.clients import client_for
from remediation.series import Matrix, fingerprint
from remediation.standings import BUSY, are_all_that_is_wrong, is_countable, is_settled

log = logging.getLogger(__name__)

TOGETHER = 50
"""Rules in one question."""
SERIES_TOGETHER = 2000
"""Series in one answer, about: a rule that had more of them is asked alone."""
CHARACTERS_TOGETHER = 15_000
"""Characters in one question, about: VictoriaMetrics refuses more than 16,384."""
COUNTED_FROM = 4
"""Series from which a rule's well ones are only counted: a count is then less to send than the samples."""
ALONE_S = 600.0
"""Seconds for which a rule that spoiled a question in common is asked by itself."""
ALIVE = "alive"
WELL = "well"
"""The label by which the two counts of a rule are told apart: "1" of those that are well, "0" of all others."""

_alone: dict[tuple[int, int], float] = {}
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a look at one rule came to: its verdicts, or why there are none. unchanged: every series is well, and they
    are those of the last time; counted, there are no verdicts then. others_well: the verdicts are those of the bad
    series, and all others are well and were so before."""

    verdicts: Verdicts | None = None
    error: str = ""
    unchanged: bool = False
    others_well: bool = False


_Found = dict[int, Seen]


@dataclass(frozen=True, kw_only=True)
class Due:
    """A rule that is due, with what its last evaluation came to. look: it must be looked at, not only counted."""

    rule: Rule
    status: RuleStatus
    look: bool


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One rule of a question in common."""

    due: Due
    asked: Asked
    query: str


def look(due: Sequence[Due], *, now: datetime, within_s: float) -> dict[int, Seen]:
    """Judge rules of one source, all at one time; by their numbers. Never raises: what is wrong is in the answer.

    Those that `within_s` was too short for are left out. A source that does not answer is asked once, not once a rule.
    """
    found: dict[int, Seen] = {}
    until = time.monotonic() + within_s
    try:
        with noting_once():
            for question in _questions(due, found, now=now):
                found |= question()
                if time.monotonic() > until:
                    break
    except SourceFailed as error:
        found |= {one.rule.pk: Seen(error=str(error)) for one in due if one.rule.pk not in found}
    return found


def _questions(due: Sequence[Due], found: Mapping[int, Seen], *, now: datetime) -> Iterator[Callable[[], _Found]]:
    """What there is to ask, in this order; `found` fills meanwhile."""
    counted, together = _sorted(due)
    for group in _groups(counted):
        yield partial(_count, group, now=now)
    together += [_plain(part.due, part.asked) for part in counted if part.due.rule.pk not in found]
    for group in _groups(together):
        yield partial(_look_together, group, now=now)
    for one in due:
        if one.rule.pk not in found:
            yield partial(_look_alone, one, now=now)


def _sorted(due: Iterable[Due]) -> tuple[list[_Part], list[_Part]]:
    """Those whose well series are only counted, and those whose samples are fetched together; the others are asked
    alone."""
    counted: list[_Part] = []
    together: list[_Part] = []
    for one in due:
        asked = _simple(one.rule)
        if asked is None or one.status.series > SERIES_TOGETHER or _is_alone(one.rule):
            continue
        well = _well(asked) if not one.look and one.status.series >= COUNTED_FROM else None
        if well and is_countable(one.status, one.rule.version):
            counted.append(_Part(due=one, asked=asked, query=f'count_values("{WELL}", {well})'))
        else:
            together.append(_plain(one, asked))
    return counted, together


def _well(asked: Asked) -> str | None:
    """What gives the series that are certainly well, counting as fresh what is newer than the source's limit."""
    recent = promql.recent(asked.query, stale_after_s=float(asked.source.stale_after_s))
    return asked.detector.well(recent, asked.params)


def _plain(due: Due, asked: Asked) -> _Part:
    return _Part(due=due, asked=asked, query=asked.query)


def _simple(rule: Rule) -> Asked | None:
    """The rule's question where it is one and asks for the newest samples only."""
    try:
        asked = Asked.of_rule(rule)
    except ConfigurationError:
        return None
    samples = asked.detector.source == "samples" and asked.detector.window_s(asked.params) <= 0
    whole = not rule.conditions and not rule.traffic_query and promql.is_whole(rule.query)
    return asked if samples and whole else None


def _groups(parts: Sequence[_Part]) -> Iterable[list[_Part]]:
    group: list[_Part] = []
    series = characters = 0
    for part in parts:
        longer = 2 * len(part.query) + 100  # leaving out what is stale names a selector twice
        full = len(group) >= TOGETHER or characters + longer > CHARACTERS_TOGETHER
        if group and (full or series + part.due.status.series > SERIES_TOGETHER):
            yield group
            group, series, characters = [], 0, 0
        group.append(part)
        characters += longer
        series += part.due.status.series if part.query == part.asked.query else 2
    if group:
        yield group


# --- counting ---------------------------------------------------------------------------------------------------------


def _count(group: list[_Part], *, now: datetime) -> _Found:
    """The rules whose series are all well, and those whose bad ones are known and all that is missing of them."""
    try:
        answer = _ask(group, now=now)
        counts = {key: _counts(series) for key, series in chain.parts(answer).items()}
        missing = [part for part in group if counts.get(str(part.due.rule.pk)) != (part.due.status.series, 0)]
        bad = chain.parts(_ask([_bad(part) for part in missing], now=now)) if missing else {}
    except SourceFailed:
        raise
    except ObserveError:
        return {}  # one of them cannot be counted: each is looked at
    calm = {part.due.rule.pk for part in group if part not in missing and not part.due.status.settled.endswith(BUSY)}
    found = {pk: Seen(unchanged=True) for pk in calm}
    for part in missing:
        pk = part.due.rule.pk
        seen = _judged(part, bad, alive=True, now=now)
        names = {fingerprint(labels) for labels in seen.verdicts.labels} if seen.verdicts is not None else set()
        expected = (part.due.status.series - len(names), len(names))
        if names and counts.get(str(pk)) == expected and are_all_that_is_wrong(part.due.rule, names):
            found[pk] = replace(seen, others_well=True)
    return found


def _counts(series: Sequence[Samples]) -> tuple[int, int]:
    """How many are well, and how many are not."""
    found = {one.labels[WELL]: int(one.values[-1]) for one in series}
    return found.get("1", 0), found.get("0", 0)


def _bad(part: _Part) -> _Part:
    """The same rule, asked for the series that are not well."""
    return replace(part, query=part.asked.detector.bad(part.asked.query, part.asked.params))


# --- looking ----------------------------------------------------------------------------------------------------------


def _look_together(group: list[_Part], *, now: datetime) -> _Found:
    if len(group) == 1:
        return _look_alone(group[0].due, now=now)
    try:
        found = chain.parts(_ask(group, now=now))
    except SourceFailed:
        raise
    except ObserveError:
        return _look_one_by_one(group, now=now)
    alive = any(one.values[-1] > 0 for one in found.get(ALIVE, []))
    return {part.due.rule.pk: _judged(part, found, alive=alive, now=now) for part in group}


def _look_one_by_one(group: list[_Part], *, now: datetime) -> _Found:
    """One of them spoils the question in common: it is found, and asked alone for a while. What has no labels may be a
    scalar, which answers alone and cannot be asked together."""
    found: _Found = {}
    for part in group:
        found |= _look_alone(part.due, now=now)
    wrong = [part.due.rule for part in group if _spoils(found[part.due.rule.pk])]
    until = time.monotonic() + (ALONE_S if wrong else ALONE_S / 10)
    with _lock:
        _alone.update({(rule.pk, rule.version): until for rule in wrong or [part.due.rule for part in group]})
    return found


def _spoils(seen: Seen) -> bool:
    return bool(seen.error) or (seen.verdicts is not None and seen.verdicts.labels == ({},))


def _is_alone(rule: Rule) -> bool:
    with _lock:
        until = _alone.get((rule.pk, rule.version), 0.0)
        if until and until < time.monotonic():
            del _alone[rule.pk, rule.version]
        return until > time.monotonic()


def _judged(part: _Part, found: dict[str, list[Samples]], *, alive: bool, now: datetime) -> Seen:
    series = found.get(str(part.due.rule.pk), [])
    at = window.whole_ms(now.timestamp()) / 1000
    matrix = Matrix(
        labels=window.without_names([one.labels for one in series]),
        times=np.array([at]),
        values=np.array([[one.values[-1]] for one in series]).reshape(len(series), 1),
        now=now.timestamp(),
        alive=alive or not part.asked.detector.needs_liveness,
    )
    try:
        return _compared(part.due, part.asked.detector.judge(matrix, part.asked.params))
    except Exception as problem:
        log.exception("rule %s cannot be judged", part.due.rule)
        return Seen(error=condition.plain(problem))


def _look_alone(one: Due, *, now: datetime) -> _Found:
    return {one.rule.pk: _look(one, now=now)}


def _look(one: Due, *, now: datetime) -> Seen:
    try:
        return _compared(one, condition.judge(one.rule, now=now))
    except SourceFailed:
        raise
    except (ObserveError, ConfigurationError) as problem:
        return Seen(error=str(problem))
    except Exception as problem:
        log.exception("rule %s cannot be evaluated", one.rule)
        return Seen(error=condition.plain(problem))


def _ask(group: list[_Part], *, now: datetime) -> Answer:
    """Raises ObserveError, also when the source warns: nobody knows then whose answer lacks something."""
    source = group[0].due.rule.source
    queries = {str(part.due.rule.pk): part.query for part in group}
    with asking(source, now=now):
        client = client_for(source)
        if any(part.asked.detector.needs_liveness and part.query == part.asked.query for part in group):
            queries[ALIVE] = window.liveness(client)
        fresh = {key: client.fresh(query) for key, query in queries.items()}
        answer = client.instant(chain.chained(fresh), at=window.whole_ms(now.timestamp()) / 1000, as_is=True)
        if answer.warnings:
            raise ObserveError(f"the source warns: {'; '.join(answer.warnings[:3])}")
    return answer


# --- nothing new ------------------------------------------------------------------------------------------------------


def _compared(one: Due, verdicts: Verdicts) -> Seen:
    """The verdicts, with a word on whether they are what they were."""
    return Seen(verdicts=verdicts, unchanged=is_settled(one.status, one.rule.version, verdicts))
