"""Autonomy: what is counted, what earns it, what costs it at once."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st

from remediation import loop, masking, shadow, trust
from remediation.chances import Lift, Share
from remediation.decide import freeze
from remediation.exceptions import Conflict
from remediation.models import Backtest, Playbook, Problem, Remediation, Rule, Transition
from remediation.states import Autonomy
from tests.remediation.world import START, World, make_playbook, make_rule, make_service, make_user

BROKEN, WELL = {"app-1": 0.0, "app-2": 1.0}, {"app-1": 1.0, "app-2": 1.0}


def shop(world: World, *, autonomy: str = "auto", **step: Any) -> Playbook:
    service = make_service()
    make_rule(service)
    world.set(WELL)
    world.tick()
    return make_playbook(autonomy=autonomy, **step)


def episode(world: World, *, helps: bool, lasts: int = 3) -> Remediation:
    """One fault from beginning to end, and the last remediation that came of it."""
    world.set(BROKEN)
    world.ticks(lasts)
    if helps:
        world.set(WELL)
    world.ticks(20)
    world.set(WELL)
    world.ticks(10)
    world.now += timedelta(hours=2)  # what comes back at once would be held as flapping
    world.ticks(3)
    return world.remediation()


# --- the numbers ------------------------------------------------------------------------------------------------------


def test_the_intervals_are_those_of_the_books() -> None:
    # Wilson for 8 of 10; Newcombe 1998, table II, example (a): 56/70 - 48/80, method 10: 0.0524 to 0.3339.
    assert (Share(hits=8, n=10).low, Share(hits=8, n=10).high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    lift = Lift(ours=Share(hits=56, n=70), alone=Share(hits=48, n=80))
    assert (lift.low, lift.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_the_interval_holds_the_value_and_stays_possible(a: int, m: int, b: int, n: int) -> None:
    lift = Lift(ours=Share(hits=min(a, m), n=m), alone=Share(hits=min(b, n), n=n))
    assert -1 - 1e-9 <= lift.low <= lift.high <= 1 + 1e-9
    if lift.known:
        assert lift.low - 1e-9 <= lift.value <= lift.high + 1e-9
    else:
        assert (lift.low, lift.high) == (-1, 1)


def test_without_a_case_nothing_is_known() -> None:
    assert math.isnan(Share(hits=0, n=0).value)
    assert not Lift(ours=Share(hits=5, n=5), alone=Share(hits=0, n=0)).known


# --- what costs it ----------------------------------------------------------------------------------------------------


def test_two_bad_verdicts_in_a_row_cost_it(world: World) -> None:
    playbook = shop(world, max_attempts=1, verify_within_s=3, good_samples=2, budget=100)
    assert episode(world, helps=True).state == "verified"
    assert episode(world, helps=False).state == "ineffective"
    playbook.refresh_from_db()
    assert playbook.autonomy == Autonomy.AUTO
    assert episode(world, helps=False).state == "ineffective"
    world.set(BROKEN)
    world.ticks(4)
    playbook.refresh_from_db()
    assert playbook.autonomy == Autonomy.APPROVE
    assert "2 attempts in a row did not help" in playbook.autonomy_reason
    assert world.remediation().state == "awaiting_approval"
    assert Transition.objects.filter(kind="playbook", to_state="autonomy approve").count() == 1


def test_a_verified_one_between_two_bad_ones_keeps_it(world: World) -> None:
    playbook = shop(world, max_attempts=1, verify_within_s=3, good_samples=2, budget=100)
    for helps in (False, True, False, True):
        episode(world, helps=helps)
    assert not trust.demote_if_due(playbook, now=world.now)


@pytest.mark.parametrize("what", ["worsened", "collateral", "relapsed twice"])
def test_harm_costs_it(world: World, what: str) -> None:
    playbook = shop(world, budget=100)
    rows = [episode(world, helps=True), episode(world, helps=True)]
    assert not trust.demote_if_due(playbook, now=world.now)
    match what:
        case "worsened":
            Remediation.objects.filter(pk=rows[0].pk).update(state="worsened")
        case "collateral":
            Remediation.objects.filter(pk=rows[0].pk).update(collateral=["cart turned bad"])
        case _:
            Remediation.objects.filter(pk__in=[row.pk for row in rows]).update(relapsed_at=world.now)
    assert trust.demote_if_due(playbook, now=world.now)
    assert playbook.autonomy == Autonomy.APPROVE


def test_harm_costs_it_while_the_undo_is_held(world: World) -> None:
    """A freeze of one service may hold its undo for days; the others are not to be repaired by it meanwhile."""
    playbook = shop(world, budget=100)
    row = episode(world, helps=True)
    Remediation.objects.filter(pk=row.pk).update(state="rolling_back", state_since=world.now, ended_at=None)
    assert trust.demote_if_due(playbook, now=world.now)
    assert "made things worse" in playbook.autonomy_reason


def test_what_waits_in_the_gate_asks_once_its_playbook_has_lost_it(world: World) -> None:
    playbook = shop(world)
    freeze.freeze(service=None, reason="", by="ann", until=None, now=world.now)
    world.set(BROKEN)
    world.ticks(3)
    assert world.states() == ["gated"]
    trust.give(playbook, Autonomy.SHADOW, by="ann", reason="it restarts too much", now=world.now)
    freeze.lift(service=None, by="ann", now=world.now)
    world.ticks(5)
    row = world.remediation()
    assert (row.state, world.ledger.effects) == ("awaiting_approval", [])
    assert "was switched to shadow since this was planned" in row.reason


def test_what_is_ready_asks_once_its_playbook_is_switched_off(world: World) -> None:
    playbook = shop(world)
    world.set(BROKEN)
    do = world.do
    world.do = lambda task, ids: None if task == "act" else do(task, ids)  # type: ignore[method-assign]
    world.ticks(3)
    assert world.states() == ["ready"]
    Playbook.objects.filter(pk=playbook.pk).update(enabled=False)
    loop.act(world.remediation().pk, now=world.now)
    world.answer_bells()
    assert (world.remediation().state, world.ledger.effects) == ("awaiting_approval", [])


def test_what_happened_before_it_was_given_does_not_cost_it_again(world: World) -> None:
    playbook = shop(world, budget=100)
    row = episode(world, helps=True)
    Remediation.objects.filter(pk=row.pk).update(state="worsened")
    assert trust.demote_if_due(playbook, now=world.now)
    trust.give(playbook, Autonomy.AUTO, by="ann", reason="the cause is mended", now=world.now)
    assert not trust.demote_if_due(playbook, now=world.now + timedelta(seconds=1))
    assert playbook.autonomy == Autonomy.AUTO


def test_long_silence_costs_it(world: World) -> None:
    playbook = shop(world)
    later = START + timedelta(days=playbook.silence_days, hours=1)
    assert not trust.demote_if_due(playbook, now=later - timedelta(hours=2))
    trust.sweep(now=later)
    playbook.refresh_from_db()
    assert playbook.autonomy == Autonomy.APPROVE
    assert "not used for 60 days" in playbook.autonomy_reason


def test_an_edited_rule_is_asked_about_until_somebody_trusts_it_again(world: World) -> None:
    playbook = shop(world)
    rule = Rule.objects.get()
    rule.params = {"op": "<", "value": 0.5}
    rule.save()
    rule.keep_version(author="ann", now=world.now)
    world.set(BROKEN)
    world.ticks(4)
    assert world.remediation().state == "awaiting_approval"
    _, why = trust.autonomy_for(playbook, world.incident(), now=world.now)
    assert "was edited" in why
    trust.give(playbook, Autonomy.AUTO, by="ann", reason="looked at it", now=world.now)
    assert trust.autonomy_for(playbook, world.incident(), now=world.now) == (Autonomy.AUTO, "")


def test_an_edited_playbook_loses_it(world: World) -> None:
    playbook = shop(world)
    step = playbook.steps.get()
    step.settle_s = 5
    step.save()
    playbook.keep_version(author="ann", now=world.now)
    playbook.refresh_from_db()
    assert (playbook.autonomy, playbook.autonomy_since) == (Autonomy.APPROVE, world.now)


# --- what earns it ----------------------------------------------------------------------------------------------------


def test_shadow_counts_what_heals_by_itself(world: World) -> None:
    playbook = shop(world, autonomy="shadow")
    Playbook.objects.update(shadow_window_s=8)
    for lasts in (3, 15, 3):  # healed in time, not in time, healed in time
        world.set(BROKEN)
        world.ticks(lasts)
        world.set(WELL)
        world.ticks(10)
    shadow.settle_watches(now=world.now)
    alone = shadow.healed_alone(playbook)
    assert (alone.hits, alone.n) == (2, 3)
    assert world.ledger.effects == []
    assert Transition.objects.filter(to_state="healed by itself").count() == 2


def test_what_a_person_worked_on_says_nothing_about_healing(world: World) -> None:
    playbook = shop(world, autonomy="shadow")
    world.set(BROKEN)
    world.ticks(3)
    incident = world.incident()
    incident.acknowledged_by = make_user("ann", "operator")
    incident.save()
    world.set(WELL)
    world.ticks(3)
    shadow.settle_watches(now=world.now)
    assert shadow.healed_alone(playbook).n == 0


def test_promotion_asks_for_attempts_lift_and_a_backtest(world: World) -> None:
    playbook = shop(world, autonomy="shadow", budget=100)
    Playbook.objects.update(shadow_window_s=5, promote_after=4)
    playbook.refresh_from_db()
    for _ in range(4):
        world.set(BROKEN)
        world.ticks(12)
        world.set(WELL)
        world.ticks(4)
        world.now += timedelta(hours=2)
        world.ticks(2)
    offered = trust.proposal(playbook, now=world.now)
    assert offered is not None
    assert [one.met for one in offered.criteria] == [True, True, False]
    with pytest.raises(Conflict, match="criteria are not met"):
        trust.give(playbook, Autonomy.APPROVE, by="ann", reason="", now=world.now)
    Backtest.objects.create(
        rule=Rule.objects.get(),
        playbook=playbook,
        body={},
        start=START,
        end=world.now,
        state="done",
        by="ann",
        created_at=world.now,
        seen_at=world.now,
        ended_at=world.now,
    )
    with override("zh-hans"):
        trust.give(playbook, Autonomy.APPROVE, by="ann", reason="", now=world.now)
    playbook.refresh_from_db()
    assert playbook.autonomy == Autonomy.APPROVE
    assert playbook.autonomy_reason.startswith("earned: 4 faults watched to the end")  # what is kept is in English
    offered = trust.proposal(playbook, now=world.now)
    assert offered is not None
    assert not offered.met
    Playbook.objects.update(autonomy="auto")  # four attempts that help
    for _ in range(4):
        episode(world, helps=True)
    Playbook.objects.update(autonomy="approve")
    playbook.refresh_from_db()
    offered = trust.proposal(playbook, now=world.now)
    assert offered is not None
    assert offered.to == Autonomy.AUTO
    assert offered.met, offered.criteria
    [shown] = trust.records(playbook)
    assert (shown.attempts, shown.verified, shown.lift.value) == (4, 4, 1.0)


# --- what it masks ----------------------------------------------------------------------------------------------------


def test_the_same_repair_again_and_again_is_a_problem(world: World) -> None:
    shop(world, budget=100)
    Playbook.objects.update(masking_after=3)
    for _ in range(2):
        episode(world, helps=True)
    assert Problem.objects.count() == 0
    episode(world, helps=True)
    episode(world, helps=True)
    trust.sweep(now=world.now)
    problem = Problem.objects.get()
    assert problem.repairs == 4
    assert sum(problem.trend) == 4
    assert Transition.objects.filter(kind="problem", to_state="opened").count() == 1
    masking.close_problem(problem, by="ann", reason="leak mended", now=world.now)
    with pytest.raises(Conflict):
        masking.close_problem(problem, by="ann", reason="", now=world.now)
