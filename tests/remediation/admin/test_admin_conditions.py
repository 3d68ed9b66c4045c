"""Rules of several conditions in the admin: blocks of fields instead of JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from remediation.models import Rule, Source
from tests.remediation.admin.test_admin_rules import ADD, change, form

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db

SLOW = {"name": "slow", "query": "latency", "detector": "zscore", "params": {"direction": "high"}}
GONE = {"query": "up", "detector": "absent", "params": {}}


def block(at: int, stored: dict[str, Any], **more: str) -> dict[str, str]:
    """What a browser sends of one block."""
    own = {name: str(stored.get(name, "")) for name in ("name", "query", "detector")}
    params = {f"params-{name}": str(value) for name, value in stored.get("params", {}).items()}
    sent = own | {"params-of": own["detector"]} | params | more
    return {f"conditions-{at}-{name}": value for name, value in sent.items()}


def blocks(*found: dict[str, str], **fields: str) -> dict[str, str]:
    sent = {"conditions-count": str(len(found))}
    for one in found:
        sent |= one
    return sent | fields


def saved(source: Source, **fields: Any) -> Rule:
    params = {"op": "<", "value": 1.0}
    known = {"name": "CartDown", "query": "up", "detector": "threshold", "params": params, "severity": "critical"}
    return Rule.objects.create(source=source, **known | fields)


def wrong(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return found


def test_conditions_are_stored_from_their_blocks(admin: Client, source: Source) -> None:
    sent = blocks(block(0, SLOW), block(1, {}), block(2, GONE), need="2", traffic_query="rate", minimum_traffic="0.5")
    assert admin.post(ADD, form(source, **sent)).status_code == 302
    rule = Rule.objects.get()
    assert rule.conditions == [SLOW, GONE]
    assert (rule.need, rule.traffic_query, rule.minimum_traffic) == ("2", "rate", 0.5)
    assert rule.versions.get().body["conditions"] == [SLOW, GONE]


def test_a_form_without_them_stores_none(admin: Client, source: Source) -> None:
    assert admin.post(ADD, form(source)).status_code == 302
    rule = Rule.objects.get()
    assert (rule.conditions, rule.need, rule.traffic_query, rule.minimum_traffic) == ([], "all", "", 0.0)
    sent = blocks(block(0, {}), need="", traffic_query="", minimum_traffic="")
    assert admin.post(change(rule), form(source, **sent)).status_code == 302
    rule.refresh_from_db()
    assert (rule.conditions, rule.need, rule.version) == ([], "all", 1)


def test_what_is_stored_is_shown_and_sent_back_unchanged(admin: Client, source: Source) -> None:
    rule = saved(source, conditions=[SLOW | {"params": {"direction": "high", "limit": 6.0}}, GONE], need="any")
    rule.keep_version(author="ada", now=NOW)
    page = admin.get(change(rule)).content.decode()
    assert 'name="conditions-0-query"' in page and 'name="conditions-1-params-labels"' in page
    assert re.search(
        r'name="conditions-0-params-limit"[^>]*value="6"|value="6"[^>]*name="conditions-0-params-limit"', page
    )
    both = blocks(block(0, rule.conditions[0]), block(1, GONE), need="any")
    assert admin.post(change(rule), form(source, **both)).status_code == 302
    before = rule.conditions
    rule.refresh_from_db()
    assert (rule.conditions, rule.version) == (before, 1)


def test_a_condition_is_taken_away(admin: Client, source: Source) -> None:
    rule = saved(source, conditions=[SLOW, GONE])
    sent = blocks(block(0, SLOW, remove="on"), block(1, GONE))
    assert admin.post(change(rule), form(source, **sent)).status_code == 302
    rule.refresh_from_db()
    assert rule.conditions == [GONE]


@pytest.mark.parametrize(
    ("sent", "field", "said"),
    [
        (block(0, SLOW | {"query": " "}), "conditions", "Condition 2: it needs a query."),
        (block(0, SLOW | {"detector": ""}), "conditions", "Condition 2: it needs a detector."),
        (block(0, SLOW | {"detector": "gone"}), "conditions", "Condition 2 (slow): there is no detector named 'gone'"),
        (block(0, SLOW | {"params": {"limit": -1}}), "conditions", "Condition 2: Some parameters of the detector"),
        (block(0, SLOW, **{"params-of": "absent"}), "conditions", "Condition 2: Now these are the parameters of"),
        (block(0, SLOW) | {"need": "3"}, "need", "a number from 1 to 2"),
        (block(0, SLOW) | {"traffic_query": "rate"}, "minimum_traffic", "belong together"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(
    admin: Client, source: Source, sent: dict[str, str], field: str, said: str
) -> None:
    response = admin.post(ADD, form(source, **blocks(sent)))
    assert said in " ".join(wrong(response)[field])
    assert 'name="conditions-0-query"' in response.content.decode()
    assert not Rule.objects.exists()


def test_a_browser_without_scripts_has_one_block_to_fill(admin: Client, source: Source) -> None:
    rule = saved(source, conditions=[GONE])
    page = admin.get(change(rule)).content.decode()
    outside = re.sub(r"<template>.*?</template>", "", page, flags=re.DOTALL)
    assert 'name="conditions-1-query"' in re.findall(r"<noscript>.*?</noscript>", outside, flags=re.DOTALL)[-1]
    sent = blocks(block(0, GONE)) | block(1, SLOW) | {"conditions-more": "1"}
    assert admin.post(change(rule), form(source, **sent)).status_code == 302
    rule.refresh_from_db()
    assert rule.conditions == [GONE, SLOW]


def test_who_may_only_look_sees_the_conditions(client: Client, source: Source) -> None:
    rule = saved(source, conditions=[SLOW])
    user = User.objects.create_user("vic", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_rule"))
    client.force_login(user)
    response = client.get(change(rule))
    assert response.status_code == 200
    assert "latency" in response.content.decode()


def test_the_fields_of_another_detector_are_served_for_a_block(admin: Client, source: Source) -> None:
    response = admin.get("/admin/remediation/rule/params/?plugin=absent&prefix=conditions-3-params")
    assert 'name="conditions-3-params-labels"' in response.content.decode()
