"""From verdicts to episodes: which incidents an evaluation opens, moves on and ends."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import transaction

from remediation import texts
from remediation.decide.match import service_of
from remediation.detect.base import Verdicts
from remediation.doorbell import ring_after_commit
from remediation.exceptions import Conflict
from remediation.models import (
    HOMEOSTAT,
    Decision,
    Incident,
    Remediation,
    Rule,
    RuleVersion,
    SeriesState,
    Service,
    change,
    record,
    record_all,
)
from remediation.standings import (
    REFRESH_S,
    Judged,
    Tally,
    forget_replaced,
    forget_well,
    judged_series,
    missing,
    settled_name,
    write_states,
)
from remediation.states import REMEDIATION_LIVE, IncidentState, Outcome, Phase, RemediationState, Verdict

MANY = 50
"""With more open incidents of one rule than this, what has not changed is written every REFRESH_S only."""
MEASURED = ("verdict", "value", "score", "lower", "upper", "reason", "judged_at")


def take_in(rule: Rule, verdicts: Verdicts | None, *, why_not: str, now: datetime, every_s: float = REFRESH_S) -> Tally:
    """Write what an evaluation came to: series states and incidents, in one transaction.

    verdicts None means that the source gave no answer: every series the rule knows is unknown, because of `why_not`.
    every_s: how often a series that stays well is written.
    """
    judged = judged_series(verdicts) if verdicts is not None else {}
    with transaction.atomic():
        known = {row.fingerprint: row for row in SeriesState.objects.filter(rule=rule)}
        forget_replaced(rule, known, judged, now=now)
        forget_well(known, judged, verdicts, now=now)
        for name, row in known.items():
            if name not in judged:
                judged[name] = missing(row.labels, verdicts, why_not=why_not)
        changed = write_states(rule, known, judged, now=now, every_s=every_s)
        still_open = _write_incidents(rule, known, judged, now=now)
    verdict_list = [one.verdict for one in judged.values()]
    return Tally(
        series=len(judged),
        bad=verdict_list.count(Verdict.BAD),
        unknown=verdict_list.count(Verdict.UNKNOWN),
        changed=changed,
        settled="" if still_open or verdicts is None else _settled(rule, known, verdicts),
    )


def _settled(rule: Rule, states: dict[str, SeriesState], verdicts: Verdicts) -> str:
    """The name of this very outcome when all is well, so that it is known when it is seen again."""
    well = all(row.phase == Phase.OK and row.verdict == Verdict.OK for row in states.values())
    return settled_name(rule.version, verdicts, known=states) if well else ""


def _write_incidents(rule: Rule, states: dict[str, SeriesState], judged: dict[str, Judged], *, now: datetime) -> int:
    """Open, fire, update and resolve. Unknown verdicts change no phase, so they reach none of these but the update.
    Returns how many are open afterwards."""
    rows = Incident.objects.filter(rule=rule).exclude(state=IncidentState.RESOLVED).select_related("rule")
    incidents = {row.fingerprint: row for row in rows}
    opening = _Opening(rule, now)
    edited = []
    for name, one in judged.items():
        phase = Phase(states[name].phase)
        incident = incidents.get(name)
        if incident is None:
            if phase in (Phase.PENDING, Phase.FIRING) and one.verdict == Verdict.BAD:
                opening.add(name, one, phase=phase)
            continue
        if _take_over(incident, one, seldom=len(incidents) > MANY, now=now):
            edited.append(incident)
        if phase == Phase.FIRING and incident.state == IncidentState.PENDING:
            _fire(incident, now=now)
        elif phase == Phase.OK:
            resolve(incident, now=now, reason=one.reason)
    Incident.objects.bulk_update(edited, MEASURED, batch_size=200)
    if incidents:
        _adopt_version(opening.version, list(incidents.values()), now=now)
    opening.write()
    return len(opening.rows) + sum(row.state != IncidentState.RESOLVED for row in incidents.values())


def _adopt_version(version: RuleVersion, incidents: list[Incident], *, now: datetime) -> None:
    """An edited rule judges what is open as well, once nothing that was planned by the older version is in flight:
    asked by one version and judged by another, an incident would never come to an end."""
    older = [row for row in incidents if row.rule_version_id != version.pk and row.state != IncidentState.RESOLVED]
    if not older:
        return
    busy = Remediation.objects.filter(incident__in=older, state__in=REMEDIATION_LIVE)
    in_flight = set(busy.values_list("incident_id", flat=True))
    for incident in older:
        if incident.pk not in in_flight:
            Incident.objects.filter(pk=incident.pk).update(rule_version=version)
            reason = f"the rule was edited; judged by version {version.number} from now on"
            record(incident, "rule edited", now=now, reason=reason)


class _Opening:
    """The incidents that one evaluation opens: a storm of them costs a handful of statements."""

    def __init__(self, rule: Rule, now: datetime) -> None:
        self.rule, self.now = rule, now
        self.rows: list[Incident] = []

    @cached_property
    def version(self) -> RuleVersion:
        return self.rule.versions.first() or self.rule.keep_version(author=HOMEOSTAT, now=self.now)

    @cached_property
    def services(self) -> list[Service]:
        return list(Service.objects.all())

    def add(self, name: str, one: Judged, *, phase: Phase) -> None:
        rule, now = self.rule, self.now
        own = {name: texts.fill(text, one.labels, one.value) for name, text in rule.labels.items()}
        service = rule.service or service_of({**one.labels, **own}, self.services)
        # Two rules may stand for one alert, as in files of Prometheus: then both say so in their labels.
        labels = {**one.labels, "alertname": rule.name, **own, "severity": rule.severity}
        if service is not None:
            labels |= {"service": service.name} | ({"team": service.team} if service.team else {})
        firing = phase == Phase.FIRING
        self.rows.append(
            Incident(
                rule=rule,
                rule_version=self.version,
                service=service,
                fingerprint=name,
                series_labels=one.labels,
                labels=labels,
                annotations=rule.annotations,
                severity=rule.severity,
                state=IncidentState.FIRING if firing else IncidentState.PENDING,
                state_since=now,
                opened_at=now,
                judged_at=now,
                fired_at=now if firing else None,
                decide_at=now if firing else None,
                **_measured(one),
            )
        )

    def write(self) -> None:
        """Each incident with its first lines of history: pending, and firing where it fires at once."""
        lines: list[tuple[Incident, str, str]] = []
        for row in Incident.objects.bulk_create(self.rows, batch_size=200):
            lines.append((row, IncidentState.PENDING, ""))
            if row.state == IncidentState.FIRING:
                lines.append((row, IncidentState.FIRING, IncidentState.PENDING))
                ring_after_commit("reconcile", incident_id=row.pk)
        record_all(lines, now=self.now)


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


def _take_over(incident: Incident, one: Judged, *, seldom: bool, now: datetime) -> bool:
    """Put a verdict into an incident that is open. Returns whether it has to be written."""
    changed = incident.verdict != one.verdict
    age = (now - incident.judged_at).total_seconds() if incident.judged_at else REFRESH_S
    if seldom and not changed and 0 <= age < REFRESH_S:
        return False
    for name, value in (_measured(one) | {"judged_at": now}).items():
        setattr(incident, name, value)
    if changed:
        record(incident, f"verdict {one.verdict}", now=now, reason=one.reason)
    return True


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
        decision.summary = f"Did nothing: it ended by itself{_what_held(incident)}. Planned was: {decision.summary}"
    decision.closed_at = decision.closed_at or now
    decision.save(update_fields=["outcome", "summary", "closed_at"])


def _what_held(incident: Incident) -> str:
    """What the last plan waited for, as a part of a sentence."""
    last = incident.remediations.order_by("pk").last()
    if last is None:
        return ""
    refused = [f"{one['label']}: {one['reason']}" for one in last.guards if not one["passed"]]
    if refused:
        return f" while it was held ({'; '.join(refused)})"
    asked = incident.transitions.filter(kind="remediation", object_id=last.pk, to_state="awaiting_approval").exists()
    return " while a person was asked" if asked else ""


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
