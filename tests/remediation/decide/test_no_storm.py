"""A person's word that so much really broke: automation acts, inside its other limits, until the time is over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from remediation import conf
from remediation.decide import no_storm
from remediation.exceptions import Conflict
from remediation.models import Remediation, Source, Storm, Transition
from tests.remediation.many import NAMES, keep_trust, many, said, well
from tests.remediation.world import World


@pytest.fixture
def stormy(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    keep_trust(monkeypatch)
    many(world)
    well(world, *NAMES)
    world.ticks(5)
    assert (world.ledger.effects, Storm.objects.filter(ended_at=None).count()) == ([], 1)
    return world


def say(world: World, for_s: float = 900, **fields: Any) -> Storm:
    given = {"by": "ann", "reason": "rack 4 is dark"} | fields
    return no_storm.say(Source.objects.get(), for_s=for_s, now=world.now, **given)


def test_automation_acts_on_it_and_the_word_is_in_the_history(stormy: World) -> None:
    storm = say(stormy)
    stormy.ticks(5)
    assert stormy.ledger.effects != []
    row = Remediation.objects.exclude(effect_started_at=None).first()
    assert row is not None
    assert said(row, "storm")["reason"] == "ann says that it is no storm"
    assert said(row, "partial")["passed"]
    line = Transition.objects.get(kind="storm", to_state="dismissed")
    assert (line.actor, line.reason, line.object_id) == ("ann", "rack 4 is dark", storm.pk)
    assert line.facts["for_s"] == 900


def test_it_ends_by_itself_and_the_storm_holds_again(stormy: World) -> None:
    say(stormy, for_s=3)
    stormy.ticks(2)
    before = len(stormy.ledger.effects)
    assert before
    stormy.now += timedelta(seconds=3)
    stormy.ticks(30)
    assert len(stormy.ledger.effects) == before


def test_the_next_storm_holds_again(stormy: World) -> None:
    say(stormy, for_s=7200)
    Storm.objects.update(ended_at=stormy.now)
    Storm.objects.create(source=Source.objects.get(), began_at=stormy.now, last_at=stormy.now, reason="another")
    stormy.ticks(30)
    assert stormy.ledger.effects == []


@pytest.mark.parametrize(
    "numbers",
    [{"dismissed": True}, {"dismissed": {}}, {"dismissed": {"at": 0, "until": "always"}}, {"dismissed": {"until": 9e9}},
     {"dismissed": {"at": 8e9, "until": 9e9}}],
)  # fmt: skip
def test_what_cannot_be_read_holds(stormy: World, numbers: dict[str, Any]) -> None:
    Storm.objects.update(numbers=numbers)
    stormy.ticks(30)
    assert stormy.ledger.effects == []


def test_it_takes_a_reason_an_end_and_a_storm(stormy: World) -> None:
    for fields in ({"reason": "  "}, {"for_s": 0}, {"for_s": 86401}, {"for_s": float("nan")}):
        with pytest.raises(ValueError, match=r"say why|end by itself"):
            say(stormy, **fields)
    Storm.objects.update(ended_at=stormy.now)
    with pytest.raises(Conflict):
        say(stormy)
    assert not Transition.objects.filter(to_state="dismissed").exists()


def test_what_a_storm_alone_holds_is_asked_about_seldom(stormy: World) -> None:
    rows = Remediation.objects.filter(state="gated")
    waits = [(row.due_at - stormy.now).total_seconds() for row in rows if row.due_at]
    assert len(waits) == len(NAMES)
    assert min(waits) > conf.STORM_RECHECK_S - 6
    assert len(set(waits)) > 6
    say(stormy)
    assert set(rows.values_list("due_at", flat=True)) == {stormy.now}


def test_the_command_says_it_too(stormy: World, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="is no duration"):
        call_command("no_storm", "prom", "--reason", "x", "--for", "soon")
    call_command("no_storm", "prom", "--reason", "rack 4 is dark", "--for", "15m")
    assert "for 15m" in capsys.readouterr().out
    assert "(terminal)" in Transition.objects.get(to_state="dismissed").actor
