"""Ask a rule's question: of all its series now, of one series now, or over a stretch of history."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from remediation import judging, registry
from remediation.detect.base import Verdicts
from remediation.exceptions import ConfigurationError, HomeostatError, ObserveError
from remediation.judging import Asked, asking
from remediation.models import Incident, Rule
from remediation.observe import alerts, window
from remediation.observe.base import Question
from remediation.observe.clients import client_for
from remediation.series import Floats, Matrix
from remediation.series import fingerprint as fingerprint_of
from remediation.standings import finite, judged_series, missing
from remediation.states import Verdict
from remediation.verify.recovery import Look

log = logging.getLogger(__name__)


def judge(rule: Rule, *, now: datetime) -> Verdicts:
    """The verdicts of all series of a rule. Raises ObserveError, ConfigurationError."""
    return judging.judge(Asked.of_rule(rule), now=now)[0]


def ask(incident: Incident, *, now: datetime) -> Look:
    """One look at the very condition of an incident, by the version of the rule that fired. Never raises: whatever
    goes wrong is an unknown verdict with its reason."""
    rule = incident.rule_version.as_rule()
    rule.source = incident.rule.source
    at = now.timestamp()
    try:
        asked = Asked.of_rule(rule)
        if asked.detector.source == "alerts":
            with asking(rule.source, now=now):
                alerts.pull(rule.source, client_for(rule.source), now=now)
        verdicts, matrix = judging.judge(asked, now=now)
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
