"""Invariant 20: each stage leaves signs of life, and one that stands still is seen in a banner, a metric and the
readiness; so is a row that waits for too long."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard.api import health
from dashboard.api.metrics import Knowledge
from dashboard.pages import chrome
from remediation import loop, schedule, tasks
from remediation.models import Heartbeat, Incident, Remediation
from tests.remediation.world import World, make_playbook, make_rule, make_service

pytestmark = pytest.mark.django_db

STAGES = ("beat", "reconcile", "storms", "worker:act", "worker:evaluate")


@pytest.fixture
def beat(monkeypatch: pytest.MonkeyPatch) -> Iterator[schedule.SlotScheduler]:
    """Beat, with a broker that takes every message and nobody who answers any."""
    monkeypatch.setattr(schedule, "ring", lambda task, **more: True)
    with Celery("test") as app:
        yield schedule.SlotScheduler(app=app)


def late(stage: str) -> Heartbeat:
    """A stage that stands still for a minute."""
    Heartbeat.beat(stage, now=timezone.now() - timedelta(minutes=1), every_s=2)
    return Heartbeat.objects.get(stage=stage)


def metric(name: str, **labels: str) -> list[float]:
    found = itertools.chain.from_iterable(one.samples for one in Knowledge(datetime.now(UTC)).collect())
    return [one.value for one in found if one.name == name and one.labels == labels]


def test_each_stage_leaves_signs_of_life(beat: schedule.SlotScheduler) -> None:
    beat.tick()
    loop.sweep()
    for queue in schedule.QUEUES:
        tasks.pulse(queue=queue)
    told = dict(Heartbeat.objects.order_by("stage").values_list("stage", "every_s"))
    assert tuple(told) == STAGES
    assert all(every_s > 0 for every_s in told.values())


def test_a_worker_that_never_came_is_missed(beat: schedule.SlotScheduler) -> None:
    """It has left no sign of life that could grow old: that one is expected is written by who rings for it."""
    beat.tick()
    later = timezone.now() + timedelta(minutes=1)
    assert {"worker:act", "worker:evaluate"} <= {row.stage for row in chrome.stalled(later)}
    assert {"worker:act", "worker:evaluate"} <= set(health.stalled(now=later))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_stands_still_is_a_banner_on_every_page(client: Client, stage: str) -> None:
    client.force_login(User.objects.create_user("ann"))
    assert "Homeostat itself stands still" not in client.get("/incidents/").content.decode()
    late(stage)
    for page in ("/", "/incidents/", "/rules/", "/system/"):
        text = client.get(page).content.decode()
        assert "Homeostat itself stands still" in text, page
        assert stage in text


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_stands_still_is_a_metric_and_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(health, "CHECKS", {"stages": health.CHECKS["stages"]})
    assert client.get("/-/ready").status_code == 200
    late(stage)
    assert metric("homeostat_heartbeat_age_seconds", stage=stage)[0] >= 60
    assert metric("homeostat_heartbeat_interval_seconds", stage=stage) == [2]
    answer = client.get("/-/ready")
    assert (answer.status_code, answer.json()["reasons"]) == (503, {"stages": f"no sign of life from: {stage}"})


def test_the_oldest_waiting_row_is_a_metric(world: World) -> None:
    make_rule(make_service())
    make_playbook(autonomy="approve")
    world.set({"app-1": 0.0, "app-2": 1.0})
    world.tick()
    waits: dict[str, Any] = {kind: metric("homeostat_oldest_waiting_seconds", kind=kind) for kind in ("incident",)}
    assert waits == {"incident": [0.0]}
    ago = timezone.now() - timedelta(seconds=100)
    Incident.objects.update(decide_at=ago)
    Remediation.objects.update(due_at=ago - timedelta(seconds=100))
    for kind, least in (("incident", 100), ("remediation", 200)):
        assert least <= metric("homeostat_oldest_waiting_seconds", kind=kind)[0] < least + 60
