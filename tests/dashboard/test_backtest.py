"""The pages of backtests: who may start one, what is asked, what is shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.pages import backtest
from remediation.backtest import job
from remediation.exceptions import QueryRefused
from remediation.models import Backtest, Rule
from remediation.series import fingerprint
from tests.dashboard import factories

pytestmark = pytest.mark.django_db
LABELS = {"instance": "<img src=x onerror=alert(1)>"}
NAME = fingerprint(LABELS)
QUERY = 'sum(rate(http_requests_total{status=~"5.."}[1m])) / sum(rate(http_requests_total[1m]))'


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    bells: list[int] = []

    def ring(task: str, *, backtest_id: int) -> bool:
        bells.append(backtest_id)
        return True

    monkeypatch.setattr(job, "ring_after_commit", ring)
    monkeypatch.setattr(job, "ring", ring)
    return bells


@pytest.fixture
def rule() -> Rule:
    return factories.a_rule(factories.a_service("web"), "AppErrors")


def asked(**more: Any) -> dict[str, Any]:
    form = {"range": "3600", "playbook": "", "for_s": "0", "keep_firing_for_s": "0"}
    form |= {"query": QUERY, "detector": "threshold", "interval_s": "5"}
    return form | {"params-op": ">", "params-value": "0.05"} | more


def a_backtest(rule: Rule, *, by: str = "ann", **more: Any) -> Backtest:
    now = timezone.now()
    values = {"body": rule.body(), "start": now - timedelta(hours=1), "end": now, "by": by}
    return Backtest.objects.create(rule=rule, created_at=now, seen_at=now, **(values | more))


def told(row: Backtest) -> dict[str, Any]:
    at = row.start.timestamp() + 600
    action = {
        "fingerprint": NAME,
        "verb": "restart",
        "targets": ["app-1"],
        "position": 1,
        "attempt": 1,
        "planned_at": at + 10,
        "effect_at": at + 40,
        "over_at": at + 60,
        "outcome": "over",
        "reason": "",
        "only_if": False,
        "holds": [{"guard": "freeze", "label": "Freeze", "reason": "frozen", "start": at + 10, "end": at + 40}],
    }
    episode = {
        "fingerprint": NAME,
        "labels": LABELS,
        "pending_at": at,
        "firing_at": at + 10,
        "ended_at": at + 70,
        "began_before": False,
        "unknown_s": 5.0,
        "low": 0.1,
        "high": 0.4,
        "reason": "0.4 is above 0.05",
        "stretches": [{"start": at, "end": at + 70, "verdict": "bad"}],
    }
    return {
        "start": row.start.timestamp(),
        "end": row.end.timestamp(),
        "evaluations": 720,
        "series": 1,
        "fired": 1,
        "pending": 0,
        "firing_s": 60.0,
        "unknown_s": 5.0,
        "open_at_end": 0,
        "ended_alone": 1,
        "half_within_s": 60.0,
        "most_within_s": 60.0,
        "episodes": [episode],
        "sums": [{"fingerprint": NAME, "labels": LABELS, "fired": 1, "firing_s": 60.0, "unknown_s": 5.0}],
        "left_out": 0,
        "notes": [],
        "simulated": {
            "playbook": "Restart",
            "autonomy": "auto",
            "actions": [action],
            "fired": 1,
            "unserved": 0,
            "acted": 1,
            "ended_first": 0,
            "held": 1,
            "needs_person": 0,
            "assumptions": ["Simulated, nothing was touched."],
        },
    }


def test_an_operator_starts_one_with_edited_parameters(client: Client, rule: Rule, rung: list[int]) -> None:
    client.force_login(factories.a_user("operator", "olga"))
    answer = client.post(f"/rules/{rule.pk}/backtest/", asked(for_s="30", **{"params-value": "0.2"}))
    row = Backtest.objects.get()
    assert (answer.status_code, answer["Location"], rung) == (302, f"/backtests/{row.pk}/", [row.pk])
    assert (row.by, row.state, row.changes) == ("olga", "queued", {"params": {"op": ">", "value": 0.2}, "for_s": 30.0})
    assert row.body["params"]["value"] == 0.2
    assert row.end - row.start == timedelta(hours=1)
    rule.refresh_from_db()
    assert (rule.params["value"], rule.for_s) == (0.05, 0)


def test_an_edited_query_and_interval_are_tried_without_being_saved(
    client: Client, rule: Rule, rung: list[int]
) -> None:
    client.force_login(factories.a_user("operator"))
    client.post(f"/rules/{rule.pk}/backtest/", asked(query="up * 2 ", interval_s="30"))
    row = Backtest.objects.get()
    assert row.changes == {"query": "up * 2", "interval_s": 30.0}
    assert row.as_rule().query == "up * 2"
    rule.refresh_from_db()
    assert (rule.query, rule.interval_s) == (QUERY, 5)
    row.result, row.state = told(row), "done"
    row.save()
    assert "<b>query</b>up * 2" in client.get(f"/backtests/{row.pk}/").content.decode()


def test_a_query_that_the_source_refuses_is_said_at_once(
    client: Client, rule: Rule, rung: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        def instant(self, query: str, *, at: float) -> None:
            raise QueryRefused("1:4: parse error: unclosed")

    monkeypatch.setattr(backtest, "client_for", lambda source: Refusing())
    client.force_login(factories.a_user("operator"))
    answer = client.post(f"/rules/{rule.pk}/backtest/", asked(query="sum("))
    assert "1:4: parse error: unclosed" in answer.content.decode()
    assert (Backtest.objects.count(), rung) == (0, [])


def test_a_draft_from_the_admin_fills_the_form_in_and_starts_nothing(
    client: Client, rule: Rule, rung: list[int]
) -> None:
    client.force_login(factories.a_user("operator"))
    draft = {"draft": "1", "query": "up{a='1'}", "interval_s": "7", "for_s": "9", "keep_firing_for_s": "11"}
    draft |= {"detector": "zscore", "params-of": "zscore", "params-limit": "4.5", "params-direction": "low"}
    page = client.post(f"/rules/{rule.pk}/backtest/", draft).content.decode()
    assert "up{a=&#x27;1&#x27;}</textarea>" in page
    for shown in ('name="interval_s" value="7"', 'name="for_s" value="9"', 'name="params-limit" value="4.5"'):
        assert shown in page
    assert 'name="detector" value="zscore"' in page
    assert (Backtest.objects.count(), rung) == (0, [])
    client.post(f"/rules/{rule.pk}/backtest/", asked(**{"detector": "zscore", "params-direction": "low"}))
    row = Backtest.objects.get()
    assert (row.changes["detector"], row.changes["params"]) == ("zscore", {"direction": "low"})


def test_further_conditions_of_a_draft_are_tried_as_edited(client: Client, rule: Rule, rung: list[int]) -> None:
    client.force_login(factories.a_user("operator"))
    own = {"query": "vector(1)", "detector": "absent"}
    draft = {"draft": "1", "conditions-count": "1", "need": "any", "traffic_query": "", "minimum_traffic": ""}
    draft |= {f"conditions-0-{name}": value for name, value in own.items()} | {"conditions-0-params-of": "absent"}
    page = client.post(f"/rules/{rule.pk}/backtest/", draft)
    further = page.context["form"]["further"].value()
    assert "as they were edited" in page.content.decode()
    client.post(f"/rules/{rule.pk}/backtest/", asked(further=further))
    row = Backtest.objects.get()
    assert row.changes == {"conditions": [own | {"params": {}}], "need": "any"}
    assert row.as_rule().conditions == row.changes["conditions"]
    assert client.get(f"/backtests/{row.pk}/").status_code == 200
    senseless = client.post(f"/rules/{rule.pk}/backtest/", asked(further='{"need": "many"}'), follow=True)
    assert Backtest.objects.count() == 1 and senseless.context["messages"]


def test_a_viewer_reads_and_starts_nothing(client: Client, rule: Rule, rung: list[int]) -> None:
    row = a_backtest(rule)
    client.force_login(factories.a_user("viewer"))
    page = client.get(f"/rules/{rule.pk}/backtest/").content.decode()
    assert "Run backtest" not in page
    assert client.post(f"/rules/{rule.pk}/backtest/", asked()).status_code == 403
    assert client.post(f"/backtests/{row.pk}/cancel/").status_code == 403
    assert client.get(f"/backtests/{row.pk}/").status_code == 200
    assert (Backtest.objects.count(), rung) == (1, [])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"params-value": "much"}, "Enter a number."),
        ({"params-op": "~"}, "Select a valid choice"),
        ({"range": "custom"}, "Say where the range begins."),
        ({"range": "custom", "start": "2020-01-01T00:00:00"}, "at most 31 days"),
        ({"for_s": "-1"}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(
    client: Client, rule: Rule, rung: list[int], more: dict[str, str], words: str
) -> None:
    client.force_login(factories.a_user("operator"))
    answer = client.post(f"/rules/{rule.pk}/backtest/", asked(**more))
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Backtest.objects.exists()


def test_the_playbook_that_serves_the_rule_is_chosen_already(client: Client, rule: Rule) -> None:
    playbook = factories.a_playbook(name="Restart it")
    client.force_login(factories.a_user("operator"))
    page = client.get(f"/rules/{rule.pk}/backtest/").content.decode()
    assert f'<option value="{playbook.pk}" selected>Restart it</option>' in page


def test_progress_is_told_and_a_running_one_is_cancelled(client: Client, rule: Rule) -> None:
    row = a_backtest(rule, state="running", progress=0.25)
    client.force_login(factories.a_user("operator", "olga"))
    assert client.get(f"/backtests/{row.pk}/progress.json").json() == {
        "state": "running",
        "live": True,
        "progress": 0.25,
        "error": "",
    }
    assert client.post(f"/backtests/{row.pk}/cancel/").status_code == 302
    row.refresh_from_db()
    assert (row.state, row.error) == ("cancelled", "cancelled by olga")
    assert "cancelled by olga" in client.get(f"/backtests/{row.pk}/").content.decode()
    assert client.post(f"/backtests/{row.pk}/cancel/").status_code == 409


def test_one_that_lost_its_process_is_given_up_and_one_nobody_took_is_rung_for(
    client: Client, rule: Rule, rung: list[int]
) -> None:
    long_ago = timezone.now() - timedelta(minutes=5)
    lost = a_backtest(rule, state="running")
    waiting = a_backtest(rule)
    Backtest.objects.update(seen_at=long_ago)
    client.force_login(factories.a_user("viewer"))
    assert client.get(f"/backtests/{lost.pk}/progress.json").json()["state"] == "failed"
    assert client.get(f"/backtests/{waiting.pk}/progress.json").json()["state"] == "queued"
    assert rung == [waiting.pk]


def test_the_result_says_how_often_and_what_would_have_been_done(client: Client, rule: Rule) -> None:
    row = a_backtest(rule, state="done", progress=1.0)
    row.result = told(row)
    row.save()
    client.force_login(factories.a_user("viewer"))
    page = client.get(f"/backtests/{row.pk}/").content.decode()
    assert "Would have fired <b>1 time</b>, 60 s in all" in page
    assert "<b>1</b> ended with nothing recorded to have been done: half of them within 60 s" in page
    assert "<b>1. restart</b> app-1" in page
    assert "<b>Freeze</b> 30 s" in page
    assert "<img src=x" not in page
    assert "style=" not in page.partition("<main")[2]


def test_the_chart_marks_what_would_have_happened(client: Client, rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    row = a_backtest(rule, state="done")
    row.result = told(row)
    row.save()
    client.force_login(factories.a_user("viewer"))
    answer = client.get(f"/backtests/{row.pk}/series/{NAME}.json").json()
    assert [mark["tone"] for mark in answer["markers"]] == ["firing", "repairing", "ok"]
    assert answer["times"] == []
    assert answer["error"]


def test_the_chart_goes_near_an_episode_and_stays_inside_the_range(client: Client, rule: Rule) -> None:
    row = a_backtest(rule, state="done")
    row.result = told(row)
    row.save()
    client.force_login(factories.a_user("viewer"))
    at = row.result["episodes"][0]["pending_at"]
    page = client.get(f"/backtests/{row.pk}/?series={NAME}&near={at!r}").content.decode()
    assert f'data-start="{at - 210!r}" data-end="{at + 280!r}"' in page
    for query in ("start=nan&end=1e400", "start=5&end=6", "start=-1e300", ""):
        assert client.get(f"/backtests/{row.pk}/series/{NAME}.json?{query}").status_code == 200
    assert client.get(f"/backtests/{row.pk}/series/{NAME}.json?start=x").status_code == 400
