"""The whole loop under whatever comes: ticks, samples, answers of the targets, crashes, freezes, people, bells twice.

The oracle (oracle.py) reads ledger and database after each step. That it would notice is shown by breaking each
invariant in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from remediation import condition, loop, registry, repair
from remediation.decide import approval, freeze
from remediation.decide.guards.base import Answer
from remediation.decide.guards.freeze import FreezeGuard
from remediation.exceptions import HomeostatError
from remediation.models import Freeze, Playbook, Remediation, RemediationTarget, Step, Target, change
from remediation.repair import claim, effect, proof, rollout, undo
from remediation.repair.lease import Lease
from remediation.states import IncidentState, Verdict
from remediation.states import RemediationState as R
from remediation.verify import recovery
from remediation.verify.recovery import Judgement, Look
from tests.remediation.oracle import MODES, Killed, Ledger, check
from tests.remediation.world import START, World, make_playbook, make_rule, make_service, make_user

Nudges = tuple[tuple[str, dict[str, Any]], ...]
FAILPOINTS = ("intent-committed", "effect-done", "reported", "between-batches", "undo-committed", "undo-done")


class Loop(RuleBasedStateMachine):
    """app-1 and app-2 are restarted when a person approved; the pool is scaled by itself."""

    world: World
    nudges: Nudges = ()
    """Rules to begin with: they bring it near to where the trouble is."""

    @initialize()
    def begin(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        world = self.world
        world.now, world.down, world.samples, world.had = START, "", {}, {}
        world.bells.clear()
        self.ledger = world.ledger = Ledger(world=world, meanwhile=self.ring_twice)
        registry.backends()["ledger"] = self.ledger
        self.crash_at = ""
        service = make_service()
        Target.objects.create(service=service, name="pool", backend="ledger", role="pool", labels={"target": "pool"})
        make_rule(service)
        make_rule(service, name="AppErrors", query="up")
        make_rule(service, name="QueueLong", query="depth", params={"op": ">", "value": 10})
        usual: dict[str, Any] = {
            "verify_within_s": 6,
            "good_samples": 2,
            "timeout_s": 3,
            "budget": 99,
        }
        playbook = make_playbook(autonomy="approve", max_attempts=3, **usual)
        Playbook.objects.filter(pk=playbook.pk).update(matchers='alertname=~"App.*"')
        pool = Playbook.objects.create(name="Scale", matchers='alertname="QueueLong"', autonomy="auto")
        Step.objects.create(playbook=pool, verb="scale", select='role="pool"', cooldown_s=0, max_attempts=3, **usual)
        pool.keep_version(author="test", now=START)
        self.ann: User = make_user("ann", "approver")
        world.set({"app-1": 1, "app-2": 1})
        world.set({"pool": 1}, query="depth")
        world.tick()
        for name, values in self.nudges:
            getattr(self, name)(**values)

    def teardown(self) -> None:
        if hasattr(self, "atomic"):
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    # --- what happens ---

    def survive(self, happen: Callable[[], None]) -> None:
        """A worker that dies takes its bell with it and nothing else."""

        def die(name: str) -> None:
            if name == self.crash_at:
                self.crash_at = ""
                raise Killed

        with pytest.MonkeyPatch.context() as patch:
            for module in (effect, rollout, undo):
                patch.setattr(module, "failpoint", die)
            try:
                happen()
            except Killed:
                self.survive(self.world.answer_bells)

    @rule(seconds=st.sampled_from([1, 1, 1, 2, 45]), times=st.integers(1, 3))
    def tick(self, seconds: float, times: int) -> None:
        for _ in range(times):
            self.survive(lambda: self.world.tick(seconds))

    @rule(one=st.sampled_from([0, 0, 1, 1, None]), two=st.sampled_from([0, 1, 1]))
    def apps(self, one: float | None, two: float) -> None:
        self.world.set({name: value for name, value in (("app-1", one), ("app-2", two)) if value is not None})

    @rule(depth=st.sampled_from([1, 15, 15, 60, None]))
    def pool(self, depth: float | None) -> None:
        self.world.set({} if depth is None else {"pool": depth}, query="depth")

    @rule(down=st.booleans())
    def source(self, down: bool) -> None:
        self.world.down = "connection refused" if down else ""

    @rule(mode=st.sampled_from(MODES))
    def next_call(self, mode: str) -> None:
        self.ledger.mode = mode

    @rule(name=st.sampled_from(FAILPOINTS))
    def next_crash(self, name: str) -> None:
        self.crash_at = name

    @rule(lift=st.booleans())
    def freeze(self, lift: bool) -> None:
        now = self.world.now
        if lift:
            freeze.lift(service=None, by="ann", now=now)
        elif not Freeze.active(now=now).exists():
            freeze.freeze(service=None, reason="stop", by="ann", until=None, now=now)

    @precondition(lambda self: hasattr(self, "ledger"))
    @rule(reject=st.sampled_from([False, False, False, True]))
    def answer(self, reject: bool) -> None:
        for row in Remediation.objects.filter(state=R.AWAITING_APPROVAL):
            try:
                if reject:
                    approval.reject(row, user=self.ann, digest=row.digest, reason="", now=self.world.now)
                else:
                    approval.approve(row, user=self.ann, digest=row.digest, now=self.world.now)
            except HomeostatError:
                continue
        self.survive(self.world.answer_bells)

    @rule()
    def bells_again(self) -> None:
        self.survive(self.ring_twice)

    def ring_twice(self) -> None:
        now = self.world.now
        for row in Remediation.objects.exclude(state__in=[R.VERIFIED]).order_by("pk"):
            for _ in range(2):
                loop.act(row.pk, now=now)
                loop.advance(row.pk, now=now)

    @invariant()
    def everything_holds(self) -> None:
        if hasattr(self, "ledger"):
            check(self.world, self.ledger)


def run(world: World, *, examples: int, steps: int = 20, nudges: Nudges = ()) -> None:
    machine = type("Loop", (Loop,), {"world": world, "nudges": nudges})
    told = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=told)


def test_whatever_happens_the_invariants_hold(world: World) -> None:
    run(world, examples=8)


@pytest.mark.faults
def test_whatever_happens_for_longer_the_invariants_hold(world: World) -> None:
    run(world, examples=60, steps=40)


# --- that it would notice ---


def targets_are_not_held(patch: pytest.MonkeyPatch) -> None:
    create = RemediationTarget.objects.bulk_create

    def loose(rows: list[RemediationTarget], **more: Any) -> Any:
        for row in rows:
            row.live = False
        return create(rows, **more)

    patch.setattr(RemediationTarget.objects, "bulk_create", loose)


def states_change_without_history(patch: pytest.MonkeyPatch) -> None:
    def silent(row: Remediation, to: str, **more: Any) -> bool:
        if to != R.READY:
            return change(row, to, **more)
        Remediation.objects.filter(pk=row.pk).update(state=to, state_since=more["now"], due_at=more["now"])
        return True

    patch.setattr(repair.gate, "change", silent)
    patch.setattr(approval, "change", silent)


def calls_begin_without_an_intent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Lease, "begin", lambda self, target, *, first: "")


def freeze_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FreezeGuard, "ask", lambda self, situation: Answer(passed=True, reason="not asked"))


def the_end_of_the_alert_ends_the_step(patch: pytest.MonkeyPatch) -> None:
    overdue = effect.overdue

    def cancel(row: Remediation, *, now: datetime) -> None:
        if row.incident.state == IncidentState.RESOLVED:
            change(row, R.FAILED, now=now, reason="the alert is over")
        else:
            overdue(row, now=now)

    patch.setattr(effect, "overdue", cancel)


def the_condition_is_not_asked_again(patch: pytest.MonkeyPatch) -> None:
    ask = condition.ask

    def remembered(incident: Any, *, now: datetime) -> Look:
        return replace(ask(incident, now=now), verdict=Verdict.BAD)

    patch.setattr(claim, "ask", remembered)


def no_samples_are_good_samples(patch: pytest.MonkeyPatch) -> None:
    judge = recovery.judge

    def hopeful(rows: Any, *, now: float, deadline: float, **more: Any) -> Judgement:
        judgement = judge(rows, now=now, deadline=deadline, **more)
        return replace(judgement, state=R.VERIFIED) if judgement.state == R.INCONCLUSIVE else judgement

    patch.setattr(proof, "judge", hopeful)


def a_crash_counts_as_not_begun(patch: pytest.MonkeyPatch) -> None:
    def hopeful(row: Remediation, *, now: datetime) -> None:
        if row.lease_until is not None and row.lease_until <= now:
            change(row, R.FAILED, now=now, reason="it will not have begun")

    patch.setattr(effect, "overdue", hopeful)


APP_DOWN: Nudges = (("apps", {"one": 0, "two": 1}), ("tick", {"seconds": 1, "times": 1}))
BACKLOG: Nudges = (("pool", {"depth": 15}), ("tick", {"seconds": 1, "times": 1}))
KILLED: Nudges = (("next_call", {"mode": "killed after"}), *BACKLOG)


@pytest.mark.parametrize(
    ("number", "breaks", "nudges"),
    [
        (1, targets_are_not_held, APP_DOWN[:1]),
        (2, states_change_without_history, BACKLOG[:1]),
        (3, calls_begin_without_an_intent, BACKLOG[:1]),
        (6, freeze_is_not_asked, (("freeze", {"lift": False}), BACKLOG[0])),
        (8, the_end_of_the_alert_ends_the_step, (*KILLED, ("pool", {"depth": 1}))),
        (11, the_condition_is_not_asked_again, (*APP_DOWN, ("apps", {"one": 1, "two": 1}))),
        (12, no_samples_are_good_samples, (*BACKLOG, ("pool", {"depth": None}))),
        (14, a_crash_counts_as_not_begun, KILLED),
    ],
    ids=lambda one: one.__name__ if callable(one) else "" if isinstance(one, tuple) else f"invariant {one}",
)
def test_a_loop_that_breaks_an_invariant_is_found_out(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    breaks: Callable[[pytest.MonkeyPatch], None],
    nudges: Nudges,
) -> None:
    breaks(monkeypatch)
    with pytest.raises(AssertionError):
        run(world, examples=20, steps=12, nudges=nudges)
