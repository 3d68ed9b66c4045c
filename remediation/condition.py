"""Ask a rule's question: of all its series now, of one series now, or over a stretch of history."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from remediation import registry
from remediation.detect.base import Verdicts
from remediation.exceptions import ConfigurationError, HomeostatError, ObserveError, SourceFailed
from remediation.models import Incident, Rule, Source, SourceStatus
from remediation.observe import alerts, window
from remediation.observe.base import Question
from remediation.observe.clients import client_for, note_answer, note_failure
from remediation.observe.gate import gate_of
from remediation.series import Floats, Matrix
from remediation.series import fingerprint as fingerprint_of
from remediation.standings import finite, judged_series, missing
from remediation.states import Verdict
from remediation.verify.recovery import Look

log = logging.getLogger(__name__)


def fetch(rule: Rule, *, now: datetime) -> Matrix:
    """The series a rule is about, as they are now. Raises ObserveError, ConfigurationError."""
    detector = registry.detector(rule.detector)
    params = detector.parse(rule.params)
    if detector.source == "alerts":
        return _fetch_alerts(rule, now=now)
    question = Question(
        query=rule.query,
        window_s=detector.window_s(params),
        step_s=detector.step_s(params),
        needs_liveness=detector.needs_liveness,
    )
    with asking(rule.source, now=now):
        return window.fetch(client_for(rule.source), question, now=now.timestamp())


@contextmanager
def asking(source: Source, *, now: datetime) -> Iterator[None]:
    """Ask a source within this: through its gate, and with a note of whether it answers. What is wrong with one
    question (bad PromQL, a warning, too much of it) says nothing about the source."""
    try:
        with gate_of(source.pk).question():
            yield
    except SourceFailed as error:
        note_failure(source, str(error), now=now)
        raise
    except ObserveError:
        note_answer(source, now=now)
        raise
    note_answer(source, now=now)


def _fetch_alerts(rule: Rule, *, now: datetime) -> Matrix:
    """The stored alerts of the rule's source. They are as fresh as the last pull, where the source is pulled."""
    status = SourceStatus.objects.filter(source_id=rule.source_id).first()
    answered = status is not None and not status.failing
    return alerts.as_matrix(rule.source_id, rule.query, now=now.timestamp(), answered=answered)


def judge(rule: Rule, *, now: datetime) -> Verdicts:
    """The verdicts of all series of a rule. Raises ObserveError, ConfigurationError."""
    detector = registry.detector(rule.detector)
    return detector.judge(fetch(rule, now=now), detector.parse(rule.params))


def ask(incident: Incident, *, now: datetime) -> Look:
    """One look at the very condition of an incident, by the version of the rule that fired. Never raises: whatever
    goes wrong is an unknown verdict with its reason."""
    rule = incident.rule_version.as_rule()
    rule.source = incident.rule.source
    at = now.timestamp()
    try:
        if registry.detector(rule.detector).source == "alerts":
            with asking(rule.source, now=now):
                alerts.pull(rule.source, client_for(rule.source), now=now)
        matrix = fetch(rule, now=now)
        detector = registry.detector(rule.detector)
        verdicts = detector.judge(matrix, detector.parse(rule.params))
    except HomeostatError as error:
        return Look(at=at, verdict=Verdict.UNKNOWN, value=None, sample_at=None, reach_s=0, reason=str(error))
    except Exception as error:
        log.exception("asking the condition of incident %s failed", incident.pk)
        why = f"{type(error).__name__} while asking"
        return Look(at=at, verdict=Verdict.UNKNOWN, value=None, sample_at=None, reach_s=0, reason=why)
    judged = judged_series(verdicts).get(incident.fingerprint)
    if judged is None:  # which means that it is well where the detector says so, and nothing otherwise
        absent = missing(dict(incident.series_labels), verdicts)
        known = at if absent.verdict != Verdict.UNKNOWN else None
        reach_s = matrix.reach_s
        return Look(at=at, verdict=absent.verdict, value=None, sample_at=known, reach_s=reach_s, reason=absent.reason)
    times = [
        verdicts.times[i] for i, labels in enumerate(verdicts.labels) if fingerprint_of(labels) == incident.fingerprint
    ]
    sample_at = float(times[0]) if times and math.isfinite(times[0]) else None
    return Look(
        at=at,
        verdict=judged.verdict,
        value=judged.value,
        sample_at=sample_at,
        reach_s=matrix.reach_s,
        reason=judged.reason,
    )


@dataclass(frozen=True, kw_only=True)
class History:
    """One series over a range with what was expected: T of each; None where there is no sample or no expectation."""

    times: list[float]
    values: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    note: str = ""


def history(rule: Rule, *, fingerprint: str, start: float, end: float, points: int = 400) -> History:
    """The series with this fingerprint between two times (seconds since the epoch), for a chart.

    Detectors that learn get their window before the start as well. Raises ObserveError, ConfigurationError.
    """
    detector = registry.detector(rule.detector)
    params = detector.parse(rule.params)
    if detector.source == "alerts":
        return History(times=[], values=[], lower=[], upper=[], note="alerts have no values; see the timeline")
    step_s = max(1.0, math.ceil((end - start) / points))
    before_s = detector.window_s(params)
    if before_s:
        step_s = max(step_s, detector.step_s(params))
    question = Question(query=rule.query, window_s=end - start + before_s, step_s=step_s)
    matrix = window.fetch(client_for(rule.source), question, now=end)
    wanted = [i for i, labels in enumerate(matrix.labels) if fingerprint_of(labels) == fingerprint]
    if not wanted:
        return History(times=[], values=[], lower=[], upper=[], note="no samples of this series in the range")
    one = Matrix(
        labels=(matrix.labels[wanted[0]],),
        times=matrix.times,
        values=matrix.values[wanted[0] : wanted[0] + 1],
        now=end,
        reach_s=matrix.reach_s,
    )
    band = detector.band(one, params)
    shown = one.times >= start
    return History(
        times=one.times[shown].tolist(),
        values=_numbers(one.values[0, shown]),
        lower=_numbers(band.lower[0, shown]),
        upper=_numbers(band.upper[0, shown]),
    )


def _numbers(values: Floats) -> list[float | None]:
    return [finite(value) for value in np.asarray(values, dtype=float)]


def plain(error: Exception) -> str:
    """What to tell people about an error: its own words when it is ours, its kind otherwise."""
    return (
        str(error)
        if isinstance(error, (ObserveError, ConfigurationError))
        else f"internal error ({type(error).__name__})"
    )
