"""What `manage.py incidents` prints, for people and for scripts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from remediation.models import Decision, Incident, Playbook, Remediation, Rule, Service, Source

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def rule() -> Rule:
    source = Source.objects.create(name="prom", url="http://127.0.0.1:1")
    rule = Rule.objects.create(name="CartDown", source=source, query="up", detector="threshold")
    rule.keep_version(author="test", now=START)
    return rule


def incident(rule: Rule, *, number: int = 1, **fields: Any) -> Incident:
    values: dict[str, Any] = {
        "service": Service.objects.get_or_create(name="cart")[0],
        "series_labels": {"instance": f"a:{number}"},
        "labels": {"alertname": "CartDown", "instance": f"a:{number}"},
        "annotations": {"summary": "Cart {instance} is down"},
        "severity": "critical",
        "state": "firing",
        "opened_at": START + timedelta(seconds=number),
        "fired_at": START + timedelta(seconds=number),
        "value": 0.0,
        "reason": "0 is below 1",
    } | fields
    return Incident.objects.create(
        rule=rule, rule_version=rule.versions.get(), fingerprint=str(number), state_since=START, **values
    )


def remediation(incident: Incident, **fields: Any) -> Remediation:
    playbook, _ = Playbook.objects.get_or_create(name="Restart", matchers='alertname="CartDown"')
    values: dict[str, Any] = {"state": "verified", "verb": "restart", "autonomy": "auto"} | fields
    return Remediation.objects.create(
        incident=incident,
        playbook=playbook,
        playbook_version=1,
        state_since=START,
        created_at=START,
        plan={"calls": [{"target": "app-1"}, {"target": "app-2"}]},
        **values,
    )


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("incidents", *arguments, stdout=out)
    return out.getvalue()


def test_json_has_every_field(rule: Rule) -> None:
    row = incident(rule)
    Decision.objects.create(incident=row, outcome="acted", summary="Restarted app-1.", at=START)
    done = remediation(row, effect_started_at=START, reason="three good samples")
    assert json.loads(run("--json")) == [
        {
            "id": row.pk,
            "title": "Cart a:1 is down",
            "alertname": "CartDown",
            "service": "cart",
            "severity": "critical",
            "state": "firing",
            "verdict": "bad",
            "value": 0.0,
            "reason": "0 is below 1",
            "opened_at": "2026-01-01T12:00:01+00:00",
            "fired_at": "2026-01-01T12:00:01+00:00",
            "resolved_at": None,
            "labels": {"alertname": "CartDown", "instance": "a:1"},
            "needs_person": False,
            "attention": "",
            "decision": {"outcome": "acted", "summary": "Restarted app-1."},
            "remediations": [
                {
                    "id": done.pk,
                    "verb": "restart",
                    "targets": ["app-1", "app-2"],
                    "state": "verified",
                    "reason": "three good samples",
                    "autonomy": "auto",
                    "playbook": "Restart",
                    "created_at": "2026-01-01T12:00:00+00:00",
                    "effect_started_at": "2026-01-01T12:00:00+00:00",
                    "effect_ended_at": None,
                    "ended_at": None,
                }
            ],
        }
    ]


def test_json_of_nothing_is_an_empty_list() -> None:
    assert json.loads(run("--json")) == []


def test_newest_come_first_and_limit_counts(rule: Rule) -> None:
    for number in (1, 2, 3):
        incident(rule, number=number)
    rows = json.loads(run("--json", "--limit", "2"))
    assert [row["labels"]["instance"] for row in rows] == ["a:3", "a:2"]


def test_open_leaves_out_what_is_resolved(rule: Rule) -> None:
    incident(rule, number=1, state="resolved", resolved_at=START)
    incident(rule, number=2)
    assert [row["state"] for row in json.loads(run("--json", "--open"))] == ["firing"]


def test_service_narrows_and_an_unknown_one_is_said(rule: Rule) -> None:
    incident(rule, number=1)
    incident(rule, number=2, service=None)
    assert [row["service"] for row in json.loads(run("--json", "--service", "cart"))] == ["cart"]
    with pytest.raises(CommandError, match=r"There is no service named 'chart'. There are: cart\."):
        run("--service", "chart")


def test_table_says_what_came_of_it(rule: Rule) -> None:
    remediation(incident(rule, number=1))
    incident(rule, number=2, needs_person=True, attention="no playbook fits", service=None)
    lines = [line.split(maxsplit=3) for line in run().splitlines()]
    assert lines[0][:3] == ["ID", "STATE", "SEVERITY"]
    assert run().splitlines()[1].endswith("Cart a:2 is down  no playbook fits")
    assert run().splitlines()[2].endswith("Cart a:1 is down  restart app-1, app-2: verified")
    assert "firing !" in run().splitlines()[1]


def test_table_of_nothing_says_so(rule: Rule) -> None:
    assert run() == "No incidents.\n"
    assert run("--open") == "No open incidents.\n"


def test_table_keeps_escape_sequences_off_the_terminal(rule: Rule) -> None:
    incident(rule, annotations={"summary": "\x1b[2J\x07 gone\n"})
    assert not {"\x1b", "\x07"} & set(run())


def test_number_that_json_cannot_hold_is_null(rule: Rule) -> None:
    row = incident(rule)
    row.value = float("inf")
    from remediation.management import listing  # noqa: PLC0415

    assert listing._incident(row)["value"] is None


def test_many_incidents_take_few_queries(rule: Rule, django_assert_max_num_queries: Any) -> None:
    for number in range(30):
        remediation(incident(rule, number=number))
    with django_assert_max_num_queries(3):
        run("--json")


@pytest.mark.urls("dashboard.api.urls")
def test_api_answers_the_same_to_those_signed_in(rule: Rule, client: Client, admin_client: Client) -> None:
    incident(rule)
    assert admin_client.get("/api/incidents.json").json() == json.loads(run("--json"))
    assert admin_client.get("/api/incidents.json?open=1&service=nothing").json() == []
    assert client.get("/api/incidents.json").status_code == 401


@pytest.mark.urls("dashboard.api.urls")
@pytest.mark.parametrize("limit", ["x", "-1", "1.5", "9" * 20, "²"])
def test_api_refuses_a_senseless_limit(admin_client: Client, limit: str) -> None:
    assert admin_client.get("/api/incidents.json", {"limit": limit}).status_code == 400
