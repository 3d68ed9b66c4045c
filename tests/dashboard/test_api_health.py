"""Health and readiness, for whoever asks; no secret in what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from django.test import Client

from dashboard.api import health
from dashboard.pages import chrome
from remediation import conf
from remediation.models import Heartbeat

pytestmark = [pytest.mark.django_db, pytest.mark.urls("dashboard.api.urls")]

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(health.CHECKS, "broker", lambda: None)


def test_healthy_needs_nothing(client: Client) -> None:
    response = client.get("/-/healthy")
    assert (response.status_code, response.content) == (200, b"Homeostat is healthy.\n")


@pytest.mark.usefixtures("broker_answers")
def test_ready_when_all_is_well(client: Client) -> None:
    response = client.get("/-/ready")
    assert (response.status_code, response.json()) == (200, {"ready": True, "reasons": {}})


def test_not_ready_without_broker(client: Client, settings: pytest.FixtureRequest) -> None:
    settings.HOMEOSTAT_REDIS_URL = "redis://:hunter2@127.0.0.1:1/0"  # type: ignore[attr-defined]
    response = client.get("/-/ready")
    assert (response.status_code, response.json()) == (
        503,
        {"ready": False, "reasons": {"broker": "does not answer (ConnectionError)"}},
    )


@pytest.mark.usefixtures("broker_answers")
def test_not_ready_without_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("password=hunter2 refused")

    monkeypatch.setitem(health.CHECKS, "database", away)
    response = client.get("/-/ready")
    assert (response.status_code, response.json()["reasons"]) == (
        503,
        {"database": "does not answer (OperationalError)"},
    )


@pytest.mark.usefixtures("broker_answers")
def test_not_ready_when_the_disk_is_full(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "FREE_BYTES", 1 << 60)
    response = client.get("/-/ready")
    assert (response.status_code, response.json()["reasons"]) == (503, {"disk": "the disk is full"})


@pytest.mark.usefixtures("broker_answers")
def test_not_ready_when_a_stage_is_stalled(client: Client) -> None:
    Heartbeat.beat("reconcile", now=datetime.now(UTC) - timedelta(minutes=1), every_s=1)
    response = client.get("/-/ready")
    assert (response.status_code, response.json()["reasons"]) == (503, {"stages": "no sign of life from: reconcile"})


@pytest.mark.parametrize(
    ("every_s", "age_s", "late"), [(0, 9999, False), (1, 4, False), (1, 6, True), (10, 22, False), (10, 24, True)]
)
def test_stalled_after_two_intervals_and_some_grace(every_s: float, age_s: float, late: bool) -> None:
    Heartbeat.beat("stage", now=NOW - timedelta(seconds=age_s), every_s=every_s)
    assert health.stalled(now=NOW) == (["stage"] if late else [])
    assert [row.stage for row in chrome.stalled(NOW)] == health.stalled(now=NOW)  # the banner says the same
