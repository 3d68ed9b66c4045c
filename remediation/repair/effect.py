"""The effect, what is certain of it, and how the world is asked when nothing is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from remediation.act import execution
from remediation.decide import approval
from remediation.decide import plan as plans
from remediation.doorbell import ring_after_commit
from remediation.failpoints import failpoint
from remediation.models import Remediation, RemediationTarget, change
from remediation.repair.claim import claim, still_wanted
from remediation.repair.lease import Lease
from remediation.repair.rollout import Rollout, attempt_on
from remediation.repair.timing import again_at, may_still_act, targets_of
from remediation.states import RemediationState as R
from remediation.targets.base import Found

PROBE_EVERY = timedelta(seconds=2)
PROBE_FOR = timedelta(seconds=60)
"""How long a probe is asked again while nobody can tell; then a person decides."""


def clock() -> datetime:
    return timezone.now()


def act(row: Remediation, *, now: datetime) -> None:
    """Ask everything once more, commit the intent, then do it. At most one effect on each target comes of a
    remediation."""
    if row.state != R.READY:
        approval.refuse_effect(row, now=now)
        return
    targets = targets_of(row)
    look = still_wanted(row, targets, now=now)
    if look is None:
        return
    fence = claim(row, look, now=clock())  # asking may have taken a while
    if fence is None:
        return
    failpoint("intent-committed")
    rollout = Rollout.of(Lease(row=row, fence=fence, state=R.EXECUTING, clock=clock), targets)
    rollout.run()
    failpoint("effect-done")
    _report(row, rollout, fence=fence, now=clock())
    failpoint("reported")


def _report(row: Remediation, rollout: Rollout, *, fence: int, now: datetime) -> None:
    """Write what came of it, unless the lease has passed: then the probe decides, not this worker."""
    mine = {"fence": fence, "lease_until__gt": now}
    output = rollout.output
    match rollout.outcome:
        case "done":
            reason = _partly(rollout) if rollout.not_reached else "done; the metrics have to prove it"
            facts = {"output": output, "done": rollout.done, "not_reached": rollout.not_reached}
            change(
                row,
                R.VERIFYING,
                now=now,
                reason=reason,
                where=mine,
                facts={name: value for name, value in facts.items() if value},
                output=output,
                effect_ended_at=now,
                due_at=now,
            )
        case "not_started":
            if change(row, R.FAILED, now=now, reason=output, where=mine, output=output, effect_started_at=None):
                ring_after_commit("reconcile", incident_id=row.incident_id)
        case "unknown":
            # The worker is done with it, so a probe may be believed at once: no lease is left to wait for.
            unknown: dict[str, Any] = {"output": output, "due_at": now, "lease_until": None}
            change(row, R.UNKNOWN, now=now, reason=output, where=mine, **unknown)


def _partly(rollout: Rollout) -> str:
    reached, left = ", ".join(rollout.done), ", ".join(rollout.not_reached)
    return f"{reached} done, {left} not touched ({rollout.stopped}); the metrics decide"


def overdue(row: Remediation, *, now: datetime) -> None:
    """The worker never reported: it died, or hangs. What it did is unknown."""
    if row.lease_until is not None and row.lease_until <= now:
        reason = f"no sign of life from {row.worker} before its lease passed"
        still = {"fence": row.fence, "lease_until": row.lease_until}
        change(row, R.UNKNOWN, now=now, reason=reason, where=still, fence=F("fence") + 1, due_at=now)


def probe(row: Remediation, *, now: datetime) -> None:
    """Ask the world what happened."""
    if not again_at(row, PROBE_EVERY, now=now):
        return
    found = what_happened(row)
    reason = "; ".join(f"{name}: {one.reason}" for name, one in found.items())
    answers = {one.done for one in found.values()}
    certain = bool(found) and None not in answers
    if certain and True in answers and (answers == {True} or not may_still_act(row, now=now)):
        which = [name for name, one in found.items() if one.done]
        said = "the effect did take place" if answers == {True} else f"the effect took place on {', '.join(which)} only"
        facts = {"done": which, "not_reached": [name for name in found if name not in which]}
        change(row, R.VERIFYING, now=now, reason=f"{said}: {reason}", facts=facts, effect_ended_at=now, due_at=now)
    elif certain and answers == {False} and not may_still_act(row, now=now):
        # effect_started_at stays: cooldown and budget count it, in case the world was too slow to show it.
        if change(row, R.FAILED, now=now, reason=f"the effect did not take place: {reason}"):
            ring_after_commit("reconcile", incident_id=row.incident_id)
    elif now - row.state_since > PROBE_FOR and not may_still_act(row, now=now):
        change(row, R.INCONCLUSIVE, now=now, reason=f"nobody can tell what happened: {reason or _GONE}")
        ring_after_commit("reconcile", incident_id=row.incident_id)


_GONE = "a target of the plan is no longer there to be asked"


def what_happened(row: Remediation) -> dict[str, Found]:
    """What is known of each call, by target: from its own intent and end where they were committed, else from the
    world. Empty where a target of the plan is gone."""
    targets, calls = targets_of(row), plans.stored_calls(row.plan)
    if len(targets) != len(calls):
        return {}
    holds = {hold.target_id: hold for hold in row.holds.all()}
    begun = any(hold.effect_started_at for hold in holds.values())
    found = {}
    for target, call in zip(targets, calls, strict=True):
        told = _told(holds.get(target.pk), begun=begun)
        found[target.name] = told or execution.probe(row.verb, target, call, attempt_on(target, row))
    return found


def _told(hold: RemediationTarget | None, *, begun: bool) -> Found | None:
    """What the rows say. An intent is committed before its call, so that one without was never begun."""
    if hold is not None and hold.effect_ended_at is not None:
        return Found(done=True, reason="was reported done")
    if begun and (hold is None or hold.effect_started_at is None):
        return Found(done=False, reason="was never begun")
    return None
