"""Cooldown: counted for each target from the call that touched it, and from an undo."""

from __future__ import annotations

import pytest

from remediation.models import Remediation, RemediationTarget
from tests.remediation.decide.situations import a_situation, ago, ask, past
from tests.remediation.world import make_service

pytestmark = pytest.mark.django_db


def test_holds_until_its_time_is_over_and_for_its_target_only() -> None:
    web = make_service()
    situation = a_situation(web, cooldown_s=60)
    past(web, "app-2", seconds=1)
    assert ask("cooldown", situation).reason == "no effect on this target before"
    past(web, "app-1", seconds=300)
    assert ask("cooldown", situation).passed
    past(web, "app-1", seconds=59)
    answer = ask("cooldown", situation)
    assert (answer.passed, answer.reason) == (False, "last effect 59 s ago, 60 s asked")


def test_target_that_a_long_rollout_reached_late_is_cooled_down_from_then() -> None:
    web = make_service()
    situation = a_situation(web, cooldown_s=300)
    rollout = past(web, "app-1", seconds=900)
    assert ask("cooldown", situation).passed
    RemediationTarget.objects.filter(remediation=rollout).update(effect_started_at=ago(30))
    answer = ask("cooldown", situation)
    assert (answer.passed, answer.numbers["since_s"]) == (False, 30)


def test_an_undo_is_an_effect_too() -> None:
    web = make_service()
    situation = a_situation(web, cooldown_s=300)
    row = past(web, "app-1", seconds=900, state="rolled_back")
    assert ask("cooldown", situation).passed
    Remediation.objects.filter(pk=row.pk).update(undone={"started_at": ago(20).isoformat(), "fence": 2})
    answer = ask("cooldown", situation)
    assert (answer.passed, answer.numbers["since_s"]) == (False, 20)


def test_what_touched_nothing_cools_nothing_down() -> None:
    web = make_service()
    past(web, "app-1", seconds=10, effect_started_at=None, state="failed")
    assert ask("cooldown", a_situation(web, cooldown_s=300)).passed


def test_effect_that_lies_ahead_by_a_clock_that_was_set_back_holds() -> None:
    web = make_service()
    past(web, "app-1", seconds=-3600)
    assert not ask("cooldown", a_situation(web, cooldown_s=60)).passed
