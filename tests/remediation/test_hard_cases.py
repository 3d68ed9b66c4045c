"""What goes wrong between two steps: clocks, crashes, edits, lost bells, and things that answer too late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from remediation import condition, doorbell, episodes, loop, repair
from remediation.decide import approval, freeze
from remediation.decide import plan as plans
from remediation.exceptions import EffectNotStarted, ObserveError
from remediation.models import Decision, Incident, Playbook, Remediation, Rule, Step, Target, Transition, change
from remediation.observe import window
from remediation.observe.base import Question
from remediation.series import Matrix
from remediation.targets.base import Facts, TargetRef
from remediation.verify.recovery import Look
from tests.remediation.world import World, make_playbook, make_rule, make_service, make_user

WELL = {"app-1": 1.0, "app-2": 1.0}
BAD = {"app-1": 0.0, "app-2": 1.0}


def broken(world: World, *, autonomy: str = "auto", rule: dict[str, Any] | None = None, **step: Any) -> World:
    make_rule(make_service(), **(rule or {}))
    make_playbook(autonomy=autonomy, **step)
    world.set(WELL)
    world.tick()
    world.set(BAD)
    return world


def waiting(world: World, **step: Any) -> Remediation:
    """A remediation that awaits approval."""
    broken(world, autonomy="approve", **step).tick()
    return world.remediation()


def approve(world: World, row: Remediation) -> None:
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    world.answer_bells()


def evaluate(world: World) -> None:
    loop.evaluate(Rule.objects.get().pk, now=world.now)


def before_each_question(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]) -> None:
    """Let something happen while the condition is asked right before the effect."""
    ask = condition.ask

    def slow(incident: Incident, *, now: datetime) -> Look:
        look = ask(incident, now=now)
        meanwhile()
        return look

    for place in ("claim", "proof"):
        monkeypatch.setattr(f"remediation.repair.{place}.ask", slow)


def during_the_last_look(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]) -> None:
    """Let something happen after the targets were looked at, and before the claim."""
    preview = plans.preview

    def slow(*arguments: Any) -> Any:
        calls = preview(*arguments)
        meanwhile()
        return calls

    monkeypatch.setattr(plans, "preview", slow)


def breaks(world: World, error: Exception) -> None:
    """From now on nobody can look at a target."""

    def state(target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
        raise error

    world.ledger.state = state  # type: ignore[method-assign]


# --- what comes between the question and the effect ---


def test_freeze_while_questions_are_asked_holds_the_effect(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = waiting(world)

    def stop() -> None:
        world.now += timedelta(seconds=3)
        freeze.freeze(service=None, reason="stop", by="ann", until=None, now=world.now)
        evaluate(world)

    before_each_question(monkeypatch, stop)
    approve(world, row)
    assert (world.states(), world.ledger.effects) == (["gated"], [])


def test_freeze_by_a_clock_that_is_ahead_holds(world: World) -> None:
    row = waiting(world)
    freeze.freeze(service=None, reason="", by="ann", until=None, now=world.now + timedelta(seconds=5))
    approve(world, row)
    assert world.ledger.effects == []


@pytest.mark.parametrize("keep_firing_for_s", [0, 60])
def test_healed_between_the_question_and_the_claim_does_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, keep_firing_for_s: float
) -> None:
    row = waiting(world, rule={"keep_firing_for_s": keep_firing_for_s})

    def heal() -> None:
        world.now += timedelta(seconds=1)
        world.set(WELL)
        evaluate(world)

    during_the_last_look(monkeypatch, heal)
    approve(world, row)
    assert (world.states()[0], world.ledger.effects) == ("self_recovered", [])


def test_lease_begins_with_the_claim(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = waiting(world, timeout_s=5)
    leases: list[timedelta] = []

    def take_long() -> None:
        world.now += timedelta(seconds=16)
        evaluate(world)

    def note(target: TargetRef) -> None:
        lease = Remediation.objects.get().lease_until
        assert lease is not None
        leases.append(lease - world.now)

    before_each_question(monkeypatch, take_long)
    world.ledger.answer = note
    approve(world, row)
    assert leases
    assert leases[0] >= timedelta(seconds=5)


def test_worker_that_slept_past_its_lease_does_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = waiting(world, timeout_s=5)

    def sleep(name: str) -> None:
        if name == "intent-committed":
            Remediation.objects.update(due_at=world.now)
            world.now += timedelta(seconds=30)

    monkeypatch.setattr(repair.effect, "failpoint", sleep)
    approve(world, row)
    assert world.ledger.effects == []


def test_probe_is_not_believed_while_the_worker_may_still_be_at_it(world: World) -> None:
    row = waiting(world, timeout_s=20)
    lease = world.now + timedelta(seconds=30)
    Remediation.objects.update(state="executing", fence=1, lease_until=lease, due_at=lease)
    world.ticks(32)
    assert world.states() == ["unknown"]
    world.ticks(22)
    assert Remediation.objects.get(pk=row.pk).state == "failed"


def test_what_a_probe_denied_still_counts_for_the_cooldown(world: World) -> None:
    """In case the world was too slow to show it."""
    broken(world, max_attempts=2, cooldown_s=600, timeout_s=1)
    world.ledger.answer = world.ledger.lose_answer
    world.tick()
    world.ledger.pids["app-1"] -= 1
    world.ticks(20)
    assert world.states() == ["failed", "gated"]
    assert "Cooldown" in world.remediation().reason


def test_target_edited_after_the_last_look_is_not_acted_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = waiting(world)

    def rename() -> None:
        Target.objects.filter(name="app-1").update(name="db")

    during_the_last_look(monkeypatch, rename)
    approve(world, row)
    assert world.ledger.effects == ["app-1"]


def test_disabled_target_is_not_touched(world: World) -> None:
    row = waiting(world)
    Target.objects.filter(name="app-1").update(enabled=False)
    approve(world, row)
    assert (world.states()[0], world.ledger.effects) == ("superseded", [])


# --- lost bells and crashes ---


@pytest.mark.parametrize("end", ["ineffective", "failed", "rejected", "superseded", "expired"])
def test_end_whose_bell_was_lost_is_found_by_the_sweep(world: World, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    row = waiting(world, max_attempts=2, approval_ttl_s=600)
    rung = world.ring
    deaf = [True]

    def ring(task: str, **more: Any) -> bool:
        return False if deaf[0] and task == "reconcile" else rung(task, **more)

    monkeypatch.setattr(doorbell, "ring", ring)
    monkeypatch.setattr(loop, "ring", ring)
    Remediation.objects.update(state="executing" if end in ("ineffective", "failed") else row.state)
    row.refresh_from_db()
    if end == "ineffective":
        change(row, "verifying", now=world.now, reason="")
    change(row, end, now=world.now, reason="the worker died right after this")
    deaf[0] = False
    world.ticks(20)
    assert world.incident().needs_person or Remediation.objects.count() > 1


def test_approved_but_expired_while_held_calls_a_person(world: World) -> None:
    row = waiting(world, approval_ttl_s=10)
    freeze.freeze(service=None, reason="", by="ann", until=None, now=world.now)
    approve(world, row)
    world.ticks(15)
    freeze.lift(service=None, by="ann", now=world.now)
    world.ticks(15)
    assert world.states() == ["expired"]
    assert world.incident().needs_person


def test_approved_plan_whose_worker_died_goes_on(world: World) -> None:
    row = waiting(world)
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    Remediation.objects.update(state="awaiting_approval", due_at=world.now)
    world.bells.clear()
    world.ticks(2)
    assert world.ledger.effects == ["app-1"]


def test_reconciles_that_overlap_decide_once(world: World) -> None:
    broken(world)
    again: list[int] = []

    def slow(target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
        if len(again) < 3:
            again.append(1)
            world.now += timedelta(seconds=1)
            loop.reconcile(world.incident().pk, now=world.now)  # what the sweep rang for meanwhile
        raise EffectNotStarted("timed out")

    world.ledger.state = slow  # type: ignore[method-assign]
    world.now += timedelta(seconds=1)
    evaluate(world)
    loop.reconcile(world.incident().pk, now=world.now)
    assert Remediation.objects.count() == 1


# --- what nobody expects ---


@pytest.mark.parametrize("broken_part", ["verb", "state"])
def test_probe_that_breaks_ends_with_a_person(world: World, broken_part: str) -> None:
    broken(world)
    world.ledger.answer = world.ledger.lose_answer
    world.tick()
    assert world.states() == ["unknown"]
    if broken_part == "verb":
        Remediation.objects.update(verb="nosuch")
    else:
        breaks(world, KeyError("x"))
    world.ticks(75)
    assert world.states() == ["inconclusive"]
    assert world.incident().needs_person


def test_preview_that_breaks_calls_a_person(world: World) -> None:
    broken(world)
    breaks(world, TimeoutError("x"))
    world.ticks(20)
    assert world.incident().needs_person


def test_preview_that_breaks_right_before_the_effect_is_a_failure(world: World) -> None:
    row = waiting(world)
    breaks(world, TimeoutError("x"))
    approve(world, row)
    assert world.states()[0] == "failed"


def test_warning_on_one_rule_does_not_hold_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(world)
    make_rule(None, name="Warned", query="warned")
    fetch = world.fetch

    def picky(client: Any, question: Question, *, now: float) -> Matrix:
        if question.query == "warned":
            raise ObserveError("the source warns: something")
        return fetch(client, question, now=now)

    monkeypatch.setattr(window, "fetch", picky)
    world.ticks(3)
    assert world.ledger.effects == ["app-1"]


def test_result_that_cannot_be_stored_is_the_rules_error_and_frees_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = make_rule(make_service())
    world.set(WELL)

    def refuse(*_: Any, **__: Any) -> Any:
        raise ValueError("no")

    with monkeypatch.context() as patch:
        patch.setattr("remediation.episodes.take_in", refuse)
        world.tick()
    assert rule.status.error == "what it saw cannot be stored (ValueError)"
    world.tick()
    rule.status.refresh_from_db()
    assert (rule.status.error, rule.status.series) == ("", 2)


def test_a_record_is_complete_though_nobody_rings_after_the_end(world: World) -> None:
    """The incident is over while the proof is under way, and the bell that follows the verdict is lost."""
    broken(world)
    world.ticks(2)
    assert world.states() == ["verifying"]
    world.set(WELL)
    incident = world.incident()
    episodes.resolve(incident, now=world.now, reason="well")
    assert "under way" in Decision.objects.get().summary
    row = world.remediation()
    assert change(row, "verified", now=world.now, reason="3 good samples")
    assert "verified; the incident was over" in Decision.objects.get().summary


# --- edits while something is under way ---


def test_an_edit_of_the_step_does_not_move_the_end_of_what_is_held(world: World) -> None:
    """Invariant 17: how long a person is waited for is what the plan says."""
    freeze.freeze(service=None, reason="", by="ann", until=None, now=world.now)
    broken(world, autonomy="approve", approval_ttl_s=100).tick()
    assert world.states() == ["gated"]
    Step.objects.update(approval_ttl_s=5)
    freeze.lift(service=None, by="ann", now=world.now)
    world.ticks(10)
    row = world.remediation()
    assert row.state == "awaiting_approval"
    assert row.expires_at is not None
    assert (row.expires_at - world.now).total_seconds() > 80


def test_edited_rule_comes_to_an_end(world: World) -> None:
    broken(world)
    Playbook.objects.update(enabled=False)
    world.tick()
    Rule.objects.update(params={"op": "<", "value": 3})
    Rule.objects.get().keep_version(author="ann", now=world.now)
    world.set({"app-1": 2, "app-2": 5})
    Playbook.objects.update(enabled=True)
    world.ticks(60)
    assert Remediation.objects.count() < 5
    assert world.incident().rule_version.number == 2


def test_edited_query_does_not_swing_for_ever(world: World) -> None:
    waiting(world)
    Rule.objects.update(query="up2")
    Rule.objects.get().keep_version(author="ann", now=world.now)
    world.set({"app-1": 0, "app-2": 5}, query="up2")
    world.vanish("up")
    Remediation.objects.update(autonomy="auto", state="gated", due_at=world.now)
    world.ticks(60)
    assert Transition.objects.filter(kind="remediation").count() < 20


def test_rule_switched_off_during_its_repair_calls_a_person(world: World) -> None:
    broken(world).tick()
    Rule.objects.update(enabled=False)
    world.set(WELL)
    world.ticks(20)
    assert world.states() == ["verified"]
    assert "Its rule is off" in world.incident().attention


def test_series_that_is_gone_for_good_calls_a_person(world: World) -> None:
    broken(world)
    Playbook.objects.update(enabled=False)
    world.tick()
    world.set({"app-3": 1, "app-2": 1})
    world.ticks(30)
    assert not world.incident().needs_person
    world.now += timedelta(minutes=6)
    world.ticks(2)
    assert "close this by hand" in world.incident().attention


def test_another_playbook_begins_at_its_first_rung(world: World) -> None:
    broken(world, verify_within_s=3).ticks(2)
    other = Playbook.objects.create(name="New", matchers='alertname="AppDown"', autonomy="auto", priority=9)
    Step.objects.create(playbook=other, position=1, verb="restart", select='role="instance"', cooldown_s=0)
    other.keep_version(author="test", now=world.now)
    world.ticks(20)
    assert other.remediations.exists()


# --- endless repetition ---


def test_target_that_is_another_at_each_look_is_for_a_person(world: World) -> None:
    """It crashes and comes back in a circle: each approved plan is superseded."""
    row = waiting(world)
    ann = make_user("ann", "approver")
    for pid in range(8):
        row = world.remediation()
        if row.state != "awaiting_approval":
            break
        world.ledger.pids["app-1"] = 1000 + pid
        approval.approve(row, user=ann, digest=row.digest, now=world.now)
        world.answer_bells()
        world.ticks(8)
    assert world.incident().needs_person
    assert Remediation.objects.count() == 3


def test_spent_budget_asks_a_person(world: World) -> None:
    broken(world, budget=1, max_attempts=5, budget_window_s=36000, verify_within_s=3).ticks(30)
    assert world.ledger.effects == ["app-1"]
    assert "1 of 1 effects spent" in world.incident().attention


def test_circle_of_dependencies_holds_nobody(world: World) -> None:
    one, two = make_service("one", targets=("one-1",)), make_service("two", targets=("two-1",))
    one.depends_on.add(two)
    two.depends_on.add(one)
    make_rule(one, query="one")
    make_rule(two, name="TwoDown", query="two")
    make_playbook()
    world.set({"one-1": 0}, query="one")
    world.set({"two-1": 0}, query="two")
    world.ticks(5)
    assert world.ledger.effects == ["one-1"]


# --- clocks and samples ---


@pytest.mark.parametrize("state", ["verifying", "gated", "unknown"])
def test_clock_set_back_does_not_stop_a_remediation(world: World, state: str) -> None:
    broken(world)
    frozen = state == "gated"
    if frozen:
        freeze.freeze(service=None, reason="", by="ann", until=None, now=world.now)
    if state == "unknown":
        world.ledger.answer = world.ledger.lose_answer
        world.tick()
    else:
        world.ticks(2)
    assert world.states() == [state]
    world.now -= timedelta(hours=1)
    freeze.lift(service=None, by="ann", now=world.now)
    world.set(BAD if frozen else WELL)
    world.ticks(30)
    assert world.states()[-1] != state


def test_unknown_look_does_not_shorten_the_deadline(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(world, verify_within_s=10)
    fetch = world.fetch

    def reaching(client: Any, question: Question, *, now: float) -> Matrix:
        return replace(fetch(client, question, now=now), reach_s=60.0)

    monkeypatch.setattr(window, "fetch", reaching)
    world.tick()
    world.set(WELL)
    world.ticks(15)
    world.down = "one hiccup"
    world.tick()
    world.down = ""
    world.ticks(60)
    assert world.states() == ["verified"]


def test_looks_that_overlap_lose_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(world, verify_within_s=60).tick()
    world.set(WELL)
    row = world.remediation()
    looked: list[int] = []

    def meanwhile() -> None:
        looked.append(1)
        if len(looked) == 1:  # it hangs so long that the next one comes
            world.now += timedelta(seconds=15)
            loop.advance(row.pk, now=world.now)

    before_each_question(monkeypatch, meanwhile)
    world.now += timedelta(seconds=1)
    loop.advance(row.pk, now=world.now)
    assert len(looked) == 2
    assert len(world.remediation().checks) == 2
