"""Ask what a rule asks: of all its series now, of one series now, or over a stretch of history."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from remediation import judging, registry
from remediation.combination import OPEN, Combination, Wanted, is_combined
from remediation.detect.base import Verdicts
from remediation.detect.combine import Condition, Traffic
from remediation.doorbell import ring
from remediation.exceptions import ConfigurationError, HomeostatError, ObserveError, SourceFailed
from remediation.judging import Asked, asking
from remediation.models import Alert, Incident, Rule, SeriesState, Source
from remediation.observe import alerts
from remediation.observe.base import SeenAlert
from remediation.observe.clients import client_for
from remediation.observe.together import Found, together
from remediation.series import Labels, Matrix
from remediation.series import fingerprint as fingerprint_of
from remediation.standings import judged_series, missing
from remediation.states import Verdict
from remediation.verify.recovery import Look, signed_score

log = logging.getLogger(__name__)


def judge(rule: Rule, *, now: datetime) -> Verdicts:
    """The verdicts of all series of a rule. Raises ObserveError, ConfigurationError."""
    if not is_combined(rule):
        return judging.judge(Asked.of_rule(rule), now=now, at_slot=True)[0]
    rows = SeriesState.objects.filter(rule=rule, phase__in=OPEN)
    return _combined(rule, now=now, known=list(rows.values_list("labels", flat=True)), at_slot=True)[0]


def _judge_one(rule: Rule, series: Labels, *, now: datetime) -> tuple[Verdicts, float]:
    """The verdicts for a look at one series, and how far back what they rest on may reach (seconds)."""
    if is_combined(rule):
        return _combined(rule, now=now, known=[series])
    asked = Asked.of_rule(rule)
    if asked.detector.source == "alerts":
        asked = replace(asked, only=frozenset({fingerprint_of(series)}))
    verdicts, matrix = judging.judge(asked, now=now)
    return verdicts, matrix.reach_s


def _combined(rule: Rule, *, now: datetime, known: Sequence[Labels], at_slot: bool = False) -> tuple[Verdicts, float]:
    """The verdicts of all conditions together, and the longest reach of one. A condition that cannot be asked is
    unknown. Raises ObserveError, ConfigurationError where none can be, or where the rule's own cannot and no series is
    known that the others could judge."""
    combination = Combination.of(rule)
    answers = _Answers(now, at_slot)
    found: list[Condition] = []
    for wanted in combination.wanted:
        found.append(answers.of(wanted))
        if not known and found[0].verdicts is None:
            break
    if all(one.verdicts is None for one in found):
        raise answers.errors[0]
    verdicts = combination.come_to(
        found, lambda: answers.traffic(combination), now=now.timestamp(), known=[dict(one) for one in known]
    )
    return verdicts, answers.reach_s


class _Answers:
    """What conditions say at one time, one after the other."""

    def __init__(self, now: datetime, at_slot: bool) -> None:
        self.now, self.at_slot = now, at_slot
        self.reach_s = 0.0
        self.errors: list[Exception] = []

    def of(self, wanted: Wanted) -> Condition:
        try:
            verdicts, matrix = self._judged(wanted.asked())
        except Exception as error:  # noqa: BLE001 - whatever one condition does, the others may still decide
            return Condition(name=wanted.name, verdicts=None, why=self._noted(error, wanted.name))
        self.reach_s = max(self.reach_s, matrix.reach_s)
        return Condition(name=wanted.name, verdicts=verdicts)

    def traffic(self, combination: Combination) -> Traffic:
        """Only bad rests on it, so it does not count towards the reach."""
        if combination.traffic is None:
            return Traffic(minimum=0.0)
        try:
            return combination.traffic_in(self._judged(combination.traffic)[1])
        except Exception as error:  # noqa: BLE001 - as above: then nobody knows the traffic
            return Traffic(minimum=combination.minimum_traffic, why=self._noted(error, "traffic"))

    def _noted(self, error: Exception, name: str) -> str:
        """In plain words."""
        if not isinstance(error, HomeostatError):
            log.error("condition %s cannot be judged", name, exc_info=error)
        self.errors.append(error)
        return plain(error)

    def _judged(self, asked: Asked) -> tuple[Verdicts, Matrix]:
        """A source that failed twice in one evaluation is not waited for a third time."""
        failures = [error for error in self.errors if isinstance(error, SourceFailed)]
        if len(failures) > 1 and asked.detector.source == "samples":
            raise failures[-1]
        return judging.judge(asked, now=self.now, at_slot=self.at_slot)


def ask(incident: Incident, *, now: datetime) -> Look:
    """One look at the very condition of an incident, by the version of the rule that fired. Never raises: whatever
    goes wrong is an unknown verdict with its reason."""
    rule = incident.rule_version.as_rule()
    rule.source = incident.rule.source
    at = now.timestamp()
    try:
        _pull_alerts(rule, incident.fingerprint, now=now)
        verdicts, reach_s = _judge_one(rule, incident.series_labels, now=now)
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
        reach_s=reach_s,
        reason=judged.reason,
        score=signed_score(judged.score, judged.value, judged.lower),
    )


def _pull_alerts(rule: Rule, name: str, *, now: datetime) -> None:
    """Where a condition of the rule judges alerts: what the source says of the one with this fingerprint. Raises
    ObserveError, unless there are others that may decide: a pull that failed is in the source's status, which makes
    the alerts unknown."""
    names = [rule.detector, *(one.get("detector") for one in rule.conditions)]
    found = [registry.detectors().get(name) for name in names]
    if not any(detector and detector.source == "alerts" for detector in found):
        return
    try:
        shown = _together("shown", rule.source, partial(_shown, rule.source, now=now)).get(name)
        if shown is not None and not rule.source.alertmanager_url:
            alerts.confirm(rule.source, name, shown, now=now)
        else:  # it may be over, or known elsewhere
            _together("all", rule.source, partial(_pull, rule.source, now=now))
    except TimeoutError:
        raise ObserveError("others wait for the source's alerts already; it is slow or hangs") from None
    except ObserveError:
        if not rule.conditions:
            raise


def _together(what: str, source: Source, ask: Callable[[], Found]) -> Found:
    return together((what, source.pk), ask, wait_s=2 * source.timeout_s)


def _shown(source: Source, *, now: datetime) -> dict[str, SeenAlert]:
    with asking(source, now=now):
        return alerts.shown(source, client_for(source))


def _pull(source: Source, *, now: datetime) -> None:
    with asking(source, now=now):
        changed = alerts.pull(source, client_for(source), now=now)
    _announce(source, [row for row in changed if row.status == alerts.FIRING])


def _announce(source: Source, begun: Sequence[Alert]) -> None:
    """A look for the sake of one alert that finds others: their own message may come later, and changes nothing."""
    if begun:
        ring("alerts_arrived", source_id=source.pk, alert_ids=[row.pk for row in begun])


def plain(error: Exception) -> str:
    """What to tell people about an error: its own words when it is ours, its kind otherwise."""
    return (
        str(error)
        if isinstance(error, (ObserveError, ConfigurationError))
        else f"internal error ({type(error).__name__})"
    )
