"""From a firing incident to a plan, or to a record of why nothing is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from remediation.decide import plan as plans
from remediation.decide.again import was_asked
from remediation.decide.ladder import Rung, Stop, next_rung
from remediation.decide.match import Match, choose_playbook, select_targets
from remediation.decide.others import other_conditions
from remediation.decide.rollout import batches, in_order
from remediation.doorbell import ring_after_commit
from remediation.exceptions import ConfigurationError, HomeostatError
from remediation.models import (
    Decision,
    Incident,
    Place,
    Playbook,
    Prepared,
    PreparedUpdate,
    Remediation,
    RemediationTarget,
    SeriesState,
    Step,
    Target,
    change,
    record,
)
from remediation.states import REMEDIATION_LIVE, IncidentState, Outcome, RemediationState, Verdict
from remediation.targets.base import Call
from remediation.trust import autonomy_for
from remediation.verify.relapse import note_relapse

LOOK_AGAIN = timedelta(seconds=5)
"""When an incident that waits for something (an attached repair, an unknown verdict) is looked at again."""
UNTOUCHED_AGAIN = timedelta(seconds=5)
"""How long a runtime that refused, or could not be looked at, is left alone."""
DECIDES_WITHIN = timedelta(seconds=30)
"""A decision that is not written by then is taken again by whoever comes next."""
UNSEEN_FOR = timedelta(minutes=5)
"""An incident that nobody can see for longer than this is for a person."""
LONGEST_WAIT = timedelta(minutes=5)
"""The longest wait that is written here. One that is longer comes from a clock that was since set back."""
UNSERVED_AGAIN = timedelta(seconds=60)
"""When an incident that nothing serves is: a playbook or a target may have been added meanwhile."""


_live = Prepared(
    lambda given: Remediation.objects.filter(incident=given("incident"), state__in=REMEDIATION_LIVE).order_by("pk")[:1]
)
_playbooks = Prepared(lambda given: Playbook.objects.filter(enabled=True).order_by("-priority", "pk"))
_attempts = Prepared(
    lambda given: Remediation.objects.filter(incident=given("incident"), playbook=given("playbook")).order_by("pk")
)
_steps = Prepared(lambda given: Step.objects.filter(playbook=given("playbook")).order_by("position"))
_targets = Prepared(
    lambda given: Target.objects.filter(service=given("service")).select_related("service").order_by("name", "pk")
)
_take_on = PreparedUpdate(
    lambda given: Incident.objects.filter(
        pk=given("pk"), state=IncidentState.FIRING, needs_person=False, decide_at=given("due")
    ),
    decide_at=Place("until"),
)
_next_look = PreparedUpdate(lambda given: Incident.objects.filter(pk=given("pk")), decide_at=Place("decide_at"))
_decision = Prepared(lambda given: Decision.objects.filter(incident=given("incident")))


@dataclass(frozen=True, kw_only=True)
class Case:
    """An incident with what was found out about it so far."""

    incident: Incident
    match: Match
    now: datetime


def decide(incident: Incident, *, now: datetime) -> None:
    """One decision about one firing incident without a live remediation. Leaves a decision record either way."""
    if not _mine(incident, now=now):
        return
    note_relapse(incident, now=now)
    match = choose_playbook(incident, _playbooks.all())
    case = Case(incident=incident, match=match, now=now)
    unseen = _unseen(incident, now=now)
    if unseen:
        call_person(incident, unseen, now=now)
    elif match.playbook is None:
        _did_nothing(
            case, f"Did nothing: no playbook serves {incident.rule.name}. {other_conditions(incident)}".strip()
        )
    else:
        _climb(case, match.playbook)


def _mine(incident: Incident, *, now: datetime) -> bool:
    """Claim this decision by compare-and-set: looking at targets takes time, and whoever rings meanwhile must not
    decide as well. The claim runs out by itself, in case this process does not live to the end of it."""
    due = incident.decide_at
    if due is None or now < due <= now + LONGEST_WAIT:
        return False
    return bool(_take_on.run(pk=incident.pk, due=due, until=now + DECIDES_WITHIN))


def _unseen(incident: Incident, *, now: datetime) -> str:
    """Why nothing will ever see the end of this incident; empty while something may."""
    if not (incident.rule.enabled and incident.rule.source.enabled):
        return "Its rule is off, so nothing sees its end. Switch it on, or close this by hand."
    if incident.verdict != Verdict.UNKNOWN:
        return ""
    state = SeriesState.objects.filter(rule_id=incident.rule_id, fingerprint=incident.fingerprint).first()
    if state is not None and now.timestamp() - state.verdict_since < UNSEEN_FOR.total_seconds():
        return ""
    minutes = UNSEEN_FOR.total_seconds() / 60
    return f"Unknown for over {minutes:.0f} min: {incident.reason}. If it is gone, close this by hand."


def _climb(case: Case, playbook: Playbook) -> None:
    """The next rung of the playbook's ladder, when there is one and the condition is bad now."""
    incident, now = case.incident, case.now
    past = _attempts.all(incident=incident.pk, playbook=playbook.pk)
    steps = _steps.all(playbook=playbook.pk)
    rung = next_rung(steps, past, bad_again=_bad_again(incident, past), asked_again=was_asked(past))
    if isinstance(rung, Stop):
        _stop(case, rung, past)
    elif incident.verdict != Verdict.BAD:  # unknown, or on its way to being over: neither is a reason to act
        _look_again(incident, now=now)
    elif past and past[-1].state == RemediationState.FAILED and now - past[-1].state_since < UNTOUCHED_AGAIN:
        _look_again(incident, after=UNTOUCHED_AGAIN - (now - past[-1].state_since), now=now)
    else:
        _take(case, playbook, rung)


def _bad_again(incident: Incident, past: Sequence[Remediation]) -> bool:
    if not past or past[-1].ended_at is None or incident.judged_at is None:
        return False
    return incident.verdict == Verdict.BAD and incident.judged_at > past[-1].ended_at


def _take(case: Case, playbook: Playbook, rung: Rung) -> None:
    """Plan a rung: select, look at the targets, write the plan."""
    incident = case.incident
    step = rung.step
    candidates = _targets.all(service=incident.service_id)
    try:
        targets = select_targets(incident, candidates, select=step.select, at_most=step.max_targets)
    except ConfigurationError as error:
        _did_nothing(case, f"Did nothing: {error}.", person=f"{playbook}: {error}")
        return
    targets = in_order(targets, domain=step.domain)
    try:
        calls = plans.preview(step.verb, step.params, targets)
    except HomeostatError as error:
        _impossible(case, playbook, rung, targets, str(error))
        return
    _write_plan(case, playbook, rung, targets, calls)


def _write_plan(case: Case, playbook: Playbook, rung: Rung, targets: Sequence[Target], calls: Sequence[Call]) -> None:
    incident, now = case.incident, case.now
    try:
        with transaction.atomic():
            row = _create(case, playbook, rung, targets, calls)
            RemediationTarget.objects.bulk_create([RemediationTarget(remediation=row, target=t) for t in targets])
            record(row, RemediationState.PLANNED, now=now, reason=_why(incident), facts={"digest": row.digest})
            summary = f"{playbook} ({row.autonomy}): {calls[0].text}"
            conclude(case, Outcome.HELD, summary, plan=row.plan)
            _look_again(incident, after=None, now=now)
            ring_after_commit("advance", remediation_id=row.pk)
    except IntegrityError:
        _attach(case, targets)


def _why(incident: Incident) -> str:
    return f"{incident.rule.name}: {incident.reason}"


def _create(
    case: Case, playbook: Playbook, rung: Rung, targets: Sequence[Target], calls: Sequence[Call]
) -> Remediation:
    step = rung.step
    peers = [target for target in _targets.all(service=case.incident.service_id) if target.enabled]
    reached = batches(targets, peers, rollout=step.rollout, domain=step.domain, min_healthy=step.min_healthy)
    plan = plans.build(case.incident, playbook, step, targets, calls, batches=reached)
    autonomy, _ = autonomy_for(playbook, case.incident, now=case.now)
    return Remediation.objects.create(
        incident=case.incident,
        playbook=playbook,
        playbook_version=playbook.version,
        step=rung.step,
        position=rung.step.position,
        attempt=rung.attempt,
        verb=rung.step.verb,
        autonomy=autonomy,
        state_since=case.now,
        created_at=case.now,
        due_at=case.now,
        plan=plan,
        digest=plans.digest_of(plan),
        approvals_needed=rung.step.approvals,
    )


def _impossible(case: Case, playbook: Playbook, rung: Rung, targets: Sequence[Target], why: str) -> None:
    """A rung that cannot be planned is a failed attempt, so that the ladder goes on and the page says why."""
    now = case.now
    with transaction.atomic():
        row = _create(case, playbook, rung, targets, [])
        record(row, RemediationState.PLANNED, now=now, reason=_why(case.incident))
        change(row, RemediationState.FAILED, now=now, reason=f"could not be planned: {why}")
        conclude(case, Outcome.NOTHING, f"Could not plan {row.verb} of {', '.join(map(str, targets))}: {why}")
        ring_after_commit("reconcile", incident_id=case.incident.pk)


def _attach(case: Case, targets: Sequence[Target]) -> None:
    """Another remediation holds one of the targets: this incident waits for it."""
    live = (
        Remediation.objects.filter(holds__target__in=targets, holds__live=True).exclude(incident=case.incident).first()
    )
    if live is not None:
        summary = (
            f"Waits: {live.verb} of {live.target_names} (remediation {live.pk}) is already under way for this target."
        )
        conclude(case, Outcome.ATTACHED, summary, attached_to=live.pk)
    _look_again(case.incident, now=case.now)


def _stop(case: Case, stop: Stop, past: Sequence[Remediation]) -> None:
    incident = case.incident
    if stop.person:
        call_person(incident, stop.reason, now=case.now)
        if not past:
            conclude(case, Outcome.NOTHING, f"Did nothing: {stop.reason}.")
    if past and past[-1].state == RemediationState.SHADOWED:
        conclude(case, Outcome.SHADOWED, f"Shadow: would have done {past[-1].plan['calls'][0]['text']}")
        _look_again(incident, after=None, now=case.now)
    if not stop.person and not (past and past[-1].state == RemediationState.SHADOWED):
        _look_again(incident, now=case.now)


def _did_nothing(case: Case, summary: str, *, person: str = "") -> None:
    with transaction.atomic():
        conclude(case, Outcome.NOTHING, summary)
        _look_again(case.incident, after=UNSERVED_AGAIN, now=case.now)
        if person:
            call_person(case.incident, person, now=case.now)


def call_person(incident: Incident, why: str, *, now: datetime) -> None:
    """Nothing automatic will happen any more in this episode: somebody has to look."""
    with transaction.atomic():
        asked = Incident.objects.filter(pk=incident.pk, needs_person=False).exclude(state="resolved")
        if asked.update(needs_person=True, attention=why, decide_at=None):
            record(incident, "needs a person", now=now, reason=why)


def _look_again(incident: Incident, *, now: datetime, after: timedelta | None = LOOK_AGAIN) -> None:
    """When the sweep asks for another decision; never (None) where something else will."""
    _next_look.run(pk=incident.pk, decide_at=None if after is None else now + after)


def conclude(case: Case, outcome: Outcome, summary: str, **more: Any) -> None:
    """Write, or bring up to date, the one decision record of the episode."""
    incident = case.incident
    body = {
        "evidence": {"value": incident.value, "reason": incident.reason, "labels": incident.labels},
        "rule": {"name": incident.rule.name, "version": incident.rule_version.number},
        "playbooks": list(case.match.considered) or ["none fits"],
        **more,
    }
    values: dict[str, Any] = {"outcome": outcome, "summary": summary, "body": body, "at": case.now}
    before = _decision.first(incident=incident.pk)
    Decision.objects.bulk_create(  # or update, in one statement
        [Decision(incident=incident, **values)],
        update_conflicts=True,
        unique_fields=["incident"],
        update_fields=list(values),
    )
    if before is None or before.summary != summary:
        record(incident, f"decided: {outcome}", now=case.now, reason=summary)


def live_remediation(incident: Incident) -> Remediation | None:
    return _live.first(incident=incident.pk)
