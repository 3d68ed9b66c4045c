"""What pages draw: one series of one condition of a rule, with what was expected of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext_noop

from remediation.combination import Combination
from remediation.detect.base import Band
from remediation.exceptions import ConfigurationError
from remediation.judging import Asked
from remediation.models import Rule
from remediation.observe import window
from remediation.observe.base import Question
from remediation.observe.clients import client_for
from remediation.observe.narrow import narrowed
from remediation.series import Floats, Labels, Matrix
from remediation.series import fingerprint as fingerprint_of
from remediation.standings import finite

NO_VALUES = gettext_noop("alerts have no values; see the timeline")
NO_SAMPLES = gettext_noop("no samples of this series in the range")


@dataclass(frozen=True, kw_only=True)
class History:
    """One series over a range with what was expected: T of each; None where there is no sample or no expectation.
    note: why there is nothing, in English: it is kept for readers of every language. of: how many series belong to
    what was asked for, of which this is the one that was furthest from what was expected."""

    times: list[float]
    values: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    note: str = ""
    of: int = 1


def history(
    rule: Rule, *, fingerprint: str, start: float, end: float, points: int = 400, labels: Labels | None = None
) -> History:
    """The series with this fingerprint between two times (seconds since the epoch), for a chart.

    Detectors that learn get their window before the start as well. labels: those of the series, where they are known;
    then no more than it is asked for, where that is the same. Raises ObserveError, ConfigurationError.
    """
    asked = Asked.of_rule(rule)
    query = asked.query
    if labels is not None and fingerprint_of(labels) == fingerprint:
        query = narrowed(query, labels)
    found = _fetched(asked, query, start=start, end=end, points=points)
    if found is None:
        return _nothing(NO_VALUES)
    rows = [at for at, one in enumerate(found.labels) if fingerprint_of(one) == fingerprint]
    return _drawn(asked, found, rows[:1], start=start)


def history_of_condition(
    rule: Rule, number: int, *, labels: Labels, start: float, end: float, points: int = 400
) -> History:
    """What one condition says of a series of the rule, as `history`. number: 1 is the rule's own query. labels: of the
    rule's series; of the condition's those belong to it that agree in all labels that both have. Raises ObserveError,
    and ConfigurationError also where there is no such condition."""
    wanted = Combination.of(rule).wanted
    if not 1 <= number <= len(wanted):
        raise ConfigurationError(f"the rule has no condition {number}")
    asked = wanted[number - 1].asked()
    found = _fetched(asked, asked.query, start=start, end=end, points=points)
    if found is None:
        return _nothing(NO_VALUES)
    rows = [at for at, one in enumerate(found.labels) if _agree(one, labels)]
    return _drawn(asked, found, rows, start=start)


def _agree(one: Labels, other: Labels) -> bool:
    return all(other.get(name, value) == value for name, value in one.items())


def _fetched(asked: Asked, query: str, *, start: float, end: float, points: int) -> Matrix | None:
    """None where there are no samples to be asked for."""
    if asked.detector.source == "alerts":
        return None
    step_s = max(1.0, math.ceil((end - start) / points))
    before_s = asked.detector.window_s(asked.params)
    if before_s:
        step_s = max(step_s, asked.detector.step_s(asked.params))
    question = Question(query=query, window_s=end - start + before_s, step_s=step_s)
    return window.fetch(client_for(asked.source), question, now=end)


def _drawn(asked: Asked, found: Matrix, rows: Sequence[int], *, start: float) -> History:
    """Of several series the one that was furthest out."""
    if not rows:
        return _nothing(NO_SAMPLES)
    some = Matrix(
        labels=tuple(found.labels[row] for row in rows),
        times=found.times,
        values=found.values[list(rows)],
        now=found.now,
        reach_s=found.reach_s,
    )
    band = asked.detector.band(some, asked.params)
    shown = some.times >= start
    at = _furthest(some.values[:, shown], band, shown) if len(rows) > 1 else 0
    return History(
        times=some.times[shown].tolist(),
        values=_numbers(some.values[at, shown]),
        lower=_numbers(band.lower[at, shown]),
        upper=_numbers(band.upper[at, shown]),
        of=len(rows),
    )


def _furthest(values: Floats, band: Band, shown: np.ndarray) -> int:
    """Which of S series lay furthest beyond what was expected of it, or came closest to that."""
    beyond = np.fmax(values - band.upper[:, shown], band.lower[:, shown] - values)
    return int(np.argmax(np.nan_to_num(beyond, nan=-np.inf).max(axis=1, initial=-np.inf)))


def _nothing(note: str) -> History:
    return History(times=[], values=[], lower=[], upper=[], note=note)


def _numbers(values: Floats) -> list[float | None]:
    return [finite(value) for value in np.asarray(values, dtype=float)]
