"""The life of one remediation: gate, claim, effect, settle, verify."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from remediation import conf
from remediation.act import execution
from remediation.condition import ask
from remediation.decide import plan as plans
from remediation.decide.guards.base import Situation, ask_all, refusals
from remediation.deciding import call_person
from remediation.doorbell import ring_after_commit
from remediation.exceptions import HomeostatError
from remediation.failpoints import failpoint
from remediation.models import Approval, Remediation, Target, change
from remediation.models.transition import HOMEOSTAT
from remediation.states import BEFORE_EFFECT, Autonomy, IncidentState, Verdict
from remediation.states import RemediationState as R
from remediation.verify.recovery import Judgement, judge

PROBE_EVERY = timedelta(seconds=2)
PROBE_FOR = timedelta(seconds=60)
"""How long a probe is asked again while nobody can tell; then a person decides."""

WORKER = f"{socket.gethostname()}:{os.getpid()}"


def advance(row: Remediation, *, now: datetime) -> None:
    """Move a live remediation as far as it can go now. Safe to call at any time, any number of times."""
    if row.state in BEFORE_EFFECT and row.incident.state == IncidentState.RESOLVED:
        change(row, R.SELF_RECOVERED, now=now, reason="the condition ended before anything was done")
        return
    match R(row.state):
        case R.PLANNED if row.autonomy == Autonomy.SHADOW:
            _shadow(row, now=now)
        case R.PLANNED | R.GATED:
            _gate(row, now=now)
        case R.AWAITING_APPROVAL:
            _await(row, now=now)
        case R.READY:
            if _again_at(row, now + timedelta(seconds=conf.GATE_RECHECK_S), now=now):
                ring_after_commit("act", remediation_id=row.pk)
        case R.EXECUTING:
            _overdue(row, now=now)
        case R.UNKNOWN:
            _probe(row, now=now)
        case R.VERIFYING:
            _verify(row, now=now)
        case _:
            return


def _again_at(row: Remediation, at: datetime, *, now: datetime) -> bool:
    """Claim this look: of two that come at once, one moves `due_at` and goes on."""
    if row.due_at is not None and row.due_at > now:
        return False
    return bool(Remediation.objects.filter(pk=row.pk, state=row.state, due_at=row.due_at).update(due_at=at))


def _shadow(row: Remediation, *, now: datetime) -> None:
    calls = "; ".join(call["text"] for call in row.plan["calls"])
    if change(row, R.SHADOWED, now=now, reason=f"would have done: {calls}"):
        ring_after_commit("reconcile", incident_id=row.incident_id)


def _gate(row: Remediation, *, now: datetime) -> None:
    """Ask every guard; with none refusing go on to a person or to the worker."""
    answers = ask_all(Situation(now=now, incident=row.incident, remediation=row))
    refused = refusals(answers)
    if refused:
        _hold(row, answers, refused, now=now)
        return
    if row.autonomy == Autonomy.AUTO:
        if change(row, R.READY, now=now, reason="every guard lets it pass", guards=answers, due_at=now):
            ring_after_commit("act", remediation_id=row.pk)
        return
    if _approved(row):
        if change(row, R.AWAITING_APPROVAL, now=now, reason="approved before it was held", guards=answers, due_at=now):
            change(row, R.READY, now=now, reason="approved, and every guard lets it pass again")
            ring_after_commit("act", remediation_id=row.pk)
        return
    expires = row.expires_at or now + timedelta(seconds=row.step.approval_ttl_s if row.step else 900)
    change(row, R.AWAITING_APPROVAL, now=now, reason=_asks(row), guards=answers, expires_at=expires, due_at=expires)


def _asks(row: Remediation) -> str:
    people = "one person" if row.approvals_needed == 1 else f"{row.approvals_needed} people"
    return f"every guard lets it pass; {people} must approve"


def _approved(row: Remediation) -> bool:
    """Whether enough people signed exactly this plan."""
    given = row.approvals.filter(answer=Approval.Answer.APPROVE, digest=row.digest).count()
    return given >= row.approvals_needed


def _hold(row: Remediation, answers: list[dict[str, object]], refused: str, *, now: datetime) -> None:
    due = now + timedelta(seconds=conf.GATE_RECHECK_S)
    if row.state == R.GATED:
        Remediation.objects.filter(pk=row.pk, state=R.GATED).update(guards=answers, reason=refused, due_at=due)
    else:
        change(row, R.GATED, now=now, reason=refused, guards=answers, due_at=due)


def _await(row: Remediation, *, now: datetime) -> None:
    if row.expires_at is None or row.expires_at > now:
        return
    if change(row, R.EXPIRED, now=now, reason="nobody answered in time"):
        call_person(row.incident, f"{row} was not answered in time", now=now)


# --- the effect -------------------------------------------------------------------------------------------------------


def act(row: Remediation, *, now: datetime) -> None:
    """Ask everything once more, commit the intent, then do it. At most one effect comes of a remediation."""
    if row.state != R.READY or not _still_wanted(row, now=now):
        return
    targets = _targets(row)
    calls = plans.stored_calls(row.plan)
    fence = _claim(row, now=now)
    if fence is None:
        return
    failpoint("intent-committed")
    timeout_s = float(row.plan["step"]["timeout_s"])
    carried = execution.carry_out(row.verb, targets, calls, key=str(row.key), fence=fence, timeout_s=timeout_s)
    failpoint("effect-done")
    _report(row, carried, fence=fence, now=timezone.now())
    failpoint("reported")


def _targets(row: Remediation) -> list[Target]:
    """The plan's targets, in its order."""
    ids = [target["id"] for target in row.plan["targets"]]
    rows = Target.objects.select_related("service").in_bulk(ids)
    return [rows[one] for one in ids if one in rows]


def _still_wanted(row: Remediation, *, now: datetime) -> bool:
    """Ask the condition and the targets again: healed, unknown and changed lead away from the effect."""
    if row.autonomy != Autonomy.AUTO and not _approved(row):
        change(row, R.SUPERSEDED, now=now, reason="refused: this plan was not approved by enough people")
        return False
    if row.expires_at is not None and row.expires_at <= now:
        change(row, R.EXPIRED, now=now, reason="approved, but the time to act on it is over")
        return False
    look = ask(row.incident, now=now)
    if look.verdict == Verdict.OK:
        change(row, R.SELF_RECOVERED, now=now, reason=f"asked again before the effect: {look.reason}")
        ring_after_commit("reconcile", incident_id=row.incident_id)
        return False
    if look.verdict == Verdict.UNKNOWN:
        reason = f"asked again before the effect, and nobody can tell: {look.reason}"
        change(row, R.GATED, now=now, reason=reason, due_at=now + timedelta(seconds=conf.GATE_RECHECK_S))
        return False
    return _unchanged(row, now=now)


def _unchanged(row: Remediation, *, now: datetime) -> bool:
    step = row.plan["step"]
    try:
        calls = plans.preview(row.verb, step["params"], _targets(row))
        difference = plans.changed(plans.stored_calls(row.plan), calls)
    except (HomeostatError, ValueError) as error:
        change(row, R.FAILED, now=now, reason=f"looked at the targets before the effect: {error}")
        ring_after_commit("reconcile", incident_id=row.incident_id)
        return False
    if difference:
        change(row, R.SUPERSEDED, now=now, reason=difference)
        ring_after_commit("reconcile", incident_id=row.incident_id)
        return False
    return True


def _claim(row: Remediation, *, now: datetime) -> int | None:
    """Commit the intent. Guards, freeze among them, are read in the same transaction. Returns the fencing number."""
    timeout_s = float(row.plan["step"]["timeout_s"])
    with transaction.atomic():
        row.incident.refresh_from_db()
        answers = ask_all(Situation(now=now, incident=row.incident, remediation=row))
        refused = refusals(answers)
        if refused:
            _hold(row, answers, refused, now=now)
            return None
        fence = row.fence + 1
        claimed = change(
            row,
            R.EXECUTING,
            now=now,
            reason=f"{row.verb} of {row.target_names} starts",
            facts={"worker": WORKER, "fence": fence, "key": str(row.key)},
            where={"fence": row.fence, "digest": row.digest},
            fence=F("fence") + 1,
            worker=WORKER,
            guards=answers,
            effect_started_at=now,
            lease_until=now + timedelta(seconds=timeout_s + conf.LEASE_MARGIN_S),
            due_at=now + timedelta(seconds=timeout_s + conf.LEASE_MARGIN_S),
        )
    if not claimed:
        return None
    row.fence = fence
    return fence


def _report(row: Remediation, carried: execution.Carried, *, fence: int, now: datetime) -> None:
    """Write what came of it, unless the lease has passed: then the probe decides, not this worker."""
    mine = {"fence": fence, "lease_until__gt": now}
    match carried.outcome:
        case "done":
            change(
                row,
                R.VERIFYING,
                now=now,
                reason="done; the metrics have to prove it",
                where=mine,
                facts={"output": carried.output},
                output=carried.output,
                effect_ended_at=now,
                due_at=now,
            )
        case "not_started":
            if change(
                row, R.FAILED, now=now, reason=carried.output, where=mine, output=carried.output, effect_started_at=None
            ):
                ring_after_commit("reconcile", incident_id=row.incident_id)
        case "unknown":
            change(row, R.UNKNOWN, now=now, reason=carried.output, where=mine, output=carried.output, due_at=now)


def _overdue(row: Remediation, *, now: datetime) -> None:
    """The worker never reported: it died, or hangs. What it did is unknown."""
    if row.lease_until is not None and row.lease_until <= now:
        reason = f"no report from {row.worker} before its lease passed"
        change(row, R.UNKNOWN, now=now, reason=reason, where={"fence": row.fence}, fence=F("fence") + 1, due_at=now)


def _probe(row: Remediation, *, now: datetime) -> None:
    """Ask the world what happened."""
    if not _again_at(row, now + PROBE_EVERY, now=now):
        return
    found = execution.probe(row.verb, _targets(row), plans.stored_calls(row.plan))
    if found.done:
        reason = f"the effect did take place: {found.reason}"
        change(row, R.VERIFYING, now=now, reason=reason, effect_ended_at=now, due_at=now)
    elif found.done is False:
        reason = f"the effect did not take place: {found.reason}"
        if change(row, R.FAILED, now=now, reason=reason, effect_started_at=None):
            ring_after_commit("reconcile", incident_id=row.incident_id)
    elif now - row.state_since > PROBE_FOR:
        change(row, R.INCONCLUSIVE, now=now, reason=f"nobody can tell what happened: {found.reason}")
        ring_after_commit("reconcile", incident_id=row.incident_id)


# --- the proof --------------------------------------------------------------------------------------------------------


def _verify(row: Remediation, *, now: datetime) -> None:
    """One look at the condition, then judge all looks so far."""
    if not _again_at(row, now + timedelta(seconds=conf.VERIFY_EVERY_S), now=now):
        return
    asked = row.plan["verify"]
    ended = row.effect_ended_at or row.state_since
    effect_at = ended.timestamp() + float(asked["settle_s"])
    look = ask(row.incident, now=now)
    row.checks = [*row.checks, look.as_row(effect_at=effect_at)]
    deadline = effect_at + look.reach_s + float(asked["within_s"])
    judgement = judge(row.checks, needed=int(asked["good_samples"]), deadline=deadline, now=now.timestamp())
    if judgement.state is None:
        Remediation.objects.filter(pk=row.pk, state=R.VERIFYING).update(checks=row.checks, reason=judgement.reason)
        return
    _conclude(row, judgement, now=now)


def _conclude(row: Remediation, judgement: Judgement, *, now: datetime) -> None:
    assert judgement.state is not None  # noqa: S101 - the caller checked it
    facts = {"good": judgement.good, "looks": len(row.checks)}
    if change(row, judgement.state, now=now, reason=judgement.reason, actor=HOMEOSTAT, facts=facts, checks=row.checks):
        ring_after_commit("reconcile", incident_id=row.incident_id)
