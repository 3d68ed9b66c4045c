"""Invariant 9: once an alert is stored the webhook says so, whatever breaks after that; and the same again is nothing
new."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client

from dashboard.api import ingest
from remediation import doorbell
from remediation.models import Alert, IngestToken, Source
from remediation.observe import alerts

pytestmark = [pytest.mark.django_db, pytest.mark.urls("dashboard.api.urls")]

FIRING: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "CartDown", "instance": "a:80"},
    "annotations": {"summary": "down"},
    "startsAt": "2026-01-01T12:00:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
}
RESOLVED = FIRING | {"status": "resolved", "endsAt": "2026-01-01T12:05:00Z"}
OTHERS: dict[str, dict[str, Any]] = {
    "labels": {"labels": {"alertname": "CartDown", "instance": "b:80"}},
    "start": {"startsAt": "2026-01-01T13:00:00Z"},
}


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    bells: list[str] = []

    def ring(task: str, **ids: object) -> bool:
        bells.append(task)
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    return bells


def post(*found: dict[str, Any], **message: Any) -> int:
    """The status of the answer; what the view raises is a 500, as it is outside of tests."""
    source, _ = Source.objects.get_or_create(name="prom", defaults={"url": "http://127.0.0.1:1"})
    client = Client(raise_request_exception=False)
    body = json.dumps({"version": "4", "status": "firing", "receiver": "homeostat", "alerts": list(found), **message})
    headers = {"Authorization": f"Bearer {IngestToken.issue(source, 'am')[1]}"}
    answer = client.post("/api/ingest/alertmanager/", body, content_type="application/json", headers=headers)
    return answer.status_code


@pytest.mark.parametrize("error", [OperationalError("database is locked"), InterfaceError("gone"), ValueError("a bug")])
@pytest.mark.parametrize("place", ["the bell", "the use of the token", "the bell for the rest"])
@pytest.mark.usefixtures("rung")
def test_what_breaks_after_it_is_stored_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, place: str, error: Exception
) -> None:
    def breaks(*given: object, **more: object) -> bool:
        if place != "the bell for the rest" or given == ("pull_alerts",):
            raise error
        return True

    if place == "the use of the token":
        monkeypatch.setattr(ingest, "_note_use", breaks)
    else:
        monkeypatch.setattr(doorbell, "ring", breaks)
    truncated = {"truncatedAlerts": 3} if place == "the bell for the rest" else {}
    assert (post(FIRING, **truncated), Alert.objects.count()) == (200, 1)


def test_what_is_not_stored_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*given: object, **more: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(alerts, "store", locked)
    assert (post(FIRING), Alert.objects.count()) == (503, 0)


def test_the_same_again_is_stored_once_and_told_once(rung: list[str]) -> None:
    for _ in range(3):
        assert post(FIRING) == 200
    assert (Alert.objects.count(), rung) == (1, ["alerts_arrived"])
    for _ in range(3):
        assert post(RESOLVED) == 200
    assert list(Alert.objects.values_list("status", flat=True)) == ["resolved"]
    assert rung == ["alerts_arrived"] * 2


@pytest.mark.usefixtures("rung")
@pytest.mark.parametrize("order", sorted(set(itertools.permutations("FFRR"))), ids="".join)
def test_in_any_order_what_is_over_stays_over(order: tuple[str, ...]) -> None:
    for letter in order:
        post(FIRING if letter == "F" else RESOLVED)
    assert list(Alert.objects.values_list("status", flat=True)) == ["resolved"]


@pytest.mark.usefixtures("rung")
@pytest.mark.parametrize("differs", OTHERS)
def test_another_fingerprint_or_start_is_another_alert(differs: str) -> None:
    post(FIRING)
    post(FIRING | OTHERS[differs])
    assert Alert.objects.count() == 2
