"""Homeostat's own metrics: who may read them, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from remediation.models import Freeze, Heartbeat, Incident, Rule, RuleStatus, Source, SourceStatus

pytestmark = [pytest.mark.django_db, pytest.mark.urls("dashboard.api.urls")]


def scrape(client: Client) -> dict[tuple[str, tuple[str, ...]], float]:
    response = client.get("/metrics")
    assert response.status_code == 200
    families = text_string_to_metric_families(response.content.decode())
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


def test_scrape_from_this_machine_needs_no_token(client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="::1").status_code == 200


@pytest.mark.parametrize("address", ["10.0.0.1", "", "unix:"])
def test_scrape_from_elsewhere_is_401(client: Client, address: str) -> None:
    assert client.get("/metrics", REMOTE_ADDR=address).status_code == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_scrape_through_a_proxy_on_this_machine_is_401(client: Client, header: str) -> None:
    assert client.get("/metrics", headers={header: "127.0.0.1"}).status_code == 401


def test_scrape_with_the_token(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_METRICS_TOKEN", "s3cret")
    for shown, status in (("Bearer s3cret", 200), ("Bearer wrong", 401), ("s3cret", 401), ("Bearer ", 401)):
        headers = {"Authorization": shown}
        assert client.get("/metrics", headers=headers, REMOTE_ADDR="10.0.0.1").status_code == status


def test_scrape_without_a_token_set_accepts_no_empty_one(client: Client) -> None:
    headers = {"Authorization": "Bearer "}
    assert client.get("/metrics", headers=headers, REMOTE_ADDR="10.0.0.1").status_code == 401


def test_scrape_by_someone_signed_in(client: Client) -> None:
    client.force_login(User.objects.create_user("viewer"))
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.1").status_code == 200


def test_metrics_say_how_the_loop_is(client: Client) -> None:
    now = datetime.now(UTC)
    source = Source.objects.create(name="prom", url="http://127.0.0.1:1")
    SourceStatus.objects.create(source=source, failed_at=now, error="refused")
    rule = Rule.objects.create(name='Down"\n', source=source, query="up", detector="threshold")
    RuleStatus.objects.create(
        rule=rule, evaluated_at=now, took_ms=20, series=5, bad=2, unknown=1, overruns=3, error="bad PromQL"
    )
    version = rule.keep_version(author="test", now=now)
    Incident.objects.create(
        rule=rule,
        rule_version=version,
        fingerprint="f",
        series_labels={},
        labels={},
        state="firing",
        severity="critical",
        state_since=now,
        opened_at=now,
        decide_at=now - timedelta(seconds=30),
    )
    Heartbeat.beat("reconcile", now=now - timedelta(seconds=9), every_s=1)
    Freeze.objects.create(by="somebody", at=now)
    found = scrape(client)
    name = 'Down"\n'
    assert found[("homeostat_incidents", ("critical", "firing"))] == 1
    assert found[("homeostat_rule_overruns_total", (name,))] == 3
    assert found[("homeostat_rule_failing", (name,))] == 1
    assert [found[("homeostat_rule_series", (name, verdict))] for verdict in ("ok", "bad", "unknown")] == [2, 2, 1]
    assert found[("homeostat_source_failing", ("prom",))] == 1
    assert found[("homeostat_freezes", ())] == 1
    assert 9 <= found[("homeostat_heartbeat_age_seconds", ("reconcile",))] < 20
    assert 30 <= found[("homeostat_oldest_waiting_seconds", ("incident",))] < 40
    assert found[("homeostat_oldest_waiting_seconds", ("remediation",))] == 0


def test_metrics_take_few_queries(client: Client, django_assert_max_num_queries: Callable[[int], object]) -> None:
    with django_assert_max_num_queries(12):  # type: ignore[attr-defined]
        assert client.get("/metrics").status_code == 200
