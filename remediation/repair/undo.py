"""After an effect that made it worse: bring back what was before, once, and see that it is back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from remediation import conf
from remediation.act import execution
from remediation.decide import plan as plans
from remediation.deciding import call_person
from remediation.doorbell import ring_after_commit
from remediation.draining import is_draining
from remediation.failpoints import failpoint
from remediation.models import Freeze, Remediation, RemediationTarget, Target, change, record
from remediation.repair.claim import WORKER, lock
from remediation.repair.lease import LOST, Lease
from remediation.repair.rollout import attempt_on
from remediation.repair.timing import again_at, lease_from, may_still_act, targets_of
from remediation.states import RemediationState as R
from remediation.targets.base import Attempt, Call, Found

LOOK_EVERY = timedelta(seconds=2)
BACK_WITHIN = timedelta(seconds=60)
"""How long what was before may take to be back; then the undo has failed."""

Work = list[tuple[Target, Call]]


def clock() -> datetime:
    return timezone.now()


def begin(row: Remediation, *, now: datetime) -> bool:
    """A remediation has just become worsened: take its targets again and ring for the undo, in the same transaction.
    False where the step or the verb has none; then a person is next."""
    wanted = bool(row.plan["verify"].get("undo", False)) and execution.can_undo(row.verb)
    if not wanted or not any(call.undo for call in plans.stored_calls(row.plan)):
        return False
    calls = "; ".join(call.undo for call in plans.stored_calls(row.plan))
    RemediationTarget.objects.filter(remediation=row).update(live=True)
    fresh: dict[str, Any] = {"ended_at": None, "due_at": now, "undone": {}}
    change(row, R.ROLLING_BACK, now=now, reason=f"worsened ({row.reason}), so it is undone: {calls}", **fresh)
    ring_after_commit("act", remediation_id=row.pk)
    return True


def advance(row: Remediation, *, now: datetime) -> None:
    """Ring for an undo that has not begun, notice a worker that died at it, and see whether what was before is back."""
    if "started_at" not in row.undone:
        if again_at(row, timedelta(seconds=conf.GATE_RECHECK_S), now=now):
            ring_after_commit("act", remediation_id=row.pk)
        return
    if "ended_at" not in row.undone and row.lease_until is not None and row.lease_until > now:
        return
    if again_at(row, LOOK_EVERY, now=now):
        _settle(row, now=now)


# --- the undo ---


def act(row: Remediation, *, now: datetime) -> None:
    """Commit the intent, then bring back what was before. One undo at most comes of a remediation."""
    fence = _claim(row, now=now)
    if fence is None:
        return
    failpoint("undo-committed")
    said, ok = _undo_all(Lease(row=row, fence=fence, state=R.ROLLING_BACK, clock=clock))
    failpoint("undo-done")
    _report(row, said, ok=ok, fence=fence, now=clock())


def _claim(row: Remediation, *, now: datetime) -> int | None:
    """An undo is an effect: it is claimed once, by compare-and-set, and a freeze that is read in the same transaction
    holds it. The other guards are not asked, since they are there to keep us from beginning what this ends."""
    if is_draining() or "started_at" in row.undone:
        return None
    with transaction.atomic():
        lock(row)
        frozen = Freeze.active(now=now, service_id=row.incident.service_id).first()
        if frozen is not None:
            _hold(row, f"the undo is held: frozen {frozen}", now=now)
            return None
        fence, lease = row.fence + 1, lease_from(now, timeout_s=float(row.plan["step"]["timeout_s"]))
        mine = Remediation.objects.filter(pk=row.pk, state=R.ROLLING_BACK, fence=row.fence)
        undone = {"started_at": now.isoformat(), "fence": fence}
        if not mine.update(fence=F("fence") + 1, worker=WORKER, lease_until=lease, due_at=lease, undone=undone):
            return None
        record(row, "undo begins", now=now, reason=row.reason, facts={"worker": WORKER, "fence": fence})
    row.fence, row.undone, row.lease_until = fence, undone, lease
    return fence


def _hold(row: Remediation, why: str, *, now: datetime) -> None:
    """Somebody stopped automation in the middle of harm that it did: that somebody decides, and is told."""
    due = now + timedelta(seconds=conf.GATE_RECHECK_S)
    waiting = Remediation.objects.filter(pk=row.pk, state=R.ROLLING_BACK, fence=row.fence)
    waiting.update(reason=why, due_at=due)
    call_person(row.incident, f"{row} made it worse; {why}", now=now)


def _undo_all(lease: Lease) -> tuple[list[str], bool]:
    """Newest first, and only what certainly took place. Returns what was said, and whether nothing went wrong."""
    said: list[str] = []
    ok = True
    for target, call in reversed(_work(lease.row)):
        asked = attempt_on(target, lease.row, fence=lease.fence)
        found = execution.probe(lease.row.verb, target, call, asked)
        if found.done is False:
            said.append(f"{target}: nothing to undo, {found.reason}")
            continue
        if (why := _why_not(lease, target, call, found)) != "":
            said.append(f"{target}: not undone, {why}")
            ok = False
            continue
        attempt = Attempt(key=f"{lease.row.key}:{target.pk}:undo", fence=lease.fence, timeout_s=lease.timeout_s)
        with lease.beating():
            carried = execution.undo(lease.row.verb, target, call, attempt)
        said.append(f"{target}: {carried.output}")
        ok = ok and carried.outcome == "done"
    return said, ok


def _why_not(lease: Lease, target: Target, call: Call, found: Found) -> str:
    """Why a target is left as it is: the undo would be a guess."""
    if not call.undo:
        return "this call has no undo"
    if not target.enabled:
        return "the target was disabled since"
    if target.automation_off:
        return f"automation is off for it ({target.automation_off})"
    if found.done is None:
        return f"it is no longer as the effect left it ({found.reason})"
    return "" if lease.renew() else LOST


def _work(row: Remediation) -> Work:
    calls = {call.target: call for call in plans.stored_calls(row.plan)}
    names = {target["id"]: target["name"] for target in row.plan["targets"]}
    return [(target, calls[names[target.pk]]) for target in targets_of(row)]


def _report(row: Remediation, said: list[str], *, ok: bool, fence: int, now: datetime) -> None:
    """Write what came of it, unless the claim was lost: then the world is asked all the same."""
    undone = row.undone | {"ended_at": now.isoformat(), "output": "\n".join(said), "carried_out": ok}
    mine = Remediation.objects.filter(pk=row.pk, state=R.ROLLING_BACK, fence=fence, lease_until__gt=now)
    if mine.update(undone=undone, lease_until=None, due_at=now):
        row.undone = undone
        ring_after_commit("advance", remediation_id=row.pk)


# --- what came of it ---


def _settle(row: Remediation, *, now: datetime) -> None:
    """Only the world says that what was before is back, whatever the worker reported, or did not."""
    work = _work(row)
    gone = len(work) != len(row.plan["targets"])
    found = {target.name: execution.restored(row.verb, target, call) for target, call in work}
    wrong = {name: one for name, one in found.items() if one.done is not True}
    reason = "; ".join(f"{name}: {one.reason}" for name, one in (wrong or found).items())
    if not wrong and not gone and not may_still_act(row, now=now):
        undone = row.undone | {"ok": True}
        if change(row, R.ROLLED_BACK, now=now, reason=f"what was before is back: {reason}", undone=undone):
            ring_after_commit("reconcile", incident_id=row.incident_id)
    elif gone:
        _failed(row, "a target of the plan is no longer there", now=now)
    elif row.undone.get("carried_out") is False and not any(one.done is None for one in found.values()):
        _failed(row, f"{row.undone.get('output', '')} ({reason})", now=now)
    elif now - datetime.fromisoformat(row.undone["started_at"]) > BACK_WITHIN and not may_still_act(row, now=now):
        _failed(row, f"what was before is not back: {reason}", now=now)


def _failed(row: Remediation, why: str, *, now: datetime) -> None:
    """Nothing automatic touches these targets any more, and a person looks."""
    said = f"the undo of {row} failed: {why}"
    with transaction.atomic():
        if not change(row, R.INCONCLUSIVE, now=now, reason=said, undone=row.undone | {"ok": False}):
            return
        for target in targets_of(row):
            if Target.objects.filter(pk=target.pk, automation_off="").update(
                automation_off=said, automation_off_at=now
            ):
                record(target, "automation off", now=now, reason=said)
        call_person(row.incident, said, now=now)
        ring_after_commit("reconcile", incident_id=row.incident_id)  # its decision record says how it ended
