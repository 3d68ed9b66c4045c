"""The life of one remediation: gate, claim, effect, settle, verify."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any

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
from remediation.models import Approval, Incident, Remediation, Service, Target, change
from remediation.states import BEFORE_EFFECT, Autonomy, IncidentState, Verdict
from remediation.states import RemediationState as R
from remediation.verify.recovery import Judgement, judge

PROBE_EVERY = timedelta(seconds=2)
PROBE_FOR = timedelta(seconds=60)
"""How long a probe is asked again while nobody can tell; then a person decides."""

LONGEST_WAIT = timedelta(minutes=2)
"""The longest that a remediation which is not waiting for a person or an effect lets itself be left alone."""
SHORT_WAITS = (R.PLANNED, R.GATED, R.READY, R.UNKNOWN, R.VERIFYING)
BLIND_AGAIN = timedelta(seconds=10)
"""When a plan whose condition could not be seen right before the effect is looked at again."""

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
            if _again_at(row, timedelta(seconds=conf.GATE_RECHECK_S), now=now):
                ring_after_commit("act", remediation_id=row.pk)
        case R.EXECUTING:
            _overdue(row, now=now)
        case R.UNKNOWN:
            _probe(row, now=now)
        case R.VERIFYING:
            _verify(row, now=now)
        case _:
            return


def _again_at(row: Remediation, after: timedelta, *, now: datetime) -> bool:
    """Claim this look: of two that come at once, one moves `due_at` and goes on.

    A `due_at` further ahead than any wait here was written by a clock that has since been set back: it counts as due.
    """
    if row.due_at is not None and now < row.due_at <= now + LONGEST_WAIT:
        return False
    row_now = Remediation.objects.filter(pk=row.pk, state=row.state, due_at=row.due_at)
    return bool(row_now.update(due_at=now + after))


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
            change(row, R.READY, now=now, reason="approved, and every guard lets it pass again", due_at=now)
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


def _hold(row: Remediation, answers: list[dict[str, Any]], refused: str, *, now: datetime) -> None:
    """Wait. A spent budget is for a person as well: whatever comes back that often is not repaired by this step."""
    spent = next((one for one in answers if one["guard"] == "budget" and not one["passed"]), None)
    if spent is not None:
        call_person(row.incident, f"{row} is held: {spent['reason']}", now=now)
    due = now + timedelta(seconds=conf.GATE_RECHECK_S)
    if row.state == R.GATED:
        Remediation.objects.filter(pk=row.pk, state=R.GATED).update(guards=answers, reason=refused, due_at=due)
    else:
        change(row, R.GATED, now=now, reason=refused, guards=answers, due_at=due)


def _await(row: Remediation, *, now: datetime) -> None:
    if _approved(row):  # the last answer was kept, and its worker died before it went on
        if change(row, R.READY, now=now, reason="approved by enough people", due_at=now):
            ring_after_commit("act", remediation_id=row.pk)
        return
    if row.expires_at is None or row.expires_at > now:
        return
    if change(row, R.EXPIRED, now=now, reason="nobody answered in time"):
        call_person(row.incident, f"{row} was not answered in time", now=now)


# --- the effect -------------------------------------------------------------------------------------------------------


def act(row: Remediation, *, now: datetime) -> None:
    """Ask everything once more, commit the intent, then do it. At most one effect comes of a remediation."""
    if row.state != R.READY:
        return
    targets = _targets(row)
    if not _still_wanted(row, targets, now=now):
        return
    fence = _claim(row, now=timezone.now())  # asking may have taken a while
    if fence is None:
        return
    failpoint("intent-committed")
    carried = execution.carry_out(
        row.verb,
        targets,  # those that were looked at, not what somebody made of them since
        plans.stored_calls(row.plan),
        key=str(row.key),
        fence=fence,
        timeout_s=float(row.plan["step"]["timeout_s"]),
        still_mine=partial(_still_mine, row.pk, fence),
    )
    failpoint("effect-done")
    _report(row, carried, fence=fence, now=timezone.now())
    failpoint("reported")


def _still_mine(pk: int, fence: int) -> bool:
    """Whether this claim still holds: nobody declared it lost, and its lease has not passed."""
    return Remediation.objects.filter(pk=pk, state=R.EXECUTING, fence=fence, lease_until__gt=timezone.now()).exists()


def _targets(row: Remediation) -> list[Target]:
    """The plan's targets that still exist, in its order."""
    ids = [target["id"] for target in row.plan["targets"]]
    rows = Target.objects.select_related("service").in_bulk(ids)
    return [rows[one] for one in ids if one in rows]


def _still_wanted(row: Remediation, targets: list[Target], *, now: datetime) -> bool:
    """Ask the condition and the targets again: healed, unknown and changed lead away from the effect."""
    if row.autonomy != Autonomy.AUTO and not _approved(row):
        change(row, R.SUPERSEDED, now=now, reason="refused: this plan was not approved by enough people")
        return False
    if _expired(row, now=now):
        return False
    look = ask(row.incident, now=now)
    if look.verdict == Verdict.OK:
        _healed(row, f"asked again before the effect: {look.reason}", now=now)
        return False
    if look.verdict == Verdict.UNKNOWN:
        _blind(row, look.reason, now=now)
        return False
    return _unchanged(row, targets, now=now)


def _expired(row: Remediation, *, now: datetime) -> bool:
    if row.expires_at is None or row.expires_at > now:
        return False
    change(row, R.EXPIRED, now=now, reason="approved, but the time to act on it is over")
    ring_after_commit("reconcile", incident_id=row.incident_id)
    return True


def _healed(row: Remediation, reason: str, *, now: datetime) -> None:
    change(row, R.SELF_RECOVERED, now=now, reason=reason)
    ring_after_commit("reconcile", incident_id=row.incident_id)


def _blind(row: Remediation, why: str, *, now: datetime) -> None:
    """Nobody can tell whether it is still wanted: wait, or plan anew where the question itself is no longer asked."""
    reason = f"asked again before the effect, and nobody can tell: {why}"
    if row.incident.rule_version.number != row.incident.rule.version:
        change(row, R.SUPERSEDED, now=now, reason=f"{reason} (the rule was edited since)")
        ring_after_commit("reconcile", incident_id=row.incident_id)
    else:
        change(row, R.GATED, now=now, reason=reason, due_at=now + BLIND_AGAIN)


def _unchanged(row: Remediation, targets: list[Target], *, now: datetime) -> bool:
    step = row.plan["step"]
    planned = plans.stored_calls(row.plan)
    gone = len(targets) != len(planned) or not all(target.enabled for target in targets)
    try:
        difference = (
            "a target was disabled or removed since this was planned"
            if gone
            else plans.changed(planned, plans.preview(row.verb, step["params"], targets))
        )
    except HomeostatError as error:
        change(row, R.FAILED, now=now, reason=f"looked at the targets before the effect: {error}")
        ring_after_commit("reconcile", incident_id=row.incident_id)
        return False
    if difference:
        change(row, R.SUPERSEDED, now=now, reason=difference)
        ring_after_commit("reconcile", incident_id=row.incident_id)
        return False
    return True


def _claim(row: Remediation, *, now: datetime) -> int | None:
    """Commit the intent. Freeze, guards and the incident are read in the same transaction, behind the service's lock,
    so that of two claims on one service the second sees the first. Returns the fencing number."""
    with transaction.atomic():
        _lock(row)
        row.incident.refresh_from_db()
        if row.incident.state == IncidentState.RESOLVED or row.incident.verdict == Verdict.OK:
            _healed(row, f"over before the effect: {row.incident.reason}", now=now)
            return None
        if _expired(row, now=now):
            return None
        answers = ask_all(Situation(now=now, incident=row.incident, remediation=row))
        refused = refusals(answers)
        if refused:
            _hold(row, answers, refused, now=now)
            return None
        return _commit_intent(row, answers, now=now)


def _lock(row: Remediation) -> None:
    """One claim on a service at a time. (SQLite has one writer anyway.)"""
    if row.incident.service_id is not None:
        Service.objects.select_for_update().get(pk=row.incident.service_id)
    else:
        Incident.objects.select_for_update().get(pk=row.incident_id)


def _commit_intent(row: Remediation, answers: list[dict[str, Any]], *, now: datetime) -> int | None:
    fence = row.fence + 1
    lease = now + timedelta(seconds=float(row.plan["step"]["timeout_s"]) + conf.LEASE_MARGIN_S)
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
        lease_until=lease,
        due_at=lease,
    )
    row.fence = fence
    return fence if claimed else None


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
            # The worker is done with it, so a probe may be believed at once: no lease is left to wait for.
            unknown: dict[str, Any] = {"output": carried.output, "due_at": now, "lease_until": None}
            change(row, R.UNKNOWN, now=now, reason=carried.output, where=mine, **unknown)


def _overdue(row: Remediation, *, now: datetime) -> None:
    """The worker never reported: it died, or hangs. What it did is unknown."""
    if row.lease_until is not None and row.lease_until <= now:
        reason = f"no report from {row.worker} before its lease passed"
        change(row, R.UNKNOWN, now=now, reason=reason, where={"fence": row.fence}, fence=F("fence") + 1, due_at=now)


def _probe(row: Remediation, *, now: datetime) -> None:
    """Ask the world what happened."""
    if not _again_at(row, PROBE_EVERY, now=now):
        return
    found = execution.probe(row.verb, _targets(row), plans.stored_calls(row.plan))
    if found.done:
        reason = f"the effect did take place: {found.reason}"
        change(row, R.VERIFYING, now=now, reason=reason, effect_ended_at=now, due_at=now)
    elif found.done is False and not _may_still_act(row, now=now):
        # effect_started_at stays: cooldown and budget count it, in case the world was too slow to show it.
        if change(row, R.FAILED, now=now, reason=f"the effect did not take place: {found.reason}"):
            ring_after_commit("reconcile", incident_id=row.incident_id)
    elif now - row.state_since > PROBE_FOR and not _may_still_act(row, now=now):
        change(row, R.INCONCLUSIVE, now=now, reason=f"nobody can tell what happened: {found.reason}")
        ring_after_commit("reconcile", incident_id=row.incident_id)


def _may_still_act(row: Remediation, *, now: datetime) -> bool:
    """Whether a worker that never reported may be in the middle of the effect: it looks at its lease right before it
    begins, and then has the step's time."""
    if row.lease_until is None:
        return False
    return now < row.lease_until + timedelta(seconds=float(row.plan["step"]["timeout_s"]))


# --- the proof --------------------------------------------------------------------------------------------------------


def _verify(row: Remediation, *, now: datetime) -> None:
    """One look at the condition, then judge all looks so far."""
    source = row.incident.rule.source
    if not _again_at(row, timedelta(seconds=source.timeout_s + conf.VERIFY_EVERY_S), now=now):
        return
    if row.effect_ended_at is None or row.effect_ended_at > now + timedelta(seconds=1):
        # A clock that was set back: what is seen from now on is certainly from after the effect.
        row.effect_ended_at = now
        Remediation.objects.filter(pk=row.pk, state=R.VERIFYING).update(effect_ended_at=now)
    asked = row.plan["verify"]
    effect_at = row.effect_ended_at.timestamp() + float(asked["settle_s"])
    look = ask(row.incident, now=now)
    # A source scrapes about four times within the age at which its samples are stale: each look sees another sample.
    again = now + timedelta(seconds=max(conf.VERIFY_EVERY_S, source.stale_after_s / 4))
    with transaction.atomic():
        seen = Remediation.objects.select_for_update().get(pk=row.pk)
        if seen.state != R.VERIFYING:
            return
        rows = sorted([*seen.checks, look.as_row(effect_at=effect_at)], key=itemgetter("at"))
        reach_s = max(float(one.get("reach_s", 0.0)) for one in rows)
        deadline = effect_at + reach_s + float(asked["within_s"])
        judgement = judge(rows, needed=int(asked["good_samples"]), deadline=deadline, now=now.timestamp())
        if judgement.state is None:
            Remediation.objects.filter(pk=row.pk).update(checks=rows, reason=judgement.reason, due_at=again)
        else:
            _conclude(seen, judgement, rows, now=now)


def _conclude(row: Remediation, judgement: Judgement, rows: list[dict[str, Any]], *, now: datetime) -> None:
    assert judgement.state is not None  # noqa: S101 - the caller checked it
    facts = {"good": judgement.good, "looks": len(rows)}
    if change(row, judgement.state, now=now, reason=judgement.reason, facts=facts, checks=rows):
        ring_after_commit("reconcile", incident_id=row.incident_id)
