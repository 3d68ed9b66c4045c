"""Beat rings once per slot, for what is enabled now, and survives a database or broker that is away."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
from django.db import OperationalError

from dashboard.celery import app
from remediation import doorbell, schedule
from remediation.models import Rule, Source
from tests.remediation.world import make_rule

NOW = 1_800_000_000.0


class Bells:
    def __init__(self) -> None:
        self.rung: list[tuple[str, dict[str, Any]]] = []
        self.now = NOW

    def ring(self, task: str, *, expires_s: float | None = None, on_queue: str | None = None, **ids: Any) -> bool:
        self.rung.append((task, ids))
        return True

    def of(self, task: str) -> list[dict[str, Any]]:
        return [ids for name, ids in self.rung if name == task]


@pytest.fixture
def bells(monkeypatch: pytest.MonkeyPatch) -> Bells:
    made = Bells()
    monkeypatch.setattr(schedule, "ring", made.ring)
    monkeypatch.setattr("remediation.schedule.time.time", lambda: made.now)
    monkeypatch.setattr(schedule, "close_old_connections", lambda: None)  # it would end the test's own transaction
    return made


def run(beat: schedule.SlotScheduler, bells: Bells, seconds: float) -> None:
    """Let time pass as the scheduler asks for it."""
    end = bells.now + seconds
    while bells.now < end:
        bells.now += beat.tick()


@pytest.mark.django_db
def test_rule_is_rung_for_once_a_slot(bells: Bells) -> None:
    rule = make_rule(None, interval_s=5)
    run(schedule.SlotScheduler(app=app), bells, 50)
    assert len(bells.of("evaluate")) in (10, 11)
    assert bells.of("evaluate")[0] == {"rule_ids": [rule.pk]}


@pytest.mark.django_db
def test_edited_disabled_and_added_rules_are_noticed(bells: Bells) -> None:
    rule = make_rule(None, interval_s=1)
    beat = schedule.SlotScheduler(app=app)
    run(beat, bells, 4)
    Rule.objects.filter(pk=rule.pk).update(enabled=False)
    run(beat, bells, 3)
    bells.rung.clear()
    run(beat, bells, 5)
    assert bells.of("evaluate") == []
    Rule.objects.filter(pk=rule.pk).update(enabled=True)
    run(beat, bells, 5)
    assert len(bells.of("evaluate")) >= 2


@pytest.mark.django_db
def test_source_is_pulled_and_queues_get_their_canary(bells: Bells) -> None:
    Source.objects.create(name="prom", url="http://127.0.0.1:1", pull_alerts_s=5)
    run(schedule.SlotScheduler(app=app), bells, 11)
    assert len(bells.of("pull_alerts")) == 3
    assert {ids["queue"] for ids in bells.of("pulse")} == {"evaluate", "act"}
    assert len(bells.of("sweep")) >= 10


@pytest.mark.django_db
def test_database_that_is_away_leaves_the_known_rules_in_force(bells: Bells, monkeypatch: pytest.MonkeyPatch) -> None:
    make_rule(None, interval_s=1)
    beat = schedule.SlotScheduler(app=app)
    run(beat, bells, 1)

    def away(**_: Any) -> Any:
        raise OperationalError("the database is away")

    monkeypatch.setattr(Rule.objects, "filter", away)
    bells.rung.clear()
    run(beat, bells, 6)
    assert len(bells.of("evaluate")) >= 5


@pytest.mark.django_db
def test_clock_set_back_does_not_leave_everything_waiting(bells: Bells) -> None:
    make_rule(None, interval_s=1)
    beat = schedule.SlotScheduler(app=app)
    run(beat, bells, 5)
    bells.now -= 3600
    bells.rung.clear()
    run(beat, bells, 90)
    assert bells.of("evaluate")


def test_doorbell_without_a_broker_fails_softly_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real client against a socket that nobody serves: the webhook waits for this, so nothing is tried for long."""
    doorbell.ring("reconcile", incident_id=1)  # the first loads the client
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    tried: list[object] = []
    here = threading.get_ident()

    def connect(self: socket.socket, where: object) -> None:
        if threading.get_ident() == here:
            tried.append(where)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect, raising=False)
    assert doorbell.ring("reconcile", incident_id=1) is False
    assert 1 <= len(tried) <= 5, tried
    assert sum(slept) < 1
