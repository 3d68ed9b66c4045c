"""What must hold whatever happens, read from the ledger of effects and the database. Knows nothing of how the loop
comes to it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from remediation.exceptions import EffectNotStarted, EffectUncertain
from remediation.models import Approval, Freeze, Remediation, RemediationTarget, Transition
from remediation.states import REMEDIATION_LIVE, REMEDIATION_MOVES, Verdict
from remediation.states import RemediationState as R
from remediation.targets.base import Attempt, Effect, TargetRef
from tests.remediation.world import LedgerBackend, World

UNTOUCHED = (R.FAILED, R.SELF_RECOVERED, R.SUPERSEDED, R.EXPIRED, R.REJECTED, R.CANCELLED, R.SHADOWED)
"""Ends that say that nothing was done."""


class Killed(BaseException):
    """As a SIGKILL: nothing after it runs."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One effect that took place."""

    at: float
    remediation: int
    target: str
    undo: bool


@dataclass(kw_only=True)
class Ledger(LedgerBackend):
    """Does what it is told, checks each call when it comes, and writes down what took place."""

    world: World
    entries: list[Entry] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    """What did not hold at the moment of a call."""
    mode: str = "done"
    meanwhile: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        super().__init__()

    def restart(self, target: TargetRef, attempt: Attempt) -> Effect:
        return self._do(target, attempt, lambda: self.pids.__setitem__(target.name, self.pids.get(target.name, 0) + 1))

    def resize(self, target: TargetRef, size: int, attempt: Attempt) -> Effect:
        return self._do(target, attempt, lambda: self.sizes.__setitem__(target.name, size))

    def _do(self, target: TargetRef, attempt: Attempt, effect: Callable[[], None]) -> Effect:
        mode, self.mode = self.mode, "done"
        row = Remediation.objects.get(key=attempt.key.split(":")[0])
        try:
            check_call(self.world, row, target, attempt)
        except AssertionError as error:  # the loop would take it for a target that breaks
            self.violations.append(str(error))
        if mode == "refused":
            raise EffectNotStarted("connection refused")
        if mode == "nothing, and nobody says so":
            raise EffectUncertain("the answer was lost")
        if mode == "killed before":
            raise Killed
        if mode == "rung for again":
            self.meanwhile()
        effect()
        at = self.world.now.timestamp()
        self.entries.append(Entry(at=at, remediation=row.pk, target=target.name, undo=attempt.key.endswith(":undo")))
        if mode == "hangs":
            self.world.now += timedelta(seconds=100)
            self.meanwhile()
        if mode == "killed after":
            raise Killed
        if mode == "lost":
            raise EffectUncertain("the answer was lost")
        return Effect(output="done")


MODES = ("refused", "nothing, and nobody says so", "killed before", "killed after", "rung for again", "hangs", "lost")


def check_call(world: World, row: Remediation, target: TargetRef, attempt: Attempt) -> None:
    """At the moment at which a target is touched."""
    undo = attempt.key.endswith(":undo")
    # 3: the intent is committed, with this fencing number, and its lease has not passed.
    assert row.state == (R.ROLLING_BACK if undo else R.EXECUTING), f"an effect while {row.state}"
    assert row.fence == attempt.fence
    assert row.lease_until is not None
    assert row.lease_until > world.now
    holds = RemediationTarget.objects.filter(target_id=target.id, live=True)
    # 1: nobody else holds the target.
    assert [hold.remediation_id for hold in holds] == [row.pk]
    if not undo:
        assert holds[0].effect_started_at is not None, "an effect without its own intent"
    # 6: no freeze holds.
    assert not Freeze.active(now=world.now, service_id=row.incident.service_id).exists(), "an effect while frozen"
    # 10: enough people signed this very plan.
    if row.autonomy != "auto":
        signed = row.approvals.filter(answer=Approval.Answer.APPROVE, digest=row.digest).count()
        assert signed >= row.approvals_needed
    # 11: the condition is bad, and not merely was.
    if not undo:
        assert is_bad(world, row), "an effect on what is well or unknown"
    # 14: what may have taken place is never tried again.
    same = [one for one in world.ledger.entries if one.remediation == row.pk and one.target == target.name]  # type: ignore[attr-defined]
    assert [one.undo for one in same] in ([], [False]) if undo else same == []


def is_bad(world: World, row: Remediation) -> bool:
    """Of the series of a remediation's incident, as the world has it now."""
    value = world.samples.get(row.incident.rule.query, {}).get(row.incident.series_labels["target"], math.nan)
    if world.down or not math.isfinite(value):
        return False
    return beyond(row.incident.rule.query, value)


def beyond(query: str, value: float) -> bool:
    return value < 1 if query == "up" else value > 10


def check(world: World, ledger: Ledger) -> None:
    """At any time."""
    assert ledger.violations == []
    rows = list(Remediation.objects.select_related("incident__rule"))
    _one_live_remediation_per_target(rows)
    for row in rows:
        done = [one for one in ledger.entries if one.remediation == row.pk]
        _history_is_whole(row)
        # 8, 14: what was done is never told as not done, whatever became of the alert or the worker meanwhile.
        assert not (done and row.state in UNTOUCHED), f"{row.state}, and it did take place"
        assert done or row.state not in (R.VERIFIED, R.WORSENED, R.ROLLED_BACK), f"{row.state} without an effect"
        if row.state == R.VERIFIED:
            _verified_rests_on_samples(world, row, max(one.at for one in done))
        if row.state == R.ROLLED_BACK:
            assert ledger.sizes["pool"] == row.plan["calls"][0]["before"]["size"]
        repeated = Counter((one.target, one.undo) for one in done)
        assert all(count == 1 for count in repeated.values())


def _one_live_remediation_per_target(rows: list[Remediation]) -> None:
    held = Counter(target["id"] for row in rows if row.state in REMEDIATION_LIVE for target in row.plan["targets"])
    assert all(count == 1 for count in held.values()), "two live remediations of one target"


def _history_is_whole(row: Remediation) -> None:
    """2: each state follows from the one before, by a move that exists, and the last one is where it is."""
    moves = Transition.objects.filter(kind="remediation", object_id=row.pk, to_state__in=list(R)).order_by("pk")
    state = ""
    for move in moves:
        assert move.from_state == state, f"{move} does not follow {state}"
        assert not state or move.to_state in REMEDIATION_MOVES[R(state)]
        state = move.to_state
    assert state == row.state, f"{row.state} without a line of history"


def _verified_rests_on_samples(world: World, row: Remediation, effect_at: float) -> None:
    """12: several samples in a row, each from after the effect, each of which the world really had, and good."""
    needed = row.plan["verify"]["good_samples"]
    last = row.checks[-needed:]
    assert len({look["sample_at"] for look in last}) == needed
    for look in last:
        assert look["verdict"] == Verdict.OK
        assert look["sample_at"] - look["reach_s"] >= effect_at
        query, target = row.incident.rule.query, row.incident.series_labels["target"]
        assert not beyond(query, world.had[query, target, look["sample_at"]])
