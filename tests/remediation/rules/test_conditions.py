"""Rules of several conditions, and with traffic, in files: read, planned, exported, asked and tested."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy import tools
from remediation.exceptions import QueryRefused
from remediation.models import Rule, Source
from remediation.observe.prometheus import Prometheus
from remediation.rules import asking, cases, declared, export, plan, showing, store, trial
from remediation.rules.plan import Terms
from remediation.rules.reading import Unreadable

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TEXT = """
groups:
  - name: cart
    rules:
      - alert: CartIll
        expr: errors > 0.1
        homeostat:
          conditions:
            - name: slow
              query: latency
              detector: zscore
              params: {direction: high}
            - expr: queue > 10
            - query: up
              detector: threshold
              params: {op: "<", value: 1}
          need: 2
          traffic: |
            sum by (job) (
              rate(requests[5m]))
          minimum_traffic: 0.5
"""


def rule(own: str) -> str:
    return f"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: a > 1\n    homeostat: {{{own}}}"


def applied(text: str = TEXT) -> plan.Plan:
    found = declared.read([("a.yml", text)])
    shown = plan.make(found, Terms())
    plan.carry_out(found, shown, Terms(), author="ann", now=NOW)
    return shown


@pytest.fixture
def main(db: None) -> Source:
    return Source.objects.create(name="main", url="http://127.0.0.1:1")


def test_conditions_are_rows_as_the_admin_writes_them(main: Source) -> None:
    shown = applied()
    row = Rule.objects.get()
    assert row.conditions == [
        {"name": "slow", "query": "latency", "detector": "zscore", "params": {"direction": "high"}},
        {"query": "queue", "detector": "expression", "params": {"op": ">", "value": 10}},
        {"query": "up", "detector": "threshold", "params": {"op": "<", "value": 1}},
    ]
    assert (row.need, row.minimum_traffic) == ("2", 0.5)
    assert row.traffic_query == "sum by (job) (\n  rate(requests[5m]))"
    assert showing.as_text(shown).splitlines() == [
        "+ CartIll  (a.yml:5)",
        "    expression: errors > 0.1",
        "    slow: zscore: latency",
        "    condition 3: expression: queue",
        "    condition 4: threshold: up",
        "    need: 2",
        "    traffic of at least 0.5: sum by (job) ( rate(requests[5m]))",
        "1 to add; 0 unchanged.",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"need": "any"},
        {"conditions": [], "need": "all"},
        {"traffic_query": "", "minimum_traffic": 0.0},
        {"detector": "zscore", "params": {}},
        {"conditions": [{"query": " up ", "detector": "absent"}], "need": "1"},
        {"conditions": [{"name": "q", "query": "a > 5", "detector": "expression", "params": {}}]},
        {"conditions": [{"name": "q", "query": "a > 5", "detector": "threshold", "params": {"op": "<", "value": 1}}]},
        {"conditions": [{"query": 'alertname="Slow"', "detector": "firing_alert"}], "need": "any"},
    ],
)
def test_what_is_exported_is_read_back_without_a_difference(main: Source, fields: dict[str, Any]) -> None:
    applied()
    Rule.objects.update(**{"need": "all"} | fields)
    again = plan.make(declared.read([("a.yml", export.as_text(Rule.objects.all()))]), Terms())
    assert (again.changes, again.unchanged) == ((), 1)


def test_an_edit_is_shown_condition_by_condition(main: Source) -> None:
    applied()
    text = (
        TEXT.replace("direction: high", "direction: low")
        .replace("need: 2", "need: any")
        .replace("query: up", "query: ok")
    )
    shown = plan.make(declared.read([("a.yml", text)]), Terms())
    assert showing.as_text(shown).splitlines()[1:-1] == [
        "    condition 2.params.direction: high → low",
        "    condition 4.query: up → ok",
        "    need: 2 → any",
    ]
    applied(text)
    assert Rule.objects.get().version == 2


def test_prometheus_cannot_evaluate_what_is_combined(main: Source) -> None:
    applied()
    row = Rule.objects.get()
    assert not export.for_prometheus(row)
    row.conditions, row.traffic_query = [], ""
    assert export.for_prometheus(row)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("conditions: [{detector: zscore}]", "a condition needs one query"),
        ("conditions: [{query: a, expr: b}]", "a condition needs one query"),
        ("conditions: [{query: a, limit: 3}]", "limit is unknown in a condition"),
        ("conditions: [{query: a, params: {op: 1}}]", "params need a detector"),
        ("conditions: [{query: a, detector: gone}]", "there is no detector named 'gone'"),
        ("conditions: [{query: a, detector: zscore, params: {limit: -1}}]", "greater than 0"),
        ("conditions: [{query: a, detector: firing_alert}]", "a"),
        ("conditions: {query: a}", "conditions must be a list"),
        ("conditions: [a]", "a condition must be a mapping"),
        ("conditions: [{query: a}], need: 3", "a number from 1 to 2, not '3'"),
        ("need: most", "not 'most'"),
        ("traffic: a", "belong together"),
        ("minimum_traffic: 2", "belong together"),
        ("traffic: a, minimum_traffic: much", "not 'much'"),
        ("traffic: a, minimum_traffic: -1", "not '-1'"),
    ],
)
def test_what_cannot_be_is_said_with_its_line(own: str, said: str) -> None:
    with pytest.raises(Unreadable) as error:
        declared.read([("a.yml", rule(own))])
    (problem,) = error.value.problems
    assert problem.line == 6 and said in problem.text


class Refusing(Prometheus):
    def __init__(self, query: str) -> None:
        self.refused = query

    def instant(self, query: str, *, at: float, as_is: bool = False) -> Any:
        if query.startswith(self.refused):
            raise QueryRefused("invalid parameter: 2:3: parse error")


@pytest.mark.parametrize(("query", "line"), [("errors", 7), ("latency", 11), ("queue", 14), ("up", 15), ("sum", 20)])
def test_a_refused_query_is_named_by_its_line(query: str, line: int) -> None:
    found = declared.read([("a.yml", TEXT)])
    assert [problem.line for problem in asking.refused(Refusing(query), found.rules, now=0)] == [line]


RULES = """
groups:
  - name: g
    rules:
      - alert: Ill
        expr: errors > 0.1
        for: 1m
        homeostat:
          conditions: [{name: slow, query: latency, detector: threshold, params: {op: ">", value: 1}}]
          traffic: sum by (job) (requests)
          minimum_traffic: 5
"""
TESTS = """
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'errors{job="a", instance="i"}', values: 0.5x20}
      - {series: 'latency{job="a"}', values: 0x3 2x20}
      - {series: 'requests{job="a", path="x"}', values: 3x20}
      - {series: 'requests{job="a", path="y"}', values: 1x10 2x10}
    alert_rule_test:
      - {eval_time: 10m, alertname: Ill}
      - {eval_time: 11m, alertname: Ill}
      - {eval_time: 12m, alertname: Ill, exp_alerts: [{exp_labels: {job: a, instance: i}}]}
"""


@pytest.mark.real
def test_files_of_tests_judge_all_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.VARIABLE, str(tools.find("prometheus")))
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "tests.yml").write_text(TESTS)
    assert trial.run(cases.read(tmp_path / "tests.yml")) == []
    (tmp_path / "rules.yml").write_text(RULES.replace("minimum_traffic: 5", "minimum_traffic: 4"))
    failures = trial.run(cases.read(tmp_path / "tests.yml"))
    assert ["time: 10m" in failures[0], "time: 11m" in failures[1]] == [True, True]
