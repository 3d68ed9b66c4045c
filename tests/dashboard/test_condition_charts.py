"""An incident of a rule with several conditions shows a chart of each, with an address and pictures of its own."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.pages import condition_charts
from remediation.history import History
from remediation.models import Incident, Rule
from tests.dashboard import factories

pytestmark = pytest.mark.django_db

SLOW = {"name": "slow <b>", "query": "latency", "detector": "threshold", "params": {"op": ">", "value": 1}}
QUEUE = {"query": "queue", "detector": "zscore", "params": {}}
ALERT = {"name": "alert", "query": 'alertname="X"', "detector": "firing_alert", "params": {}}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer"))
    return client


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every question: of two series that belong together the one that is drawn ends with a gap."""
    found: list[dict[str, Any]] = []

    def history(rule: Rule, number: int, *, start: float, end: float, points: int, **given: Any) -> History:
        found.append({"number": number, **given})
        times = [start + (end - start) * at / points for at in range(points + 1)]
        values: list[float | None] = [*([2.5] * points), None]
        return History(times=times, values=values, lower=[None] * len(times), upper=[1.0] * len(times), of=2)

    monkeypatch.setattr(condition_charts, "history_of_condition", history)
    return found


def an_incident(*conditions: dict[str, Any], need: str = "all") -> Incident:
    rule = factories.a_rule(factories.a_service("web"), conditions=list(conditions), need=need)
    return factories.an_incident(rule)


def address(row: Incident, number: int, file: str = "series.json?range=incident") -> str:
    return f"/incidents/{row.pk}/conditions/{number}/{file}"


def test_the_page_has_a_frame_for_each_further_condition(viewer: Client) -> None:
    row = an_incident(SLOW, QUEUE, ALERT, need="2")
    shown = viewer.get(f"/incidents/{row.pk}/").content.decode()
    found = re.findall(r'data-url="([^"]*json)"', shown)
    assert found == [f"/incidents/{row.pk}/series.json", *(address(row, at, "series.json") for at in (2, 3))]
    section = shown[shown.index('id="conditions"') :]
    assert "2 of 4 must be bad" in section
    assert "slow &lt;b&gt;" in section and "slow <b>" not in shown
    assert "Condition 3" in section
    assert "It judges alerts" in section


def test_a_rule_of_one_condition_has_no_further_frames(viewer: Client) -> None:
    assert 'id="conditions"' not in viewer.get(f"/incidents/{an_incident().pk}/").content.decode()


def test_frames_cost_no_question_to_the_database(viewer: Client, django_assert_num_queries: Any) -> None:
    row = Incident.objects.select_related("rule_version").get(pk=an_incident(SLOW, QUEUE).pk)
    with django_assert_num_queries(0):
        assert [one.number for one in condition_charts.panels_of(row)] == [2, 3]


def test_a_condition_is_told_with_its_band_and_what_happened(viewer: Client, asked: list[dict[str, Any]]) -> None:
    row = an_incident(SLOW)
    told = viewer.get(address(row, 2)).json()
    assert asked == [{"number": 2, "labels": row.series_labels}]
    assert told["values"][:2] == [2.5, 2.5]
    assert told["state"] == {"value": "2.5", "expected": "at most 1"}, "the last that is known"
    assert told["said"] == "the furthest out; 1 more series belongs to it"
    assert [one["word"] for one in told["stretches"]] == ["Pending", "Firing"]
    assert len(told["markers"]) == 2
    again = viewer.get(address(row, 2, f"series.json?range=incident&after={told['times'][-1]}&step={told['step']}"))
    assert again.json()["whole"] is True, "another series may be the furthest out now"
    assert len(asked) == 1


def test_it_is_drawn_by_the_version_that_judges_the_incident(viewer: Client, asked: list[dict[str, Any]]) -> None:
    row = an_incident(SLOW)
    row.rule.conditions = []
    row.rule.save()
    row.rule.keep_version(author="ann", now=timezone.now())
    assert viewer.get(address(row, 2)).status_code == 200


@pytest.mark.parametrize("number", [0, 1, 3])
def test_what_is_no_further_condition_is_404(viewer: Client, number: int) -> None:
    row = an_incident(SLOW)
    for file in ("series.json?range=incident", *(("chart.svg", "chart.png") if number != 1 else ())):
        assert viewer.get(address(row, number, file)).status_code == 404


def test_it_has_pictures_of_its_own(viewer: Client, asked: list[dict[str, Any]]) -> None:
    row = an_incident(SLOW)
    answer = viewer.get(address(row, 2, "chart.svg"))
    root = ElementTree.fromstring(answer.content)  # noqa: S314 - made by us
    assert any("slow <b>" in (one.text or "") for one in root.iter(f"{SVG}text"))
    assert f'filename="incident-{row.pk}-condition-2.svg"' in answer["Content-Disposition"]
    assert viewer.get(address(row, 2, "chart.png")).content[:4] == b"\x89PNG"
    assert [one["number"] for one in asked] == [2], "one answer serves both"


def test_a_source_that_does_not_answer_is_said(viewer: Client) -> None:
    row = an_incident(SLOW)
    assert "error" in viewer.get(address(row, 2)).json()


def test_the_service_s_page_says_that_there_is_more(viewer: Client) -> None:
    rule = factories.a_rule(factories.a_service("web"), conditions=[SLOW, QUEUE])
    factories.a_series(rule)
    assert "Drawn is its own query; 2 more conditions belong to it." in viewer.get("/services/web/").content.decode()


def test_it_needs_a_sign_in(client: Client) -> None:
    row = an_incident(SLOW)
    assert client.get(address(row, 2)).status_code == 302
