"""A backtest of rules with several conditions, and with traffic, equals what live evaluation recorded."""

from __future__ import annotations

import math
from typing import Any

import pytest

from remediation import judging
from remediation.backtest import asking
from remediation.exceptions import ConfigurationError
from remediation.models import Incident, Rule
from remediation.observe import window
from remediation.observe.answers import Answer
from tests.remediation.backtest.recorded import LIVENESS, RecordedClient, Value
from tests.remediation.backtest.test_equals_live import BEGIN, REAL_FETCH, backtested, live, rough, same
from tests.remediation.world import World, make_rule, make_service


class RecordedQueries(RecordedClient):
    """A source that answers each query with series of its own."""

    def __init__(self, **answers: list[tuple[dict[str, str], Value]]) -> None:
        super().__init__()
        self.answers = answers

    def instant(self, query: str, *, at: float) -> Answer:
        self._choose(query)
        return super().instant(query, at=at)

    def range(self, query: str, *, start: float, end: float, step_s: float) -> Answer:
        self._choose(query)
        return super().range(query, start=start, end=end, step_s=step_s)

    def _choose(self, query: str) -> None:
        if not query.startswith(LIVENESS):
            self.series = list(self.answers[query])


def bad_below_one(query: str, **more: Any) -> dict[str, Any]:
    return {"query": query, "detector": "threshold", "params": {"op": "<", "value": 1}} | more


@pytest.fixture
def recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> RecordedQueries:
    """Three sources of trouble on three targets, the last of them without labels, and traffic by target."""
    targets = [{"target": f"app-{n}"} for n in range(3)]
    client = RecordedQueries(
        up=[(labels, rough(at, step_s=1)) for at, labels in enumerate(targets)],
        errors=[
            (labels | {"code": code}, rough(10 + at, step_s=1)) for at, labels in enumerate(targets) for code in "45"
        ],
        total=[({}, rough(20, step_s=1))],
        rate=[
            (labels | {"path": path}, rough(30 + at, step_s=1)) for at, labels in enumerate(targets) for path in "ab"
        ],
    )
    client.alive = lambda at: None if 60 < at - BEGIN < 75 else 1.0
    monkeypatch.setattr(window, "fetch", REAL_FETCH)
    monkeypatch.setattr(judging, "client_for", lambda source: client)
    return client


def equal(rule: Rule, client: RecordedClient) -> int:
    """Checks both, and returns how many incidents there were."""
    kept = live(rule)
    result, again = backtested(rule, client)
    assert same(again, kept)
    assert result.fired == Incident.objects.exclude(fired_at=None).count()
    return len(kept)


@pytest.mark.parametrize("need", ["all", "any", "2"])
@pytest.mark.parametrize("waits", [(0, 0), (3, 5)])
def test_three_conditions(recorded: RecordedQueries, need: str, waits: tuple[int, int]) -> None:
    conditions = [bad_below_one("errors"), bad_below_one("total")]
    for_s, keep_s = waits
    rule = make_rule(make_service(), conditions=conditions, need=need, for_s=for_s, keep_firing_for_s=keep_s)
    assert equal(rule, recorded) > (0 if need == "all" and for_s else 1)


@pytest.mark.parametrize("need", ["all", "any"])
def test_expressions_whose_series_come_and_go(recorded: RecordedQueries, need: str) -> None:
    conditions = [{"query": "errors", "detector": "expression", "params": {"op": "<", "value": 1}}]
    rule = make_rule(
        make_service(), detector="expression", params={"op": "<", "value": 1}, conditions=conditions, need=need, for_s=2
    )
    assert equal(rule, recorded) > 1


def test_conditions_with_windows_of_their_own(recorded: RecordedQueries) -> None:
    params = {"window_s": 120, "step_s": 3, "skip_s": 0, "minimum_points": 5, "minimum_effect": 0.5}
    conditions = [{"query": "errors", "detector": "zscore", "params": params}]
    rule = make_rule(make_service(), interval_s=2, conditions=conditions, need="any")
    assert equal(rule, recorded) > 1


@pytest.mark.parametrize("conditions", [[], [bad_below_one("total")]])
def test_traffic(recorded: RecordedQueries, conditions: list[dict[str, Any]]) -> None:
    free = make_rule(make_service(), name="Free", conditions=conditions, need="any")
    held = make_rule(None, name="Held", conditions=conditions, need="any", traffic_query="rate", minimum_traffic=1.5)
    assert equal(held, recorded) > 0
    assert backtested(held, recorded)[1] != backtested(free, recorded)[1]


def test_a_backtest_knows_the_longest_reach_and_refuses_what_cannot_be(recorded: RecordedQueries) -> None:
    rule = make_rule(
        make_service(), conditions=[bad_below_one("rate(errors[10m])")], traffic_query="x[1h]", minimum_traffic=1
    )
    assert asking.Asking(rule).reach_s == 600
    rule.conditions = [bad_below_one("errors", detector="gone")]
    with pytest.raises(ConfigurationError, match="gone"):
        asking.Asking(rule)


def test_not_a_number_is_never_enough_traffic(recorded: RecordedQueries) -> None:
    recorded.answers["rate"] = [({}, lambda at: math.nan)]
    rule = make_rule(make_service(), traffic_query="rate", minimum_traffic=1)
    assert equal(rule, recorded) == 0
