"""Rules of several conditions on the pages that show what a rule asks."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from remediation.models import Rule
from tests.dashboard import factories

pytestmark = pytest.mark.django_db

CONDITIONS = [
    {"name": "errors", "query": "errors <b>", "detector": "threshold", "params": {"op": ">", "value": 1}},
    {"query": "queue", "detector": "zscore", "params": {}},
]
TRAFFIC: dict[str, Any] = {"traffic_query": "sum(rate(requests[5m]))", "minimum_traffic": 0.5}


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(factories.a_user("operator"))
    return client


def text_of(client: Client, path: str) -> str:
    """The page as it reads, tags left out."""
    page = client.get(path).content.decode()
    assert "errors <b>" not in page
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def paths(rule: Rule) -> list[str]:
    incident = factories.an_incident(rule)
    return [f"/incidents/{incident.pk}/", f"/rules/{rule.pk}/backtest/"]


@pytest.mark.parametrize(("need", "words"), [("all", "all of 3"), ("any", "any of 3"), ("2", "2 of 3")])
def test_the_list_of_rules_shows_all_that_is_asked(operator: Client, need: str, words: str) -> None:
    factories.a_rule(factories.a_service(), conditions=CONDITIONS, need=need, **TRAFFIC)
    shown = text_of(operator, "/rules/")
    further = f"{words} must be bad, with errors, threshold errors &lt;b&gt; robust z-score queue"
    assert f"{further} traffic of at least 0.5 sum(rate(requests[5m]))" in shown


@pytest.mark.parametrize(("need", "words"), [("all", "All 3 conditions"), ("any", "Any of 3"), ("2", "2 of 3")])
def test_incident_and_backtest_show_all_that_is_asked(operator: Client, need: str, words: str) -> None:
    rule = factories.a_rule(factories.a_service(), conditions=CONDITIONS, need=need, **TRAFFIC)
    for path in paths(rule):
        shown = text_of(operator, path)
        assert f"{words} " in shown
        assert "errors , threshold errors &lt;b&gt; Condition 3 , robust z-score queue Traffic of at least 0.5" in shown


def test_an_incident_shows_what_it_was_judged_by(operator: Client) -> None:
    rule = factories.a_rule(factories.a_service(), conditions=CONDITIONS)
    path, _ = paths(rule)
    rule.conditions = []
    rule.save()
    rule.keep_version(author="ann", now=timezone.now() + timedelta(seconds=1))
    assert "All 3 conditions" in text_of(operator, path)


def test_a_rule_that_was_not_evaluated_yet_is_listed(operator: Client) -> None:
    factories.a_rule(factories.a_service(), "Fresh").status.delete()
    assert re.search(r"Fresh critical .* never", text_of(operator, "/rules/"))


def test_a_rule_that_asks_nothing_more_shows_nothing_more(operator: Client) -> None:
    rule = factories.a_rule(factories.a_service())
    for path in ["/rules/", *paths(rule)]:
        shown = text_of(operator, path)
        assert "conditions must be bad" not in shown and "traffic of at least" not in shown.lower()
