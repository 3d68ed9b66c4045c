"""What is not certain yet, and what somebody edited in the middle: both stop a rollout."""

from __future__ import annotations

from typing import Any

import pytest

from remediation.models import Playbook, SeriesState, Service, Target
from remediation.repair import around
from remediation.targets.base import TargetRef
from tests.remediation.repair.test_rollout import ALL_DOWN, shop, stopped_after
from tests.remediation.world import World, make_rule, make_service


def with_front(world: World, *, query: str = "front", **rule: Any) -> World:
    """The shop, all of it down, and a front that depends on it and is well."""
    front = make_service("front", targets=())
    front.depends_on.add(Service.objects.get(name="web"))
    make_rule(front, name="FrontErrors", query=query, **rule)
    world.set({"web": 1}, query=query)
    world.set({"web": 1})
    world.tick()
    world.set(ALL_DOWN)
    return world


def test_a_dependant_that_has_just_turned_bad_stops_before_it_is_known_to_stay_so(world: World) -> None:
    """Its rule looks so seldom that a second verdict does not come in time."""
    with_front(shop(world), interval_s=600, for_s=600)

    def turn_bad(_: TargetRef) -> None:
        seen = SeriesState.objects.filter(rule__name="FrontErrors")
        seen.update(verdict="bad", phase="pending", judged_at=world.now.timestamp())

    world.ledger.answer = turn_bad
    world.tick()
    stopped_after(world, 1, "nobody can tell whether it stays so: FrontErrors of front")


def test_a_dependant_whose_verdicts_reach_far_back_stops_as_well(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """rate(x[5m]) rests on samples from before the effect for five minutes: too little to blame it, enough to stop."""
    with_front(shop(world, settle_s=6), query="front[5m]")
    monkeypatch.setattr(around, "_reach_s", lambda query, stale_after_s, detector: 300.0)
    world.ledger.answer = lambda target: world.set({"web": 0}, query="front[5m]")
    world.tick()
    stopped_after(world, 1, "turned bad meanwhile: FrontErrors of front")


@pytest.mark.parametrize(
    ("edit", "why"), [({"enabled": False}, "app-2 was disabled"), ({"role": "canary"}, "app-2 was edited")]
)
def test_target_that_somebody_edited_meanwhile_stops(world: World, edit: dict[str, Any], why: str) -> None:
    shop(world)

    def edit_next(_: TargetRef) -> None:
        Target.objects.filter(name="app-2").update(**edit)

    world.ledger.answer = edit_next
    world.tick()
    stopped_after(world, 1, why)


@pytest.mark.parametrize("change", [{"enabled": False}, {"autonomy": "shadow"}])
def test_playbook_that_somebody_switched_off_meanwhile_stops(world: World, change: dict[str, Any]) -> None:
    shop(world, rollout="together")

    def switch(target: TargetRef) -> None:
        if target.name == "app-2":
            Playbook.objects.update(**change)

    world.ledger.answer = switch
    world.tick()
    stopped_after(world, 2, "since this was planned")
