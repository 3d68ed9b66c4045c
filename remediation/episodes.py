"""From verdicts to episodes: where each series stands, and which incidents that opens and ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from remediation import texts
from remediation.conf import FORGET_AFTER_S
from remediation.decide.match import service_of
from remediation.detect.base import Verdicts
from remediation.detect.phase import Standing, advance
from remediation.doorbell import ring_after_commit
from remediation.exceptions import Conflict
from remediation.models import (
    HOMEOSTAT,
    Decision,
    Incident,
    Remediation,
    Rule,
    SeriesState,
    Service,
    change,
    record,
)
from remediation.series import fingerprint
from remediation.states import Code, IncidentState, Outcome, Phase, RemediationState, Verdict

REFRESH_S = 10.0
"""A series whose verdict does not change is written again after this many seconds, so that its value stays current."""

STATE_FIELDS = (
    *("labels", "phase", "phase_since", "verdict", "verdict_since", "judged_at"),
    *("value", "score", "lower", "upper", "reason"),
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One series, judged."""

    labels: dict[str, str]
    verdict: Verdict
    value: float | None = None
    score: float | None = None
    lower: float | None = None
    upper: float | None = None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Tally:
    series: int
    bad: int
    unknown: int
    changed: bool


def finite(number: float) -> float | None:
    """A number that a database and JSON can hold."""
    return float(number) if math.isfinite(number) else None


def judged_series(verdicts: Verdicts) -> dict[str, Judged]:
    """By fingerprint."""
    return {
        fingerprint(labels): Judged(
            labels=dict(labels),
            verdict=Code(int(verdicts.codes[i])).verdict,
            value=finite(verdicts.values[i]),
            score=finite(verdicts.scores[i]),
            lower=finite(verdicts.lower[i]),
            upper=finite(verdicts.upper[i]),
            reason=verdicts.reasons[i],
        )
        for i, labels in enumerate(verdicts.labels)
    }


def take_in(rule: Rule, verdicts: Verdicts | None, *, why_not: str, now: datetime) -> Tally:
    """Write what an evaluation came to: series states and incidents, in one transaction.

    verdicts None means that the source gave no answer: every series the rule knows is unknown, because of `why_not`.
    """
    judged = judged_series(verdicts) if verdicts is not None else {}
    with transaction.atomic():
        known = {row.fingerprint: row for row in SeriesState.objects.filter(rule=rule)}
        _forget_replaced(rule, known, judged, now=now)
        _forget(known, judged, verdicts, now=now)
        for name, row in known.items():
            if name not in judged:
                judged[name] = missing(row.labels, verdicts, why_not=why_not)
        changed = _write_states(rule, known, judged, now=now)
        _write_incidents(rule, known, judged, now=now)
    verdict_list = [one.verdict for one in judged.values()]
    return Tally(
        series=len(judged),
        bad=verdict_list.count(Verdict.BAD),
        unknown=verdict_list.count(Verdict.UNKNOWN),
        changed=changed,
    )


def missing(labels: dict[str, str], verdicts: Verdicts | None, *, why_not: str = "") -> Judged:
    """A series that was judged before and is not in this answer: unknown, unless the detector said otherwise."""
    if verdicts is None:
        return Judged(labels=labels, verdict=Verdict.UNKNOWN, reason=why_not)
    return Judged(labels=labels, verdict=Code(verdicts.missing).verdict, reason=verdicts.missing_reason)


def _forget(
    known: dict[str, SeriesState], judged: dict[str, Judged], verdicts: Verdicts | None, *, now: datetime
) -> None:
    """Drop series that are well, and that are missing because they are well: otherwise each one that was ever bad
    would be written for ever."""
    if verdicts is None or verdicts.missing != Code.OK:
        return
    at = now.timestamp()
    gone = [row for name, row in known.items() if name not in judged and row.phase == Phase.OK]
    gone = [row for row in gone if row.verdict == Verdict.OK and at - row.verdict_since >= FORGET_AFTER_S]
    SeriesState.objects.filter(pk__in=[row.pk for row in gone]).delete()
    for row in gone:
        del known[row.fingerprint]


def _forget_replaced(rule: Rule, known: dict[str, SeriesState], judged: dict[str, Judged], *, now: datetime) -> None:
    """Drop what was replaced: instances come and go, and nobody should look at `unknown` for ever because of one that
    went. A rule that sees nothing at all forgets nothing, since then it is the eyes that are gone."""
    if not any(one.verdict != Verdict.UNKNOWN for one in judged.values()):
        return
    before = now.timestamp() - FORGET_AFTER_S
    gone = [
        row.fingerprint
        for name, row in known.items()
        if name not in judged and row.verdict == Verdict.UNKNOWN and row.verdict_since < before
    ]
    if not gone:
        return
    incidents = Incident.objects.filter(rule=rule, fingerprint__in=gone).exclude(state=IncidentState.RESOLVED)
    kept = set(incidents.values_list("fingerprint", flat=True))
    for name in set(gone) - kept:
        known.pop(name).delete()


def _write_states(rule: Rule, known: dict[str, SeriesState], judged: dict[str, Judged], *, now: datetime) -> bool:
    """Advance every series and write those that changed or are due for a refresh; `known` holds all of them after."""
    at = now.timestamp()
    new: list[SeriesState] = []
    edited: list[SeriesState] = []
    changed = False
    for name, one in judged.items():
        row = known.get(name)
        if row is None:
            row = SeriesState(rule=rule, fingerprint=name)
            standing = None
            new.append(row)
        else:
            standing = Standing(phase=Phase(row.phase), since=row.phase_since, judged_at=row.judged_at)
        after = advance(standing, one.verdict, now=at, for_s=rule.for_s, keep_firing_for_s=rule.keep_firing_for_s)
        moved = standing is None or after.phase != row.phase or one.verdict != row.verdict
        if standing is not None and (moved or one.verdict != Verdict.OK or at - row.judged_at >= REFRESH_S):
            edited.append(row)
        elif standing is not None:
            continue
        changed = changed or moved
        if one.verdict != row.verdict or not row.verdict_since:
            row.verdict_since = at
        row.labels, row.phase, row.phase_since = one.labels, after.phase, after.since
        row.verdict, row.judged_at, row.reason = one.verdict, at, one.reason
        if one.verdict != Verdict.UNKNOWN:
            row.value, row.score, row.lower, row.upper = one.value, one.score, one.lower, one.upper
        known[name] = row
    SeriesState.objects.bulk_create(new)
    SeriesState.objects.bulk_update(edited, STATE_FIELDS)
    return changed


def _write_incidents(rule: Rule, states: dict[str, SeriesState], judged: dict[str, Judged], *, now: datetime) -> None:
    """Open, fire, update and resolve. Unknown verdicts change no phase, so they reach none of these but the update."""
    incidents = {
        row.fingerprint: row
        for row in Incident.objects.filter(rule=rule).exclude(state=IncidentState.RESOLVED).select_related("rule")
    }
    for name, one in judged.items():
        phase = Phase(states[name].phase)
        incident = incidents.get(name)
        if incident is None:
            if phase in (Phase.PENDING, Phase.FIRING) and one.verdict == Verdict.BAD:
                incident = _open(rule, name, one, phase=phase, now=now)
            continue
        _update(incident, one, now=now)
        if phase == Phase.FIRING and incident.state == IncidentState.PENDING:
            _fire(incident, now=now)
        elif phase == Phase.OK:
            resolve(incident, now=now, reason=one.reason)


def _open(rule: Rule, name: str, one: Judged, *, phase: Phase, now: datetime) -> Incident:
    own = {name: texts.fill(text, one.labels, one.value) for name, text in rule.labels.items()}
    service = rule.service or service_of({**one.labels, **own}, Service.objects.all())
    # Two rules may stand for one alert, as in files of Prometheus: then both say so in their labels.
    labels = {**one.labels, "alertname": rule.name, **own, "severity": rule.severity}
    if service is not None:
        labels |= {"service": service.name} | ({"team": service.team} if service.team else {})
    version = rule.versions.first() or rule.keep_version(author="homeostat", now=now)
    incident = Incident.objects.create(
        rule=rule,
        rule_version=version,
        service=service,
        fingerprint=name,
        series_labels=one.labels,
        labels=labels,
        annotations=rule.annotations,
        severity=rule.severity,
        state=IncidentState.PENDING,
        state_since=now,
        opened_at=now,
        judged_at=now,
        **_measured(one),
    )
    record(incident, IncidentState.PENDING, now=now, reason=one.reason)
    if phase == Phase.FIRING:
        _fire(incident, now=now)
    return incident


def _fire(incident: Incident, *, now: datetime) -> None:
    if change(incident, IncidentState.FIRING, now=now, reason=incident.reason, fired_at=now, decide_at=now):
        ring_after_commit("reconcile", incident_id=incident.pk)


def _measured(one: Judged) -> dict[str, Any]:
    """What an incident keeps of a verdict: the numbers of the last bad one, so that it still says what was wrong."""
    if one.verdict != Verdict.BAD:
        return {"verdict": one.verdict, "reason": one.reason}
    return {
        "verdict": one.verdict,
        "value": one.value,
        "score": one.score,
        "lower": one.lower,
        "upper": one.upper,
        "reason": one.reason,
    }


def _update(incident: Incident, one: Judged, *, now: datetime) -> None:
    fields = _measured(one) | {"judged_at": now}
    Incident.objects.filter(pk=incident.pk).update(**fields)
    before = incident.verdict
    for name, value in fields.items():
        setattr(incident, name, value)
    if before != one.verdict:
        record(incident, f"verdict {one.verdict}", now=now, reason=one.reason)


def resolve(incident: Incident, *, now: datetime, reason: str, actor: str = HOMEOSTAT) -> bool:
    """End an episode and close its decision record."""
    done = change(
        incident,
        IncidentState.RESOLVED,
        now=now,
        reason=reason,
        actor=actor,
        resolved_at=now,
        needs_person=False,
        decide_at=None,
    )
    if done:
        close_decision(incident, now=now)
        ring_after_commit("reconcile", incident_id=incident.pk)
    return done


def close_decision(incident: Incident, *, now: datetime) -> None:
    """Every firing episode ends in one record, also when nobody got round to deciding. Written when the incident ends
    and once more when a remediation that outlived it does."""
    if incident.fired_at is None:
        return
    decision, _ = Decision.objects.get_or_create(
        incident=incident,
        defaults={
            "outcome": Outcome.NOTHING,
            "summary": "Did nothing: it was over before anything was decided.",
            "at": now,
        },
    )
    acted = incident.remediations.filter(effect_started_at__isnull=False).order_by("pk").last()
    if acted is not None:
        decision.outcome = Outcome.ACTED
        decision.summary = _what_was_done(acted, incident)
    elif decision.outcome == Outcome.HELD and decision.closed_at is None:
        decision.outcome = Outcome.NOTHING
        decision.summary = f"Did nothing: it ended by itself before {decision.summary}"
    decision.closed_at = decision.closed_at or now
    decision.save(update_fields=["outcome", "summary", "closed_at"])


def _what_was_done(acted: Remediation, incident: Incident) -> str:
    what = f"{acted.verb.capitalize()} of {acted.target_names}"
    if acted.live:
        return f"{what}; the proof is under way."
    took = ((incident.resolved_at or acted.state_since) - (incident.fired_at or incident.opened_at)).total_seconds()
    if acted.state == RemediationState.VERIFIED:
        return f"{what}, verified; the incident was over after {took:.0f} s."
    return f"{what} ended {acted.state.replace('_', ' ')}: {acted.reason}."


def close_by_hand(incident: Incident, *, by: str, reason: str, now: datetime) -> None:
    """A person ends what nothing can see the end of: its series is gone for good, or its rule is off.

    Raises Conflict while the condition can be seen and is not over, for it would open again at once.
    """
    watched = incident.rule.enabled and incident.rule.source.enabled
    if incident.state == IncidentState.RESOLVED:
        raise Conflict("It is over already.")
    if watched and incident.verdict != Verdict.UNKNOWN:
        raise Conflict("Its condition can be seen and is not over; closed by hand it would open again at once.")
    with transaction.atomic():
        why = f"closed by hand: {reason}" if reason else "closed by hand"
        if not resolve(incident, now=now, reason=why, actor=by):
            raise Conflict("Somebody or something was quicker: it is over already.")
        SeriesState.objects.filter(rule=incident.rule, fingerprint=incident.fingerprint).delete()
