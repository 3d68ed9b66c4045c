"""What an Alertmanager posts is stored or refused in clear words; nothing else about it can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import OperationalError
from django.test import Client

from remediation import doorbell
from remediation.models import Alert, IngestToken, Source
from remediation.observe import alerts

pytestmark = [pytest.mark.django_db, pytest.mark.urls("dashboard.api.urls")]

URL = "/api/ingest/alertmanager/"
Post = Callable[..., Any]


@pytest.fixture
def source() -> Source:
    return Source.objects.create(name="prom", url="http://127.0.0.1:1")


@pytest.fixture
def token(source: Source) -> str:
    return IngestToken.issue(source, "alertmanager-1")[1]


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, int]]]:
    bells: list[tuple[str, dict[str, int]]] = []

    def ring(task: str, **ids: int) -> bool:
        bells.append((task, ids))
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    return bells


@pytest.fixture
def post(token: str, rung: list[Any]) -> Post:
    client = Client(enforce_csrf_checks=True)

    def send(body: Any, *, authorization: str = f"Bearer {token}") -> Any:
        headers = {"Authorization": authorization} if authorization else {}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.post(URL, content, content_type="application/json", headers=headers)

    return send


def message(*found: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"version": "4", "status": "firing", "receiver": "homeostat", "alerts": list(found), **fields}


def alert(status: str = "firing", **fields: Any) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "CartDown", "instance": "a:80"},
        "annotations": {"summary": "down"},
        "startsAt": "2026-01-01T12:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph?g0.expr=up",
        "fingerprint": "ignored",
        **fields,
    }


def test_message_is_stored_and_rung_for(post: Post, source: Source, rung: list[Any]) -> None:
    response = post(message(alert(), unknown_field={"new": True}))
    assert (response.status_code, response.json()) == (200, {"stored": 1, "changed": 1, "skipped": 0})
    row = Alert.objects.get()
    assert (row.source, row.status, row.labels["alertname"], row.ends_at) == (source, "firing", "CartDown", None)
    assert rung == [("alerts_arrived", {"source_id": source.pk, "alert_ids": [row.pk]})]


def test_message_sent_a_hundred_times_is_stored_once(post: Post, rung: list[Any]) -> None:
    assert {post(message(alert())).status_code for _ in range(100)} == {200}
    assert (Alert.objects.count(), len(rung)) == (1, 1)


def test_resolved_before_firing_stays_resolved(post: Post) -> None:
    post(message(alert("resolved", endsAt="2026-01-01T12:05:00Z")))
    assert post(message(alert())).status_code == 200
    assert Alert.objects.get().status == "resolved"


def test_message_with_truncated_alerts_is_stored_and_the_rest_asked_for(
    post: Post, source: Source, rung: list[Any]
) -> None:
    assert post(message(alert(), truncatedAlerts=9)).status_code == 200
    ids = {"source_id": source.pk}
    assert rung == [("alerts_arrived", ids | {"alert_ids": [Alert.objects.get().pk]}), ("pull_alerts", ids)]


def test_broker_away_still_answers_200(
    token: str, source: Source, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(current_app, "send_task", broken)
    headers = {"Authorization": f"Bearer {token}"}
    response = client.post(URL, json.dumps(message(alert())), content_type="application/json", headers=headers)
    assert (response.status_code, Alert.objects.count()) == (200, 1)


def test_database_locked_asks_to_send_again(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(alerts, "store", locked)
    response = post(message(alert()))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic dXNlcjpwdw==", "Bearer é"])
def test_no_or_wrong_token_is_401(post: Post, authorization: str) -> None:
    response = post(message(alert()), authorization=authorization)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="homeostat"')
    assert not Alert.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [{"revoked_at": datetime(2026, 1, 1, tzinfo=UTC)}, {"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}],
    ids=["revoked", "expired"],
)
def test_revoked_or_expired_token_is_401(post: Post, fields: dict[str, datetime]) -> None:
    IngestToken.objects.update(**fields)
    assert post(message(alert())).status_code == 401


def test_token_of_a_disabled_source_is_401(post: Post) -> None:
    Source.objects.update(enabled=False)
    assert post(message(alert())).status_code == 401


def test_token_that_expires_later_is_good(post: Post) -> None:
    IngestToken.objects.update(expires_at=datetime.now(UTC) + timedelta(minutes=1))
    assert post(message(alert())).status_code == 200
    assert IngestToken.objects.get().last_used_at is not None


def test_another_sources_token_stores_only_for_that_source(post: Post, source: Source) -> None:
    other = Source.objects.create(name="other", url="http://127.0.0.1:2")
    theirs = IngestToken.issue(other, "theirs")[1]
    post(message(alert()), authorization=f"Bearer {theirs}")
    assert [row.source for row in Alert.objects.all()] == [other]


def test_the_token_is_asked_for_before_the_body_is_read(post: Post) -> None:
    assert post(b"{" * 2_000_000, authorization="Bearer wrong").status_code == 401


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 50 * 1024 * 1024])
def test_long_body_is_413(post: Post, size: int) -> None:
    response = post(b" " * size)
    assert (response.status_code, "max_alerts" in response.content.decode()) == (413, True)


def test_long_body_of_unknown_length_is_413(token: str, client: Client) -> None:
    """As a chunked request, which says nothing about its length."""
    response = client.post(
        URL,
        b" " * (1024 * 1024 + 1),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
        CONTENT_LENGTH="",
    )
    assert response.status_code in (400, 413)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"[]", "not a JSON object"),
        ({"version": "3", "alerts": []}, "version 4"),
        ({"version": "4"}, "not a list"),
        (message(alert(labels={})), "no labels"),
        (message(alert(labels={"a": 1})), "not an object of texts"),
        (message(alert(labels={f"l{n}": "x" for n in range(10_000)})), "more than"),
        (message(alert(labels={"a b": "x"})), "not a label name"),
        (message(alert(labels={"a": "x\0"})), "NUL"),
        (message(alert("pending")), "neither firing nor resolved"),
        (message(alert(startsAt="yesterday")), "a time is not written like"),
        (message(alert(startsAt="0001-01-01T00:00:00Z")), "since when"),
    ],
)
def test_senseless_body_is_400_with_reason(post: Post, body: Any, words: str) -> None:
    response = post(body)
    assert (response.status_code, words in response.json()["error"]) == (400, True), response.content
    assert not Alert.objects.exists()


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (alert(labels={"http.status": "500"}), "'http.status' is not a label name"),
        (alert(labels={"a": "x" * 2001}), "the value of label a is longer than 2000 characters"),
        (alert(labels={"a": "x\0"}), "a NUL character in the labels"),
        (alert(startsAt="yesterday"), "a time is not written like 2026-01-31T12:00:00Z"),
        (7, "alerts is not a list of objects"),
    ],
)
def test_odd_alert_does_not_lose_the_others(
    post: Post, odd: Any, words: str, rung: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    response = post(message(odd, alert(), odd))
    assert (response.status_code, response.json()) == (
        200,
        {"stored": 1, "changed": 1, "skipped": 2, "reason": words},
    )
    assert [row.labels["alertname"] for row in Alert.objects.all()] == ["CartDown"]
    assert [bell for bell, _ in rung] == ["alerts_arrived"]
    assert [item.getMessage() for item in caplog.records] == [
        f"source prom: 2 alerts are left out, the first since {words}"
    ]


def test_message_without_alerts_is_200(post: Post, rung: list[Any]) -> None:
    response = post(message())
    assert (response.status_code, response.json(), rung) == (200, {"stored": 0, "changed": 0, "skipped": 0}, [])


def test_many_alerts_in_one_message_are_400_or_stored_in_full(post: Post) -> None:
    many = [alert(labels={"alertname": "A", "n": str(n)}) for n in range(1000)]
    assert post(message(*many)).status_code == 200
    assert Alert.objects.count() == 1000


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://x/" + "y" * 3000])
def test_address_that_must_not_be_linked_is_left_out(post: Post, url: str) -> None:
    assert post(message(alert(generatorURL=url))).status_code == 200
    assert Alert.objects.get().generator_url == ""


def test_get_is_405(client: Client) -> None:
    assert client.get(URL).status_code == 405
