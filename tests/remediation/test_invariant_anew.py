"""Invariant 4: every process is killed in the middle of everything, and one that is started anew, with nothing but the
rows, does to the second what one that was never killed would have done."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from remediation import conf
from remediation.decide import approval, freeze
from remediation.exceptions import EffectNotStarted
from remediation.models import Playbook, Remediation, Service, Step
from remediation.targets.base import TargetRef
from tests.broken.anew import go_on, go_on_anew
from tests.remediation.oracle import Killed
from tests.remediation.world import START, World, make_rule, make_service, make_user

SETTINGS = {"STORM_LEAST": 99, "STORM_SERVICES": 99, "PARTIAL_LEAST": 99, "BREAKER_OPENS_AFTER": 2, "CONCURRENCY": 9}
"""So many things go wrong here that it would be taken for a storm."""

UNDER_WAY = {
    "cool": "Cooldown: last effect 24 s ago, 40 s asked",
    "spent": "Budget: 1 of 1 effects spent in the last 60 min",
    "tripped": "Circuit breaker: open: 2 bad in a row, the last restart tripped-1: failed, "
    "tripped-1: connection refused",
    "frozen": "Freeze: frozen frozen: deploy (by ann)",
    "signed": "every guard lets it pass; 2 people must approve",
    "expiring": "every guard lets it pass; one person must approve",
    "ending": "every guard lets it pass; one person must approve",
    "proved": "4 of 9 good samples",
    "dead": "restart of dead-1 starts",
}
AFTERWARDS = ["signed-1", "slow-1", "frozen-1", "cool-1", "dead-1"]
ENDED = {"expiring": "expired", "ending": "self_recovered", "proved": "verified"}


def serve(name: str, *, autonomy: str = "auto", rule: dict[str, Any] | None = None, **step: Any) -> Service:
    """A service with one target, a rule and a playbook, all of them named alike."""
    service = make_service(name, targets=(f"{name}-1",))
    make_rule(service, name=name, query=name, **(rule or {}))
    playbook = Playbook.objects.create(name=name, matchers=f'alertname="{name}"', autonomy=autonomy)
    given = {"cooldown_s": 0, "good_samples": 2, "verify_within_s": 10, "timeout_s": 3, "collateral": False}
    Step.objects.create(playbook=playbook, verb="restart", select='role="instance"', **(given | step))
    playbook.keep_version(author="test", now=START)
    return service


def turn(world: World, value: float, *names: str, ticks: int) -> None:
    for name in names:
        world.set({f"{name}-1": value}, query=name)
    world.ticks(ticks)


def answer(target: TargetRef) -> None:
    if target.name == "dead-1":
        raise Killed
    if target.name == "tripped-1":
        raise EffectNotStarted("connection refused")


def in_the_middle(world: World) -> None:
    """Everything that has a timer, a count or a signature is under way."""
    serve("cool", cooldown_s=40)
    serve("spent", budget=1)
    serve("tripped")
    serve("signed", autonomy="approve", approvals=2)
    serve("expiring", autonomy="approve", approval_ttl_s=10)
    serve("slow", rule={"for_s": 8})
    serve("ending", autonomy="approve", rule={"keep_firing_for_s": 8})
    serve("proved", good_samples=9)
    frozen, names = serve("frozen"), list(Service.objects.values_list("name", flat=True))
    serve("dead")
    ann = make_user("ann", "approver")
    make_user("bob", "approver")
    turn(world, 1, *names, "dead", ticks=1)
    world.ledger.answer = answer
    turn(world, 0, "cool", "spent", "tripped", "ending", ticks=1)
    turn(world, 1, "cool", "spent", "tripped", ticks=9)
    turn(world, 0, "tripped", ticks=1)
    turn(world, 1, "tripped", ticks=9)
    freeze.freeze(service=frozen, reason="deploy", by="ann", until=world.now + timedelta(seconds=14), now=world.now)
    turn(world, 0, "cool", "spent", "tripped", "frozen", "signed", "expiring", "proved", ticks=1)
    row = Remediation.objects.get(incident__rule__name="signed")
    approval.approve(row, user=ann, digest=row.digest, now=world.now)
    turn(world, 1, "proved", "ending", ticks=1)
    turn(world, 0, "slow", ticks=2)
    world.set({"dead-1": 0}, query="dead")
    with pytest.raises(Killed):
        world.tick()
    world.ledger.answer = lambda target: None
    world.bells.clear()


def kept(path: Path) -> Path:
    """The rows as they are committed, in a file."""
    connection.ensure_connection()
    file = sqlite3.connect(path)
    connection.connection.backup(file)
    file.close()
    return path


@pytest.mark.django_db(transaction=True)
def test_a_process_that_is_started_anew_goes_on_as_one_that_was_never_killed(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("copies the database as a file")
    for name, value in SETTINGS.items():
        monkeypatch.setattr(conf, name, value)
    in_the_middle(world)
    told = Remediation.objects.order_by("pk").values_list("incident__rule__name", "reason")
    assert dict(told) == UNDER_WAY
    anew = go_on_anew(world, kept(tmp_path / "rows.sqlite3"), tmp_path, **SETTINGS)
    went_on = go_on(world)
    for second, (one, other) in enumerate(zip(anew, went_on, strict=True)):
        assert one == other, f"after {second} s"
    assert [effect for tick in anew for effect in tick["effects"]] == AFTERWARDS
    ends = {name: state for name, state, _ in anew[-1]["remediations"]}
    assert {name: ends[name] for name in ENDED} == ENDED
