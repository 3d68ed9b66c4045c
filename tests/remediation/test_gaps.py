"""What was not watched is noted when it is watched again, once, and costs nobody anything who looks in time."""

from __future__ import annotations

from datetime import timedelta
from math import ceil

import pytest

from remediation import evaluation, gaps, loop
from remediation.models import Gap, Rule, RuleStatus, RuleVersion, record
from tests.remediation.world import START, World, make_rule, make_service

pytestmark = pytest.mark.django_db


@pytest.fixture
def rule(world: World) -> Rule:
    world.set({"app-1": 1})
    return make_rule(make_service())


def look(world: World, rule: Rule, seconds: float) -> None:
    """An evaluation so long after the start."""
    world.now = START + timedelta(seconds=seconds)
    assert loop.evaluate(rule.pk, now=world.now)


def noted() -> list[tuple[int, int, bool]]:
    """Seconds from the start. A slot begins somewhat before the second in which it is looked at."""
    rows = Gap.objects.order_by("pk").values_list("began_at", "ended_at", "off")
    return [(ceil((a - START).total_seconds()), ceil((b - START).total_seconds()), off) for a, b, off in rows]


def test_what_comes_in_time_leaves_nothing(world: World, rule: Rule) -> None:
    for at in (1, 2, 30, 62):
        look(world, rule, at)
    assert noted() == []


def test_what_comes_too_late_is_noted_once(world: World, rule: Rule) -> None:
    for at in (1, 100, 101, 102):
        look(world, rule, at)
    assert noted() == [(1, 100, False)]


def test_a_rule_that_is_late_every_time_has_one_gap(world: World, rule: Rule) -> None:
    for at in (1, 100, 200, 300, 301, 400):
        look(world, rule, at)
    assert noted() == [(1, 300, False), (301, 400, False)]


def test_it_is_noted_also_where_the_source_is_away_when_it_is_looked_again(world: World, rule: Rule) -> None:
    """As after a machine's restart: Prometheus comes later than Homeostat."""
    look(world, rule, 1)
    world.down = "refused"
    look(world, rule, 100)
    look(world, rule, 200)
    world.down = ""
    look(world, rule, 300)
    assert noted() == [(1, 100, False)], "from then on the rule itself was unknown, which is in its history"


def test_what_was_switched_off_is_not_missed(world: World, rule: Rule) -> None:
    look(world, rule, 1)
    Rule.objects.update(enabled=False)
    assert not loop.evaluate(rule.pk, now=START + timedelta(seconds=50))
    Rule.objects.update(enabled=True)
    record(rule, "enabled", now=START + timedelta(seconds=99), actor="ann", from_state="disabled")
    look(world, rule, 100)
    look(world, rule, 200)
    assert noted() == [(1, 100, True), (100, 200, False)]


def test_a_rule_that_waited_for_its_first_turn_was_off(world: World, rule: Rule) -> None:
    look(world, rule, 100)
    assert noted() == [(0, 100, True)]


def test_a_rule_without_a_version_has_no_beginning(world: World, rule: Rule) -> None:
    RuleVersion.objects.all().delete()
    look(world, rule, 100)
    assert noted() == []


def test_what_was_not_reached_is_noted_when_it_is(world: World, rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    look(world, rule, 1)
    with monkeypatch.context() as slow:
        slow.setattr(evaluation, "look", lambda due, *, now, within_s: {})
        look(world, rule, 100)
    look(world, rule, 130)
    assert noted() == [(1, 130, False)]


def test_a_note_that_cannot_be_written_stops_nothing(world: World, rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    look(world, rule, 1)
    monkeypatch.setattr(gaps, "note", lambda *_args, **_more: 1 / 0)
    look(world, rule, 100)
    assert (RuleStatus.objects.get(rule=rule).evaluated_at or START) > START + timedelta(seconds=99)


def test_old_ones_go_when_new_ones_come(world: World, rule: Rule) -> None:
    for at in (1, 100, 101):
        look(world, rule, at)
    look(world, rule, 100 + gaps.KEPT.total_seconds() + 1)
    assert [began for began, _, _ in noted()] == [101]


def test_looking_in_time_asks_the_database_for_nothing(world: World, rule: Rule, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    look(world, rule, 1)
    status = RuleStatus.objects.get(rule=rule)
    with django_assert_num_queries(0):
        gaps.note([(rule, status)] * 100, now=START + timedelta(seconds=30))
