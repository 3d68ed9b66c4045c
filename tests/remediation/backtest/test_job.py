"""A backtest as a row: taken once, followed, stopped, and never left hanging; and the command that needs no row."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from remediation.backtest import job
from remediation.backtest import run as running
from remediation.exceptions import ConfigurationError
from remediation.models import Backtest, Incident, Remediation, Rule, Transition
from tests.remediation.backtest.recorded import RecordedClient
from tests.remediation.world import World, make_playbook, make_rule, make_service


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> RecordedClient:
    """Down for two minutes, an hour ago."""
    begin = timezone.now().timestamp() - 3600
    recorded = RecordedClient(series=[({"target": "app-1"}, lambda at: 0.0 if 0 <= at - begin < 120 else 1.0)])
    monkeypatch.setattr(running, "client_for", lambda source: recorded)
    monkeypatch.setattr(job, "ring_after_commit", world.ring)
    monkeypatch.setattr(job, "ring", world.ring)
    return recorded


@pytest.fixture
def rule(client: RecordedClient) -> Rule:
    return make_rule(make_service(), interval_s=5, for_s=10)


def started(rule: Rule, **changes: Any) -> Backtest:
    now = timezone.now()
    begin, playbook = now - timedelta(hours=2), changes.pop("playbook", None)
    return job.start(rule, changes=changes, begin=begin, end=now, playbook=playbook, by="ann", now=now)


def in_this_process(pk: int) -> str:
    job.work(pk)
    return ""


def test_it_is_computed_once_and_keeps_its_result(world: World, rule: Rule) -> None:
    row = started(rule, playbook=make_playbook())
    assert list(world.bells) == [("run_backtest", {"backtest_id": row.pk})]
    job.carry_out(row.pk, compute=in_this_process)
    row.refresh_from_db()
    assert (row.state, row.progress, row.error) == ("done", 1.0, "")
    assert row.result is not None
    assert (row.result["fired"], row.result["series"], row.result["simulated"]["acted"]) == (1, 1, 1)
    assert 100 <= row.result["firing_s"] <= 115
    job.carry_out(row.pk, compute=lambda pk: pytest.fail("it is over"))
    assert len(json.dumps(row.result)) < 5000


def test_nothing_is_touched(world: World, rule: Rule) -> None:
    job.carry_out(started(rule, playbook=make_playbook()).pk, compute=in_this_process)
    assert not Incident.objects.exists()
    assert not Remediation.objects.exists()
    assert not Transition.objects.exists()
    assert world.ledger.effects == []


def test_edits_are_judged_and_not_saved(rule: Rule) -> None:
    row = started(rule, params={"op": "<", "value": -1}, for_s=0)
    job.carry_out(row.pk, compute=in_this_process)
    row.refresh_from_db()
    rule.refresh_from_db()
    assert row.result is not None
    assert (row.result["fired"], rule.params["value"], rule.for_s) == (0, 1, 10)


def test_parameters_that_cannot_be_are_refused_at_once(rule: Rule) -> None:
    with pytest.raises(ConfigurationError):
        started(rule, params={"op": "about", "value": 1})
    assert not Backtest.objects.exists()


def test_cancelled_while_it_runs_it_stops_within_one_look(rule: Rule, client: RecordedClient) -> None:
    row = started(rule)

    def compute(pk: int) -> str:
        assert job.cancel(Backtest.objects.get(pk=pk), by="olga", now=timezone.now())
        assert not job.work(pk)
        return ""

    job.carry_out(row.pk, compute=compute)
    row.refresh_from_db()
    assert (row.state, row.error, row.result) == ("cancelled", "cancelled by olga", None)


def test_a_source_that_refuses_is_told(rule: Rule, client: RecordedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ConfigurationError("the secret env:X is not set")

    monkeypatch.setattr(client, "range", refuse)
    row = started(rule)
    job.carry_out(row.pk, compute=in_this_process)
    row.refresh_from_db()
    assert (row.state, row.error) == ("failed", "the secret env:X is not set")


def test_a_process_that_dies_leaves_a_reason(rule: Rule) -> None:
    row = started(rule)
    job.carry_out(row.pk, compute=lambda pk: "its process ended with -9")
    row.refresh_from_db()
    assert (row.state, row.error) == ("failed", "its process ended with -9")


def test_only_so_many_run_at_once_and_the_next_is_rung_for(world: World, rule: Rule) -> None:
    busy = [started(rule) for _ in range(job.AT_ONCE)]
    for row in busy:
        row.move("running", now=timezone.now())
    waiting = started(rule)
    job.carry_out(waiting.pk, compute=lambda pk: pytest.fail("too many"))
    waiting.refresh_from_db()
    assert waiting.state == "queued"
    busy[0].move("cancelled", now=timezone.now())
    world.bells.clear()
    other = started(rule)
    world.bells.clear()
    job.carry_out(other.pk, compute=in_this_process)
    assert list(world.bells) == [("run_backtest", {"backtest_id": waiting.pk})]


def test_old_ones_are_forgotten(rule: Rule) -> None:
    for _ in range(25):
        started(rule).move("cancelled", now=timezone.now())
    started(rule)
    assert Backtest.objects.count() == 21


# --- the command ------------------------------------------------------------------------------------------------------


def backtest(*argv: str) -> str:
    out = StringIO()
    call_command("backtest", *argv, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_command_tells_episodes_and_actions(rule: Rule) -> None:
    make_playbook(autonomy="approve")
    text = backtest("AppDown", "--from", "2h", "--playbook", "Restart")
    assert "Would have fired 1 times" in text
    assert "1 of them ended with nothing recorded to have been done" in text
    assert "the fault ended by itself first" in text
    assert "simulated" in text


def test_the_command_takes_other_parameters_and_times(rule: Rule) -> None:
    assert "Would have fired 0 times" in backtest("AppDown", "--from", "2h", "--set", "value=-1")
    assert "Would have fired 0 times" in backtest("AppDown", "--from", "2h", "--for", "5m")
    assert "Would have fired 0 times" in backtest("AppDown", "--from", "30m ago", "--to", "now")
    told = json.loads(backtest("AppDown", "--from", "2h", "--json"))
    assert (told["fired"], told["open_at_end"], told["evaluations"]) == (1, 0, 1440)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["Nope"], "There is no rule named 'Nope'. There are: AppDown."),
        ([], "Name a rule."),
        (["AppDown", "--from", "soon"], "'soon' is no time"),
        (["AppDown", "--from", "1h", "--to", "2h"], "--from must lie before --to."),
        (["AppDown", "--set", "value"], "write NAME=VALUE"),
        (["AppDown", "--set", "limit=3"], "limit"),
        (["AppDown", "--playbook", "x"], "There is no playbook named 'x'. There are: none."),
        (["AppDown", "--for", "long"], "'long' is no duration"),
    ],
)
def test_what_is_wrong_is_said_plainly(rule: Rule, argv: list[str], words: str) -> None:
    with pytest.raises(CommandError) as caught:
        backtest(*argv)
    assert words in str(caught.value)
