"""Invariant 19: every firing episode ends in one decision record that is closed and says what was done, or why not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from remediation import doorbell, episodes, loop
from remediation.decide import approval, freeze
from remediation.models import Decision, Incident, Playbook, Remediation, Rule
from tests.remediation.world import World, make_playbook, make_rule, make_service, make_user

BAD = {"app-1": 0.0, "app-2": 1.0}
WELL = {"app-1": 1.0, "app-2": 1.0}


def heal(world: World, ticks: int = 6) -> None:
    world.set(WELL)
    world.ticks(ticks)


def nobody_serves_it(world: World) -> None:
    Playbook.objects.update(enabled=False)
    world.ticks(2)
    heal(world)


def over_before_anybody_decided(world: World) -> None:
    rule = Rule.objects.get()
    for values in (BAD, WELL):
        world.set(values)
        world.now += timedelta(seconds=1)
        loop.evaluate(rule.pk, now=world.now)
    world.bells.clear()


def repaired(world: World) -> None:
    world.tick()
    heal(world)


def repair_outlives_it(world: World) -> None:
    """The incident is over at once; the proof takes longer."""
    world.tick()
    world.set(WELL)
    world.tick()
    assert (world.incident().state, world.states()) == ("resolved", ["verifying"])
    world.ticks(6)


def not_helped(world: World) -> None:
    world.ticks(20)
    heal(world)


def refused(world: World) -> None:
    world.ledger.answer = world.ledger.refuse
    world.ticks(20)
    heal(world)


def shadow(world: World) -> None:
    Playbook.objects.update(autonomy="shadow")
    world.ticks(3)
    heal(world)


def frozen(world: World) -> None:
    freeze.freeze(service=None, reason="deploy", by="ann", until=None, now=world.now)
    world.ticks(3)
    heal(world)


def unanswered(world: World) -> None:
    Playbook.objects.update(autonomy="approve")
    world.ticks(3)
    heal(world)


def rejected(world: World) -> None:
    Playbook.objects.update(autonomy="approve")
    world.tick()
    row = world.remediation()
    approval.reject(row, user=make_user("ann", "approver"), digest=row.digest, reason="no", now=world.now)
    world.ticks(3)
    heal(world)


def no_target_fits(world: World) -> None:
    world.set({**WELL, "app-9": 0.0})
    world.ticks(3)
    world.set({**WELL, "app-9": 1.0})
    world.ticks(4)


def closed_by_hand(world: World) -> None:
    Playbook.objects.update(enabled=False)
    world.ticks(2)
    world.vanish()
    world.ticks(3)
    episodes.close_by_hand(world.incident(), by="ann", reason="gone", now=world.now)


EPISODES: dict[Callable[[World], None], tuple[str, str]] = {
    nobody_serves_it: ("nothing", "Did nothing: no playbook serves AppDown."),
    over_before_anybody_decided: ("nothing", "Did nothing: it was over before anything was decided."),
    repaired: ("acted", "Restart of app-1, verified"),
    repair_outlives_it: ("acted", "Restart of app-1, verified"),
    not_helped: ("acted", "Restart of app-1 ended ineffective"),
    refused: ("nothing", "Did nothing"),
    shadow: ("shadowed", "Shadow: would have done restart app-1"),
    frozen: ("nothing", "Did nothing: it ended by itself while it was held (Freeze: frozen everywhere: deploy"),
    unanswered: ("nothing", "Did nothing: it ended by itself while a person was asked."),
    rejected: ("nothing", "Did nothing"),
    no_target_fits: ("nothing", "Did nothing: no target of web fits"),
    closed_by_hand: ("nothing", "Did nothing: no playbook serves AppDown."),
}


@pytest.mark.parametrize("goes", EPISODES, ids=lambda goes: goes.__name__)
def test_every_firing_episode_ends_in_one_record(
    world: World, monkeypatch: pytest.MonkeyPatch, goes: Callable[[World], None]
) -> None:
    make_rule(make_service())
    make_playbook(verify_within_s=4, good_samples=2)
    world.set(WELL)
    world.tick()
    world.set(BAD)
    goes(world)
    incident = Incident.objects.get()
    records = list(Decision.objects.filter(incident=incident))
    assert (incident.state, len(records)) == ("resolved", 1)
    outcome, summary = EPISODES[goes]
    assert (records[0].outcome, records[0].summary[: len(summary)]) == (outcome, summary)
    assert records[0].closed_at is not None
    assert not Remediation.objects.filter(ended_at=None).exists()


def test_what_never_fired_has_none(world: World) -> None:
    make_rule(make_service(), for_s=60)
    world.set(BAD)
    world.ticks(3)
    world.set(WELL)
    world.ticks(3)
    assert list(Incident.objects.values_list("state", flat=True)) == ["resolved"]
    assert not Decision.objects.exists()


def test_each_of_two_episodes_has_its_own(world: World) -> None:
    make_rule(make_service())
    values: list[dict[str, Any]] = [BAD, WELL, BAD, WELL]
    for one in values:
        world.set(one)
        world.ticks(2)
    assert Decision.objects.exclude(closed_at=None).count() == Incident.objects.count() == 2


def test_an_end_that_nobody_rang_for_closes_it_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (doorbell, loop):
        monkeypatch.setattr(module, "ring", lambda task, **ids: False)
    make_rule(make_service())
    for one in (BAD, WELL):
        world.set(one)
        world.ticks(2)
    assert Decision.objects.exclude(closed_at=None).count() == 1
