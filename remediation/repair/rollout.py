"""Many targets, batch after batch: each must be back, and nothing worse, before the next is touched."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from remediation import conf
from remediation.act import execution
from remediation.act.execution import Outcome
from remediation.condition import ask
from remediation.decide import plan as plans
from remediation.draining import is_draining
from remediation.exceptions import HomeostatError
from remediation.failpoints import failpoint
from remediation.models import Remediation, Target
from remediation.redact import redact
from remediation.repair import around
from remediation.repair.lease import ENDS, LOST, Lease
from remediation.states import Verdict
from remediation.targets.base import Attempt, Call
from remediation.verify.recovery import Look, is_worse

Work = list[tuple[Target, Call]]

NOT_NEEDED = "not needed any more"


def sleep(seconds: float) -> None:
    time.sleep(seconds)


@dataclass(kw_only=True)
class Rollout:
    """What has come of a plan so far. stopped: why not everything was reached; empty where it was."""

    lease: Lease
    work: list[Work]
    done: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    stopped: str = ""
    uncertain: bool = False

    @classmethod
    def of(cls, lease: Lease, targets: Sequence[Target]) -> Rollout:
        """The plan's batches. The targets are those that were looked at, not what somebody made of them since."""
        pairs = {target.pk: (target, call) for target, call in zip(targets, _calls(lease), strict=True)}
        return cls(lease=lease, work=[[pairs[pk] for pk in batch] for batch in plans.batches_of(lease.row.plan)])

    @property
    def outcome(self) -> Outcome:
        """unknown: what a call did is not known. done: at least one took place, and the others certainly did not."""
        if self.uncertain:
            return "unknown"
        return "done" if self.done else "not_started"

    @property
    def output(self) -> str:
        return redact("\n".join(self.said))

    @property
    def not_reached(self) -> list[str]:
        return [target.name for batch in self.work for target, _ in batch if target.name not in self.done]

    def run(self) -> None:
        """Everything, or until something speaks against going on."""
        for number, batch in enumerate(self.work):
            if number:
                failpoint("between-batches")
                self.stopped = _why_not_next(self.lease, self.work[number - 1], batch)
            if self.stopped or not self._run(batch, first=number == 0):
                break
        if self.stopped:
            self.said.append(f"stopped: {self.stopped}")

    def _run(self, batch: Work, *, first: bool) -> bool:
        """One batch, call by call. Returns whether all of it took place."""
        for target, call in batch:
            self.stopped = self.lease.begin(target, first=first and not self.done)
            if self.stopped or not self._call(target, call):
                return False
        return True

    def _call(self, target: Target, call: Call) -> bool:
        lease = self.lease
        attempt = attempt_on(target, lease.row, fence=lease.fence)
        with lease.beating():
            carried = execution.carry_out(lease.row.verb, target, call, attempt)
        lease.end(target, carried)
        self.said.append(f"{target}: {carried.output}")
        if carried.outcome == "done":
            self.done.append(target.name)
            return True
        self.uncertain = carried.outcome == "unknown"
        if len(self.work) > 1 or self.done:
            self.stopped = f"{target} did not go well"
        return False


def _calls(lease: Lease) -> list[Call]:
    return plans.stored_calls(lease.row.plan)


# --- between two batches ---


def _why_not_next(lease: Lease, last: Work, following: Work) -> str:
    """Wait for the last batch, look, and say what speaks against the next one; empty when nothing does."""
    since = lease.clock()
    settle_s = float(lease.row.plan["verify"].get("settle_s", 0.0))
    return (
        _wait(lease, until=since + timedelta(seconds=settle_s))
        or _not_back(lease, last)
        or _condition_says(lease, since=since, settle_s=settle_s)
        or _changed(lease, following)
    )


def _wait(lease: Lease, *, until: datetime) -> str:
    """Wait with signs of life. Why it ended early; empty when it did not."""
    while lease.clock() < until:
        if stop := _pause(lease):
            return stop
    return ""


def _pause(lease: Lease) -> str:
    if is_draining():
        return ENDS
    sleep(conf.VERIFY_EVERY_S)
    return "" if lease.renew() else LOST


def _not_back(lease: Lease, batch: Work) -> str:
    """Wait until the targets of a batch are back, for as long as a call may take."""
    ends = lease.clock() + timedelta(seconds=lease.timeout_s)
    for target, call in batch:
        while (found := execution.is_back(lease.row.verb, target, call)).done is not True:
            if lease.clock() >= ends:
                return f"{target} is not back: {found.reason}"
            if stop := _pause(lease):
                return stop
    return ""


def _condition_says(lease: Lease, *, since: datetime, settle_s: float) -> str:
    """Look until there is a sample from after the batch. Still bad and no worse: on to the next, unless something
    around it has turned bad since the first call and nobody can tell yet whether it stays so."""
    row = lease.row
    first_at = (row.effect_started_at or since).timestamp()
    patience_s = max(settle_s, row.incident.rule.source.stale_after_s)
    ends = lease.clock() + timedelta(seconds=patience_s)
    seen: list[list[dict[str, Any]]] = []
    while True:
        look = ask(row.incident, now=lease.clock())
        if look.verdict == Verdict.OK:
            return f"{NOT_NEEDED}: {look.reason}"
        seen.append(around.turned(row, effect_at=first_at, early=True))
        if worse := around.lasting(seen):
            return f"turned bad meanwhile: {worse}"
        fresh = look.verdict == Verdict.BAD and _is_from(look, since)
        if fresh and is_worse(look.score, row.before_effect.get("score")):
            return f"worse than before: {look.reason}"
        if fresh and not seen[-1]:
            return ""
        if lease.clock() >= ends:
            return _doubt(seen[-1]) if fresh else f"nobody can tell whether it helped: {look.reason}"
        if stop := _pause(lease):
            return stop


def _doubt(turned: list[dict[str, Any]]) -> str:
    names = ", ".join(one["name"] for one in turned)
    return f"turned bad meanwhile, and nobody can tell whether it stays so: {names}"


def _is_from(look: Look, since: datetime) -> bool:
    """Worse shows before all that a sample rests on is new, so its own time is enough here."""
    return look.sample_at is not None and look.sample_at >= since.timestamp()


def _changed(lease: Lease, batch: Work) -> str:
    """What of the next batch is no longer as it was planned for. The targets are read again: a rollout takes its time,
    and somebody may have edited or disabled one."""
    step = lease.row.plan["step"]
    rows = Target.objects.select_related("service").in_bulk([target.pk for target, _ in batch])
    if gone := [target.name for target, _ in batch if target.pk not in rows or not rows[target.pk].enabled]:
        return f"{', '.join(gone)} was disabled or removed since this was planned"
    try:
        now = plans.preview(lease.row.verb, step["params"], [rows[target.pk] for target, _ in batch])
    except HomeostatError as error:
        return f"looked at the next targets: {error}"
    return plans.changed([call for _, call in batch], now)


def attempt_on(target: Target, row: Remediation, *, fence: int | None = None) -> Attempt:
    """A remediation's attempt on one of its targets: of a worker that holds it with this fencing number, or as whoever
    asks about it now names it."""
    timeout_s = float(row.plan["step"]["timeout_s"])
    return Attempt(key=f"{row.key}:{target.pk}", fence=row.fence if fence is None else fence, timeout_s=timeout_s)
