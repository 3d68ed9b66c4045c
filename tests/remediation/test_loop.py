"""The whole loop in the small world: what is noticed, asked, done and proved, and what is left alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from remediation import episodes, loop
from remediation.decide import approval, freeze
from remediation.exceptions import Conflict, NotAllowed
from remediation.models import Decision, Incident, Remediation, RemediationTarget, SeriesState, Target, Transition
from remediation.states import Outcome
from tests.remediation.world import World, make_playbook, make_rule, make_service, make_user


def broken(world: World, *, autonomy: str = "auto", **step: object) -> World:
    """A service whose app-1 has just gone down."""
    service = make_service()
    make_rule(service)
    make_playbook(autonomy=autonomy, **step)  # type: ignore[arg-type]
    world.set({"app-1": 1, "app-2": 1})
    world.tick()
    world.set({"app-1": 0, "app-2": 1})
    return world


def test_auto_restarts_once_and_verifies(world: World) -> None:
    broken(world)
    world.tick()
    assert world.ledger.effects == ["app-1"]
    assert world.states() == ["verifying"]
    world.set({"app-1": 1, "app-2": 1})
    world.ticks(4)
    assert world.states() == ["verified"]
    assert world.incident().state == "resolved"
    assert Decision.objects.get().outcome == Outcome.ACTED
    assert not RemediationTarget.objects.filter(live=True).exists()
    assert list(Transition.objects.filter(kind="remediation").values_list("to_state", flat=True)) == [
        "planned",
        "ready",
        "executing",
        "verifying",
        "verified",
    ]


def test_approve_waits_for_a_person_and_then_acts(world: World) -> None:
    broken(world, autonomy="approve")
    world.ticks(3)
    row = world.remediation()
    assert (row.state, world.ledger.effects) == ("awaiting_approval", [])
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    world.answer_bells()
    assert world.ledger.effects == ["app-1"]


def test_approve_needs_the_digest_the_right_and_the_time(world: World) -> None:
    broken(world, autonomy="approve", approval_ttl_s=30)
    world.tick()
    row = world.remediation()
    with pytest.raises(NotAllowed):
        approval.approve(row, user=make_user("vic", "viewer"), digest=row.digest, now=world.now)
    ann = make_user("ann", "approver")
    with pytest.raises(Conflict):
        approval.approve(row, user=ann, digest="0" * 64, now=world.now)
    with pytest.raises(Conflict):
        approval.approve(row, user=ann, digest=row.digest, now=world.now + timedelta(seconds=31))
    assert world.ledger.effects == []


def test_second_answer_is_told_who_was_quicker(world: World) -> None:
    broken(world, autonomy="approve")
    world.tick()
    row = world.remediation()
    approval.reject(row, user=make_user("ann", "approver"), digest=row.digest, reason="not now", now=world.now)
    with pytest.raises(Conflict, match="rejected by ann: not now"):
        approval.approve(row, user=make_user("bob", "approver"), digest=row.digest, now=world.now)
    world.ticks(3)
    assert world.ledger.effects == []
    assert world.incident().needs_person


def test_two_people_must_be_two(world: World) -> None:
    broken(world, autonomy="approve", approvals=2)
    world.tick()
    row = world.remediation()
    ann = make_user("ann", "approver")
    approval.approve(row, user=ann, digest=row.digest, now=world.now)
    with pytest.raises(Conflict):
        approval.approve(row, user=ann, digest=row.digest, now=world.now)
    world.answer_bells()
    assert world.ledger.effects == []
    approval.approve(row, user=make_user("bob", "approver"), digest=row.digest, now=world.now)
    world.answer_bells()
    assert world.ledger.effects == ["app-1"]


def test_expired_is_not_rejected_and_calls_a_person(world: World) -> None:
    broken(world, autonomy="approve", approval_ttl_s=5)
    world.ticks(8)
    assert world.states() == ["expired"]
    assert "was not answered in time" in world.incident().attention


def test_shadow_records_and_does_nothing(world: World) -> None:
    broken(world, autonomy="shadow")
    world.ticks(5)
    assert (world.states(), world.ledger.effects) == (["shadowed"], [])
    assert Decision.objects.get().outcome == Outcome.SHADOWED


def test_healed_before_approval_is_self_recovered(world: World) -> None:
    broken(world, autonomy="approve")
    world.tick()
    world.set({"app-1": 1, "app-2": 1})
    world.ticks(2)
    assert (world.states(), world.ledger.effects) == (["self_recovered"], [])
    assert Decision.objects.get().closed_at is not None


def test_healed_between_approval_and_effect_does_nothing(world: World) -> None:
    broken(world, autonomy="approve")
    world.tick()
    row = world.remediation()
    world.set({"app-1": 1, "app-2": 1})
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    world.answer_bells()
    assert (world.states(), world.ledger.effects) == (["self_recovered"], [])


def test_target_changed_by_hand_supersedes_the_plan(world: World) -> None:
    broken(world, autonomy="approve")
    world.tick()
    row = world.remediation()
    world.ledger.pids["app-1"] = 777
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    world.answer_bells()
    assert (world.states()[0], world.ledger.effects) == ("superseded", [])


@pytest.mark.parametrize("edit", [{"labels": {"target": "app-1", "zone": "b"}}, {"role": "instance", "name": "app-9"}])
def test_target_edited_after_the_approval_supersedes_the_plan(world: World, edit: dict[str, Any]) -> None:
    """What a call's text does not show (a socket, a header) was signed with it."""
    broken(world, autonomy="approve")
    world.tick()
    row = world.remediation()
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    Target.objects.filter(name="app-1").update(**edit)
    world.ledger.restart_text = lambda target: "restart app-1"  # type: ignore[method-assign]
    world.answer_bells()
    assert (world.states()[0], world.ledger.effects) == ("superseded", [])


@pytest.mark.parametrize("blind", ["down", "vanish", "nan"])
def test_unknown_never_opens_acts_verifies_or_resolves(world: World, blind: str) -> None:
    service = make_service()
    make_rule(service)
    make_playbook()
    world.set({"app-1": 1})
    world.tick()

    def go_blind() -> None:
        if blind == "down":
            world.down = "connection refused"
        elif blind == "vanish":
            world.vanish()
        else:
            world.nan()

    go_blind()
    world.ticks(5)
    assert not Incident.objects.exists()
    assert set(SeriesState.objects.values_list("verdict", flat=True)) == {"unknown"}
    assert Transition.objects.filter(kind="rule", to_state="unknown").count() == 1
    world.down = ""
    world.set({"app-1": 0})
    world.tick()
    assert world.states() == ["verifying"]
    go_blind()
    world.ticks(30)
    assert world.states() == ["inconclusive"]
    assert world.incident().state == "firing"
    assert world.incident().needs_person


def test_blind_while_awaiting_does_not_act_on_approval(world: World) -> None:
    broken(world, autonomy="approve")
    world.tick()
    row = world.remediation()
    world.down = "connection refused"
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    world.answer_bells()
    assert (world.states(), world.ledger.effects) == (["gated"], [])
    world.down = ""
    world.ticks(12)
    assert world.ledger.effects == ["app-1"]


def test_ineffective_takes_the_next_rung_then_a_person(world: World) -> None:
    service = make_service()
    make_rule(service)
    make_playbook(verbs=("restart", "restart"), verify_within_s=3)
    world.set({"app-1": 0})
    world.ticks(25)
    assert world.states() == ["ineffective", "ineffective"]
    assert world.ledger.effects == ["app-1", "app-1"]
    assert world.incident().needs_person


def test_not_started_is_failed_and_tried_once_more(world: World) -> None:
    broken(world)
    world.ledger.answer = world.ledger.refuse
    world.ticks(4)
    assert world.states() == ["failed"]  # what refused is left alone for a while
    world.ticks(10)
    assert world.states() == ["failed", "failed"]
    assert world.incident().needs_person


def test_lost_answer_is_unknown_and_the_probe_decides(world: World) -> None:
    broken(world)
    world.ledger.answer = world.ledger.lose_answer
    world.tick()
    assert world.states() == ["unknown"]
    world.set({"app-1": 1, "app-2": 1})
    world.ticks(6)
    assert (world.states(), world.ledger.effects) == (["verified"], ["app-1"])


def test_freeze_holds_and_lifting_goes_on(world: World) -> None:
    broken(world)
    freeze.freeze(service=None, reason="deploy", by="ann", until=None, now=world.now)
    world.ticks(5)
    assert (world.states(), world.ledger.effects) == (["gated"], [])
    assert "frozen everywhere: deploy (by ann)" in world.remediation().reason
    freeze.lift(service=None, by="ann", now=world.now)
    world.ticks(3)
    assert world.ledger.effects == ["app-1"]


def test_cooldown_and_budget_hold_with_their_numbers(world: World) -> None:
    broken(world, cooldown_s=30, budget=2, verify_within_s=3)
    for _ in range(4):
        world.set({"app-1": 0, "app-2": 1})
        world.tick()
        world.set({"app-1": 1, "app-2": 1})
        world.ticks(5)
    assert world.ledger.effects == ["app-1"]
    world.now += timedelta(seconds=60)
    world.set({"app-1": 0, "app-2": 1})
    world.ticks(2)
    assert world.ledger.effects == ["app-1", "app-1"]
    world.set({"app-1": 1, "app-2": 1})
    world.ticks(5)
    world.now += timedelta(seconds=60)
    world.set({"app-1": 0, "app-2": 1})
    world.ticks(4)
    assert len(world.ledger.effects) == 2
    assert "2 of 2 effects spent in the last 60 min" in world.remediation().reason


def test_one_repair_of_a_service_at_a_time(world: World) -> None:
    service = make_service()
    make_rule(service)
    make_playbook()
    world.set({"app-1": 0, "app-2": 0})
    world.tick()
    assert sorted(world.states()) == ["gated", "verifying"]
    (first,) = world.ledger.effects
    world.set({"app-1": 0.0, "app-2": 0.0} | {first: 1.0})
    world.ticks(9)
    assert sorted(world.ledger.effects) == ["app-1", "app-2"]


def test_dependency_holds_the_victim_until_the_cause_is_repaired(world: World) -> None:
    web, payments = make_service(), make_service("payments", targets=("pay-1",))
    web.depends_on.add(payments)
    make_rule(web)
    make_rule(payments, name="PaymentsDown", query="pay")
    make_playbook()
    world.set({"app-1": 0}, query="up")
    world.set({"pay-1": 0}, query="pay")
    world.ticks(3)
    assert (world.states(), world.ledger.effects) == (["gated"], [])
    assert "waits for payments (PaymentsDown)" in world.remediation().reason
    world.set({"pay-1": 1}, query="pay")
    world.ticks(4)
    assert world.ledger.effects == ["app-1"]


def test_no_playbook_is_a_decision_with_its_reason(world: World) -> None:
    service = make_service()
    make_rule(service, name="TrafficLow")
    make_rule(service, name="Errors", query="errors", params={"op": ">", "value": 5})
    world.set({"app-1": 0}, query="up")
    world.set({"app-1": 0}, query="errors")
    world.ticks(2)
    decision = Decision.objects.get()
    assert decision.outcome == Outcome.NOTHING
    assert decision.summary == (
        "Did nothing: no playbook serves TrafficLow. All 1 other conditions of web are in their normal range."
    )


def test_no_matching_target_is_never_all(world: World) -> None:
    broken(world)
    world.set({"app-9": 0})
    world.ticks(2)
    assert world.ledger.effects == []
    assert "no target of web fits" in world.incident().attention


def test_relapse_in_the_same_episode_goes_up_the_ladder(world: World) -> None:
    service = make_service()
    make_rule(service, keep_firing_for_s=60)
    make_playbook(verbs=("restart", "restart"))
    world.set({"app-1": 0})
    world.tick()
    world.set({"app-1": 1})
    world.ticks(5)
    assert world.states() == ["verified"]
    world.set({"app-1": 0})
    world.ticks(12)
    assert world.ledger.effects == ["app-1", "app-1"]


def test_evaluation_happens_once_per_slot(world: World) -> None:
    rule = make_rule(make_service())
    world.set({"app-1": 1})
    assert [loop.evaluate(rule.pk, now=world.now) for _ in range(10)] == [True] + [False] * 9


def test_act_twice_has_one_effect(world: World) -> None:
    broken(world, autonomy="approve")
    world.tick()
    row = world.remediation()
    approval.approve(row, user=make_user("ann", "approver"), digest=row.digest, now=world.now)
    for _ in range(10):
        loop.act(row.pk, now=world.now)
    world.answer_bells()
    assert world.ledger.effects == ["app-1"]


def test_worker_that_never_reports_is_unknown_and_probed(world: World) -> None:
    broken(world, autonomy="approve", timeout_s=3)
    world.tick()
    Remediation.objects.update(
        state="executing",
        fence=1,
        lease_until=world.now + timedelta(seconds=5),
        due_at=world.now + timedelta(seconds=5),
    )
    world.ticks(4)
    assert world.states() == ["executing"]
    world.ticks(3)
    assert world.states() == ["unknown"]  # it may still be at it: nobody is believed who says it is not
    world.ticks(6)
    assert world.states()[0] == "failed"
    assert "did not take place" in Remediation.objects.order_by("pk")[0].reason


def test_clock_set_back_keeps_evaluating(world: World) -> None:
    rule = make_rule(make_service())
    world.set({"app-1": 1})
    world.tick()
    world.now -= timedelta(hours=1)
    assert loop.evaluate(rule.pk, now=world.now)
    assert not loop.evaluate(rule.pk, now=world.now)


def test_verification_looks_once_an_interval_whoever_rings(world: World) -> None:
    broken(world)
    world.tick()
    row = world.remediation()
    for _ in range(5):
        loop.reconcile(world.incident().pk, now=world.now)
        loop.advance(row.pk, now=world.now)
    assert len(world.remediation().checks) == 1


def test_replaced_series_is_forgotten_but_not_while_nothing_is_seen(world: World) -> None:
    make_rule(make_service())
    world.set({"app-1": 1, "app-2": 1})
    world.tick()
    world.set({"app-2": 1, "app-3": 1})
    world.tick()
    assert SeriesState.objects.get(labels__target="app-1").verdict == "unknown"
    world.now += timedelta(seconds=1000)
    world.tick()
    assert sorted(SeriesState.objects.values_list("labels__target", flat=True)) == ["app-2", "app-3"]
    world.vanish()
    world.tick()
    world.now += timedelta(seconds=1000)
    world.tick()
    assert sorted(SeriesState.objects.values_list("labels__target", flat=True)) == ["app-2", "app-3"]


def test_series_with_an_open_incident_is_never_forgotten(world: World) -> None:
    make_rule(make_service())
    world.set({"app-1": 0, "app-2": 1})
    world.tick()
    world.set({"app-2": 1})
    world.tick()
    world.now += timedelta(seconds=1000)
    world.ticks(2)
    assert world.incident().state == "firing"
    assert SeriesState.objects.filter(labels__target="app-1").exists()


def test_person_closes_what_nothing_can_see_the_end_of(world: World) -> None:
    make_rule(make_service())
    world.set({"app-1": 0})
    world.tick()
    with pytest.raises(Conflict, match="would open again at once"):
        episodes.close_by_hand(world.incident(), by="ann", reason="", now=world.now)
    world.set({"app-2": 1})
    world.tick()
    episodes.close_by_hand(world.incident(), by="ann", reason="replaced by app-2", now=world.now)
    assert world.incident().state == "resolved"
    assert Transition.objects.filter(kind="incident", to_state="resolved").get().actor == "ann"
    world.tick()
    assert set(SeriesState.objects.values_list("labels__target", flat=True)) == {"app-2"}
