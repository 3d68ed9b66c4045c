"""The real thing: break a real process, and Homeostat notices, asks, acts and proves it.

Everything is real: Prometheus, Alertmanager, HAProxy, supervisord and its programs, Valkey, worker, beat and web.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.running import RunningDemo, eventually

pytestmark = pytest.mark.acceptance


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a fault comes to: the rule that fires, what is done, and a query that is 1 once the shop is well."""

    fault: str
    rule: str
    verb: str
    target: str
    asks: bool
    well: str


BOUNDED = [
    Expected(fault="crash", rule="AppDown", verb="restart", target="app-1", asks=False, well='up{target="app-1"}'),
    Expected(
        fault="primary-death",
        rule="StorePrimaryDown",
        verb="failover",
        target="store-switch",
        asks=False,
        well="sum(store_is_primary)",
    ),
]
OTHERS = [
    Expected(fault="hang", rule="AppHung", verb="restart", target="app-2", asks=True, well='up{target="app-2"}'),
    Expected(
        fault="errors",
        rule="AppErrors",
        verb="restart",
        target="app-2",
        asks=True,
        well='(sum(rate(http_requests_total{target="app-2", code=~"5.."}[10s])) or vector(0)) < bool 0.01',
    ),
    Expected(
        fault="latency",
        rule="AppSlow",
        verb="restart",
        target="app-1",
        asks=True,
        well='sum(rate(http_request_duration_seconds_sum{target="app-1"}[10s]))'
        ' / sum(rate(http_request_duration_seconds_count{target="app-1"}[10s])) < bool 0.2',
    ),
    Expected(
        fault="leak",
        rule="PaymentsMemory",
        verb="restart",
        target="payments",
        asks=True,
        well='process_resident_memory_bytes{job="payments"} < bool 1e8',
    ),
    Expected(
        fault="overload",
        rule="QueueBacklog",
        verb="scale",
        target="workers",
        asks=False,
        well="sum(queue_depth) < bool 40",
    ),
    Expected(
        fault="dependency",
        rule="PaymentsStuck",
        verb="restart",
        target="payments",
        asks=False,
        well='up{job="payments"}',
    ),
]


@pytest.mark.parametrize("expected", BOUNDED, ids=lambda one: one.fault)
def test_fault_is_repaired_and_verified(demo: RunningDemo, expected: Expected) -> None:
    heals(demo, expected)


@pytest.mark.faults
@pytest.mark.parametrize("expected", OTHERS, ids=lambda one: one.fault)
def test_every_other_fault_is_repaired_and_verified(demo: RunningDemo, expected: Expected) -> None:
    heals(demo, expected)


def test_command_lists_what_the_api_lists(demo: RunningDemo) -> None:
    listed = json.loads(demo.manage("incidents", "--json"))
    assert [row["id"] for row in listed if row["alertname"] == "AppDown"] == [
        r["id"] for r in demo.incidents("AppDown")
    ]


def heals(demo: RunningDemo, expected: Expected) -> None:
    """Break it, answer if asked, and see from Prometheus and the database that it is well again."""
    before = {row["id"] for row in demo.incidents(expected.rule)}
    demo.manage("demo", "break", expected.fault)
    incident = eventually(
        f"an incident of {expected.rule} with a remediation",
        lambda: next((r for r in demo.incidents(expected.rule) if r["id"] not in before and r["remediations"]), None),
        within_s=60,
    )
    remediation = incident["remediations"][0]
    assert (remediation["verb"], remediation["targets"]) == (expected.verb, [expected.target])
    if expected.asks:
        assert effects(demo, remediation["id"]) == []
        eventually("it asks", lambda: state(demo, remediation["id"]) == "awaiting_approval", within_s=20)
        answer = demo.sign_in("approver").approve(remediation["id"])
        assert answer.status_code == 200
    eventually("it is verified", lambda: state(demo, remediation["id"]) == "verified", within_s=150)
    assert len(effects(demo, remediation["id"])) == 1
    eventually("Prometheus sees it well", lambda: set(demo.prometheus(expected.well).values()) == {1.0}, within_s=30)
    eventually("the incident is over", lambda: incident_state(demo, incident["id"]) == "resolved", within_s=60)
    assert decided(demo, incident["id"])[0] == "acted"
    demo.manage("demo", "mend")


def state(demo: RunningDemo, remediation: int) -> str:
    return str(demo.rows("SELECT state FROM remediation_remediation WHERE id = ?", remediation)[0][0])


def effects(demo: RunningDemo, remediation: int) -> list[tuple[Any, ...]]:
    """How often an effect of it was begun."""
    return demo.rows(
        "SELECT at FROM remediation_transition WHERE kind = 'remediation' AND object_id = ? AND to_state = 'executing'",
        remediation,
    )


def incident_state(demo: RunningDemo, incident: int) -> str:
    return str(demo.rows("SELECT state FROM remediation_incident WHERE id = ?", incident)[0][0])


def decided(demo: RunningDemo, incident: int) -> tuple[Any, ...]:
    return demo.rows("SELECT outcome, summary FROM remediation_decision WHERE incident_id = ?", incident)[0]


def everything_begun(demo: RunningDemo) -> int:
    return len(demo.rows("SELECT id FROM remediation_transition WHERE to_state = 'executing'"))


@pytest.mark.faults
def test_traffic_dip_leads_to_no_action_and_says_why(demo: RunningDemo) -> None:
    begun = everything_begun(demo)
    demo.manage("demo", "break", "traffic-dip")
    found = eventually("the dip is noted", lambda: demo.incidents("TrafficLow"), within_s=80)
    eventually("it is decided", lambda: demo.incidents("TrafficLow")[0]["decision"], within_s=20)
    page = demo.sign_in("viewer").get(f"/incidents/{found[0]['id']}/").text
    assert "Did nothing: no playbook serves TrafficLow" in page
    eventually("it is over", lambda: demo.incidents("TrafficLow")[0]["state"] == "resolved", within_s=150)
    assert everything_begun(demo) == begun


@pytest.mark.faults
def test_scrape_gap_leads_to_no_action_and_says_why(demo: RunningDemo) -> None:
    begun = everything_begun(demo)
    demo.manage("demo", "break", "scrape-gap")
    viewer = demo.sign_in("viewer")
    eventually("unknown is shown", lambda: "unknown is not a fault" in viewer.get("/").text, within_s=60)
    eventually("it ends", lambda: demo.prometheus('up{job="payments"}') == {"payments": 1.0}, within_s=120)
    assert everything_begun(demo) == begun
    assert not [row for row in demo.incidents("PaymentsDown") if row["state"] != "resolved"]
