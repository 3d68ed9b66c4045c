"""The effect, what is certain of it, and how the world is asked when nothing is."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import F
from django.utils import timezone

from remediation.act import execution
from remediation.decide import plan as plans
from remediation.doorbell import ring_after_commit
from remediation.failpoints import failpoint
from remediation.models import Remediation, change
from remediation.repair.claim import claim, still_wanted
from remediation.repair.timing import again_at, targets_of
from remediation.states import RemediationState as R

PROBE_EVERY = timedelta(seconds=2)
PROBE_FOR = timedelta(seconds=60)
"""How long a probe is asked again while nobody can tell; then a person decides."""


def act(row: Remediation, *, now: datetime) -> None:
    """Ask everything once more, commit the intent, then do it. At most one effect comes of a remediation."""
    if row.state != R.READY:
        return
    targets = targets_of(row)
    if not still_wanted(row, targets, now=now):
        return
    fence = claim(row, now=timezone.now())  # asking may have taken a while
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


def overdue(row: Remediation, *, now: datetime) -> None:
    """The worker never reported: it died, or hangs. What it did is unknown."""
    if row.lease_until is not None and row.lease_until <= now:
        reason = f"no report from {row.worker} before its lease passed"
        change(row, R.UNKNOWN, now=now, reason=reason, where={"fence": row.fence}, fence=F("fence") + 1, due_at=now)


def probe(row: Remediation, *, now: datetime) -> None:
    """Ask the world what happened."""
    if not again_at(row, PROBE_EVERY, now=now):
        return
    found = execution.probe(row.verb, targets_of(row), plans.stored_calls(row.plan))
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
