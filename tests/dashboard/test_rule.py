"""The page of a rule: how it stands, what it asks, and what leads to it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.live import fragments, topics
from dashboard.pages import rule_asks
from remediation.models import Problem, Rule, RuleStatus, record
from tests.dashboard import factories
from tests.dashboard.rule_pages import a_backtest, page, piece, text

pytestmark = pytest.mark.django_db

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer"))
    return client


# --- who may look, and how it stands ----------------------------------------------------------------------------------


def test_whoever_is_signed_in_may_look(client: Client) -> None:
    rule = factories.a_rule(factories.a_service())
    assert client.get(f"/rules/{rule.pk}/").status_code == 302
    client.force_login(factories.a_user("viewer"))
    assert client.get(f"/rules/{rule.pk}/").status_code == 200
    assert client.get(f"/rules/{rule.pk + 1}/").status_code == 404
    assert client.post(f"/rules/{rule.pk}/").status_code == 405


@pytest.mark.parametrize("state", ["ok", "firing", "pending", "unknown", "unseen", "disabled"])
def test_its_head_says_how_it_stands(state: str) -> None:
    rule = factories.a_rule(factories.a_service(), error="the query was refused" if state == "unknown" else "")
    if state in ("firing", "pending"):
        factories.an_incident(rule, state=state)
    if state == "unseen":
        RuleStatus.objects.filter(rule=rule).update(unknown=1)
        factories.a_series(rule, verdict="unknown", reason="no fresh sample")
    Rule.objects.filter(pk=rule.pk).update(enabled=state != "disabled")
    words = {"ok": "OK", "unseen": "Unknown"}.get(state, state.capitalize())
    head = text(piece(rule, "head"))
    assert head.startswith(f"{words} critical")
    said = {"unknown": "the query was refused", "unseen": "1 of 1 series cannot be seen: no fresh sample"}
    said |= {"disabled": "it judges nothing"}
    assert all((phrase in head) is (name == state) for name, phrase in said.items())


def test_a_fault_that_a_repair_hides_is_told_at_the_head() -> None:
    rule = factories.a_rule(factories.a_service())
    now = timezone.now()
    known = {"rule": rule, "playbook": factories.a_playbook(), "position": 1, "verb": "restart", "repairs": 4}
    row = Problem.objects.create(**known, opened_at=now, last_at=now)
    assert "restart helped 4 times and the fault came back" in text(piece(rule, "head"))
    Problem.objects.filter(pk=row.pk).update(closed_at=now)
    assert "came back" not in piece(rule, "head")


# --- what it asks -----------------------------------------------------------------------------------------------------


def test_parameters_are_said_in_words() -> None:
    rule = factories.a_rule(None, params={"op": ">", "value": 3.0, "gone": True})
    (own,) = rule_asks.conditions(rule)
    assert own.given == [("Bad when the value is", ">"), ("Limit", "3"), ("gone", "yes")]
    # Without those that are given, and "Clear at", which has no usual value.
    assert own.usual == [("Memory (seconds)", "3600"), ("Step (seconds)", "15")]


def test_every_condition_has_its_detector_and_parameters() -> None:
    further = [
        {"name": "errors", "query": "errors", "detector": "threshold", "params": {"op": "<", "value": 0.5}},
        {"query": "queue", "detector": "gone", "params": {"k": [1, 2]}},
    ]
    traffic: dict[str, Any] = {"traffic_query": "sum(rate(requests[5m]))", "minimum_traffic": 0.5}
    rule = factories.a_rule(None, conditions=further, need="2", **traffic)
    said = text(piece(rule, "asks"))
    assert "2 of 3 conditions must be bad, the query above being the first." in said
    assert "errors errors Threshold Bad when the value is &lt; Limit 0.5" in said
    assert "Condition 3 queue The detector gone is not installed. k 1, 2" in said
    assert "Traffic of at least 0.5; with less, bad is taken for unknown. sum(rate(requests[5m]))" in said


@pytest.mark.parametrize("stored", ["nonsense", [1, None], [{"query": 3, "params": "x"}]])
def test_what_cannot_be_read_does_not_hide_the_rule(viewer: Client, stored: Any) -> None:
    rule = factories.a_rule(None)
    Rule.objects.filter(pk=rule.pk).update(conditions=stored, params=["x"])
    assert "sum(rate(http_requests_total" in page(viewer, rule)


def test_waits_labels_and_links_are_there_and_only_safe_ones_lead_away(viewer: Client) -> None:
    notes = {
        "summary": f"{{instance}} {HOSTILE}",
        "runbook_url": "https://example.org/runbook",
        "dashboard_url": "javascript:alert(1)",
        "wiki": "https://wiki.example.org/a",
        "owner": HOSTILE,
    }
    rule = factories.a_rule(None, annotations=notes, labels={"tier": HOSTILE}, for_s=300, keep_firing_for_s=600)
    shown = page(viewer, rule)
    assert HOSTILE not in shown and "javascript:" not in shown
    assert 'href="https://example.org/runbook" rel="noreferrer noopener">Runbook' in shown
    assert 'href="https://wiki.example.org/a"' in shown
    assert "Every 5 s Fires after 5 min bad Over after 10 min good" in text(shown)


@pytest.mark.parametrize(
    ("owner", "words"),
    [
        ("", "made by hand"),
        ("library:redis", "the library redis, which keeps it up to date"),
        ("library:redis@second", "the library redis, which keeps it up to date"),
        ("shop/rules", "rule files (shop/rules), where it is edited"),
    ],
)
def test_it_says_where_it_comes_from(owner: str, words: str) -> None:
    assert rule_asks.origin(owner) == words


# --- the page as a whole ----------------------------------------------------------------------------------------------


def _fill(rule: Rule, times: int) -> None:
    for number in range(times):
        factories.a_series(rule, verdict="bad")
        factories.a_remediation(factories.an_incident(rule), state="gated", reason="cooldown")
        factories.a_playbook()
        a_backtest(rule, state="done", result={"fired": 1})
        record(rule, "disabled", now=timezone.now())
        rule.for_s += number + 1
        rule.save()
        rule.keep_version(author="bo", now=timezone.now())


@pytest.mark.parametrize("loose", [False, True])
def test_more_rows_cost_the_page_no_more_queries(viewer: Client, loose: bool) -> None:
    def counted() -> int:
        with CaptureQueriesContext(connection) as found:
            page(viewer, rule)
        return len(found)

    web = factories.a_service("web", matchers='service="web"')
    rule = factories.a_rule(None if loose else web, labels={"service": "web"})
    factories.a_series(rule, verdict="unknown", reason="no sample")
    rule.service = web  # so that repairs have targets
    _fill(rule, 1)
    Rule.objects.filter(pk=rule.pk).update(service=None if loose else web)
    page(viewer, rule)
    few = counted()
    _fill(rule, 5)
    Rule.objects.filter(pk=rule.pk).update(service=None if loose else web)
    assert counted() == few


def test_every_piece_is_told_of_what_it_shows() -> None:
    rule = factories.a_rule(factories.a_service())
    judged = topics.expand([{"kind": "rule", "id": rule.pk}])
    for name in ("head", "series", "asks", "serving", "history"):
        assert fragments.topics_of(f"rule-{name}:{rule.pk}") & judged, name
    opened = topics.expand([{"kind": "incident", "id": 1, "incident": 1}])
    for name in ("head", "series", "incidents", "noise"):
        assert fragments.topics_of(f"rule-{name}:{rule.pk}") & opened, name
    edited = topics.expand([{"kind": "catalogue", "id": 0}])
    for name in ("head", "asks", "serving", "history"):
        assert fragments.topics_of(f"rule-{name}:{rule.pk}") & edited, name


@pytest.mark.parametrize("argument", ["", "x", "0", "99999999999999", "1/x", "/", "1:2", "9" * 30])
def test_pieces_of_no_rule_are_none(argument: str) -> None:
    names = ("head", "series", "asks", "serving", "incidents", "noise", "backtests", "history")
    assert fragments.render([f"rule-{name}:{argument}" for name in names]) == {}


# --- what leads to it -------------------------------------------------------------------------------------------------


def test_every_place_that_names_a_rule_leads_to_it(viewer: Client) -> None:
    rule = factories.a_rule(factories.a_service("web"), "WebErrors")
    factories.a_series(rule, verdict="bad")
    row = factories.an_incident(rule, state="resolved")
    now = timezone.now()
    known = {"rule": rule, "playbook": factories.a_playbook(), "position": 1, "verb": "restart", "repairs": 4}
    Problem.objects.create(**known, opened_at=now, last_at=now)
    done = a_backtest(rule)
    record(rule, "unknown", now=now)
    places = [
        "/",
        "/rules/",
        f"/incidents/{row.pk}/",
        "/services/web/",
        "/analytics/",
        "/playbooks/",
        "/palette/?q=WebErr",
    ]
    places += [f"/rules/{rule.pk}/backtest/", f"/backtests/{done.pk}/"]
    missing = [one for one in places if f'href="/rules/{rule.pk}/"' not in viewer.get(one).content.decode()]
    assert missing == []


def test_the_first_link_of_its_row_opens_it(viewer: Client) -> None:
    """Enter follows it."""
    rule = factories.a_rule(factories.a_service("web"))
    cell = viewer.get("/rules/").content.decode().split(f'id="rule-{rule.pk}"')[1].split('class="main">')[1]
    assert cell.startswith(f'<a href="/rules/{rule.pk}/">')
