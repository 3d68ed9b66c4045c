"""Invariant 17: what is edited is a new version, has to be trusted anew, and changes nothing that is in flight."""

from __future__ import annotations

from typing import Any

import pytest

from remediation.decide import approval
from remediation.decide.plan import digest_of
from remediation.models import Playbook, PlaybookVersion, Remediation, Rule, RuleVersion, Step, Target
from tests.remediation.world import World, make_playbook, make_rule, make_service, make_user

BAD = {"app-1": 0.0, "app-2": 1.0}
WELL = {"app-1": 1.0, "app-2": 1.0}
RULE_EDITS: dict[str, Any] = {
    "query": "up2",
    "detector": "absent",
    "params": {"op": "<", "value": 0.5},
    "for_s": 30.0,
    "keep_firing_for_s": 30.0,
    "interval_s": 2.0,
    "severity": "critical",
    "labels": {"tier": "1"},
}
STEP_EDITS: dict[str, Any] = {
    "verb": "scale",
    "select": 'name="app-2"',
    "max_targets": 2,
    "timeout_s": 7.0,
    "approvals": 2,
    "cooldown_s": 99.0,
    "budget": 0,
    "good_samples": 9,
    "verify_within_s": 99.0,
    "settle_s": 20.0,
    "min_healthy": 5,
    "collateral": False,
}


def shop(world: World, *, autonomy: str = "auto", **step: Any) -> Playbook:
    make_rule(make_service())
    playbook = make_playbook(autonomy=autonomy, **step)
    world.set(WELL)
    world.tick()
    return playbook


def edit_rule(world: World, **fields: Any) -> Rule:
    rule = Rule.objects.get()
    for name, value in fields.items():
        setattr(rule, name, value)
    rule.save()
    rule.keep_version(author="ann", now=world.now)
    return rule


def edit_step(world: World, playbook: Playbook, **fields: Any) -> Playbook:
    Step.objects.filter(playbook=playbook).update(**fields)
    playbook.keep_version(author="ann", now=world.now)
    playbook.refresh_from_db()
    return playbook


@pytest.mark.parametrize("field", RULE_EDITS)
def test_an_edited_rule_is_a_new_version_beside_the_old(world: World, field: str) -> None:
    shop(world)
    before = RuleVersion.objects.get().body
    edit_rule(world, **{field: RULE_EDITS[field]})
    assert list(RuleVersion.objects.order_by("number").values_list("number", "body")) == [
        (1, before),
        (2, Rule.objects.get().body()),
    ]
    edit_rule(world)  # saved as it is
    assert RuleVersion.objects.count() == 2


@pytest.mark.parametrize("field", STEP_EDITS)
def test_an_edited_playbook_is_a_new_version_and_loses_auto(world: World, field: str) -> None:
    playbook = shop(world)
    before = PlaybookVersion.objects.get().body
    edit_step(world, playbook, **{field: STEP_EDITS[field]})
    assert list(PlaybookVersion.objects.order_by("number").values_list("number", "body")) == [
        (1, before),
        (2, playbook.body()),
    ]
    assert (playbook.version, playbook.autonomy) == (2, "approve")


def test_what_an_edited_rule_finds_is_asked_about(world: World) -> None:
    """Its playbook is as it was; what it was trusted with is not."""
    shop(world)
    edit_rule(world, params={"op": "<", "value": 0.5})
    world.set(BAD)
    world.ticks(4)
    assert (world.states(), world.ledger.effects) == (["awaiting_approval"], [])


def test_an_edited_playbook_changes_no_plan_that_waits(world: World) -> None:
    """Approved before and after the edit, it is carried out and proved as it was planned and signed."""
    playbook = shop(world, autonomy="approve", good_samples=2)
    world.set(BAD)
    world.tick()
    row = world.remediation()
    plan, digest, needed = row.plan, row.digest, row.approvals_needed
    edit_step(world, playbook, **STEP_EDITS)
    world.ticks(3)
    row.refresh_from_db()
    assert (row.state, row.plan, row.digest, row.approvals_needed) == ("awaiting_approval", plan, digest, needed)
    assert digest_of(row.plan) == digest
    approval.approve(row, user=make_user("bob", "approver"), digest=digest, now=world.now)
    world.answer_bells()
    assert world.ledger.effects == ["app-1"]
    world.set(WELL)
    world.ticks(3)
    row.refresh_from_db()
    assert (row.state, row.plan["verify"]["good_samples"], row.playbook_version) == ("verified", 2, 1)


def test_an_edited_rule_judges_nothing_that_is_in_flight(world: World) -> None:
    """By the new version the fault would be over: the proof goes by the version that fired."""
    shop(world, good_samples=2, verify_within_s=5)
    world.set(BAD)
    world.tick()
    assert world.states() == ["verifying"]
    edit_rule(world, params={"op": "<", "value": -1})
    world.ticks(3)
    incident = world.incident()
    assert (world.states(), incident.rule_version.number) == (["verifying"], 1)
    world.ticks(8)
    assert world.states()[0] == "ineffective"


def test_a_rule_that_was_edited_while_a_person_was_asked(world: World) -> None:
    """Asked again before the effect is the condition that the plan and its signature are about."""
    shop(world, autonomy="approve")
    world.set({"app-1": 0.7, "app-2": 1.0})
    world.tick()
    row = world.remediation()
    edit_rule(world, params={"op": "<", "value": 0.5}, keep_firing_for_s=60.0)
    approval.approve(row, user=make_user("bob", "approver"), digest=row.digest, now=world.now)
    world.answer_bells()
    row.refresh_from_db()
    assert row.plan["evidence"]["rule_version"] == 1
    assert world.ledger.effects == ["app-1"]
    assert Remediation.objects.count() == Target.objects.filter(remediations=row).count() == 1
