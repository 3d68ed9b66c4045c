"""From verdicts to episodes: which incidents an evaluation opens, moves on and ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from remediation.detect.base import Verdicts
from remediation.doorbell import ring_after_commit
from remediation.exceptions import Conflict
from remediation.models import (
    HOMEOSTAT,
    Decision,
    Incident,
    Prepared,
    Remediation,
    Rule,
    RuleVersion,
    SeriesState,
    change,
    record,
    rewrite,
)
from remediation.opening import Opening, measured
from remediation.signals import moving
from remediation.standings import (
    BUSY,
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
FEW = 200
ENDED_AT_ONCE = 50
"""Incidents that end in one transaction."""
_open_named = Prepared(
    lambda given: (
        Incident.objects.filter(rule=given("rule"), fingerprint__in=given("names"))
        .exclude(state=IncidentState.RESOLVED)
        .select_related("rule")
        .order_by("pk")
    )
)
_states_named = Prepared(
    lambda given: SeriesState.objects.filter(rule=given("rule"), fingerprint__in=given("names")).order_by("pk")
)
MEASURED = ("verdict", "value", "score", "lower", "upper", "reason", "judged_at")


def take_in(rule: Rule, verdicts: Verdicts | None, *, why_not: str, now: datetime, every_s: float = REFRESH_S) -> Tally:
    """Write what an evaluation came to: series states and incidents.

    verdicts None means that the source gave no answer: every series the rule knows is unknown, because of `why_not`.
    every_s: how often a series that stays well is written. States and what opens are one transaction; what ends does
    so in further ones, so that the end of a storm does not keep everybody else from writing.
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
        still_open, over = _write_incidents(rule, known, judged, now=now)
    _end(over, now=now)
    verdict_list = [one.verdict for one in judged.values()]
    return Tally(
        series=len(judged),
        bad=verdict_list.count(Verdict.BAD),
        unknown=verdict_list.count(Verdict.UNKNOWN),
        changed=changed,
        settled="" if verdicts is None else _settled(rule, known, verdicts, still_open=still_open),
    )


def take_in_bad(rule: Rule, verdicts: Verdicts, *, series: int, settled: str, now: datetime) -> Tally:
    """As take_in, where these are the bad series, all others are well, and were so before. series: how many there are
    in all; settled: how that was named."""
    judged = judged_series(verdicts)
    with transaction.atomic():
        rows = SeriesState.objects.filter(rule=rule, fingerprint__in=list(judged))
        known = {row.fingerprint: row for row in rows}
        changed = write_states(rule, known, judged, now=now)
        _write_incidents(rule, known, judged, now=now)
    return Tally(series=series, bad=len(judged), unknown=0, changed=changed, settled=settled.removesuffix(BUSY) + BUSY)


def take_in_some(rule: Rule, verdicts: Verdicts, *, now: datetime) -> Tally:
    """As take_in, where these are some of the series, and nothing was asked about the others. The counts are by how
    much there is more of each."""
    judged = judged_series(verdicts)
    with transaction.atomic():
        known = {row.fingerprint: row for row in _states_named.all(rule=rule.pk, names=list(judged))}
        before = Counter(row.verdict for row in known.values())
        new = len(judged) - len(known)
        changed = write_states(rule, known, judged, now=now)
        _, over = _write_incidents(rule, known, judged, now=now)
    _end(over, now=now)
    after = Counter(one.verdict for one in judged.values())
    return Tally(
        series=new,
        bad=after[Verdict.BAD] - before[Verdict.BAD],
        unknown=after[Verdict.UNKNOWN] - before[Verdict.UNKNOWN],
        changed=changed,
    )


def _settled(rule: Rule, states: dict[str, SeriesState], verdicts: Verdicts, *, still_open: int) -> str:
    """The name of this very outcome, so that it is known when it is seen again."""
    if any(row.verdict == Verdict.UNKNOWN for row in states.values()):
        return ""
    busy = still_open > 0 or any(row.phase != Phase.OK or row.verdict != Verdict.OK for row in states.values())
    return settled_name(rule.version, verdicts, known=states, busy=busy)


def _write_incidents(
    rule: Rule, states: dict[str, SeriesState], judged: dict[str, Judged], *, now: datetime
) -> tuple[int, list[tuple[Incident, str]]]:
    """Open, fire and update. Unknown verdicts change no phase, so they reach none of these but the update. Returns how
    many stay open, and which are over, with the reason."""
    rows: Iterable[Incident]
    if len(judged) < FEW:  # of a storm's incidents those that this is about
        rows = _open_named.all(rule=rule.pk, names=list(judged))
    else:
        rows = Incident.objects.filter(rule=rule).exclude(state=IncidentState.RESOLVED).select_related("rule")
    incidents = {row.fingerprint: row for row in rows}
    opening = Opening(rule, now)
    edited = []
    over = []
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
            over.append((incident, one.reason))
    rewrite(Incident, edited, MEASURED)
    if incidents:
        _adopt_version(opening.version, list(incidents.values()), now=now)
    opening.write()
    return len(opening.rows) + len(incidents) - len(over), over


def _end(over: list[tuple[Incident, str]], *, now: datetime) -> None:
    """What a crash in between leaves open ends at the next evaluation: its series is well."""
    for first in range(0, len(over), ENDED_AT_ONCE):
        with transaction.atomic():
            for incident, reason in over[first : first + ENDED_AT_ONCE]:
                resolve(incident, now=now, reason=reason)


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


def _fire(incident: Incident, *, now: datetime) -> None:
    if change(incident, IncidentState.FIRING, now=now, reason=incident.reason, fired_at=now, decide_at=now):
        ring_after_commit("reconcile", incident_id=incident.pk)


def _take_over(incident: Incident, one: Judged, *, seldom: bool, now: datetime) -> bool:
    """Put a verdict into an incident that is open. Returns whether it has to be written."""
    changed = incident.verdict != one.verdict
    age = (now - incident.judged_at).total_seconds() if incident.judged_at else REFRESH_S
    if seldom and not changed and 0 <= age < REFRESH_S:
        return False
    for name, value in (measured(one) | {"judged_at": now}).items():
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


def connect() -> None:
    moving.connect(_on_end, dispatch_uid="remediation.episodes")


def _on_end(sender: object, *, row: Any, to: str, now: datetime, **_: object) -> None:
    """A remediation that outlives its incident completes its record in the transaction that ends it: nobody looks at
    what is over again, and the bell may be lost."""
    if not isinstance(row, Remediation) or to in REMEDIATION_LIVE:
        return
    incident = Incident.objects.get(pk=row.incident_id)
    if incident.state == IncidentState.RESOLVED:
        close_decision(incident, now=now)


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
        raise Conflict(_("It is over already."))
    if watched and incident.verdict != Verdict.UNKNOWN:
        raise Conflict(_("Its condition can be seen and is not over; closed by hand it would open again at once."))
    with transaction.atomic():
        why = f"closed by hand: {reason}" if reason else "closed by hand"
        if not resolve(incident, now=now, reason=why, actor=by):
            raise Conflict(_("Somebody or something was quicker: it is over already."))
        SeriesState.objects.filter(rule=incident.rule, fingerprint=incident.fingerprint).delete()
