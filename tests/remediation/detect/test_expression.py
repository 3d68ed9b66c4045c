"""The detector expression: what Prometheus' alerting rules mean, without believing an empty source."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from remediation.detect.base import Detector
from remediation.detect.expression import Expression
from remediation.exceptions import ConfigurationError
from remediation.models import Incident, SeriesState
from remediation.observe import window
from remediation.observe.base import Question
from remediation.series import Matrix
from remediation.states import Code
from tests.remediation.world import World, make_rule, make_service

from .matrices import matrix


def judged(detector: Detector, rows: list[list[float]], *, alive: bool = True, **params: Any) -> Any:
    return detector.judge(matrix(rows, alive=alive), detector.parse(params))


def test_a_returned_series_is_bad_and_one_that_is_no_number_unknown() -> None:
    found = judged(Expression(), [[0.0], [5.0], [np.nan]])
    assert found.codes.tolist() == [Code.BAD, Code.BAD, Code.UNKNOWN]
    assert found.reasons[1] == "the expression holds, with the value 5"
    assert found.scores[:2].tolist() == [1.0, 1.0] and np.isnan(found.scores[2])


def test_with_a_limit_returned_series_may_be_well() -> None:
    found = judged(Expression(), [[0.0], [5.0], [np.nan]], op=">", value=3)
    assert found.codes.tolist() == [Code.OK, Code.BAD, Code.UNKNOWN]
    assert found.upper.tolist() == [3.0] * 3 and found.missing == Code.OK
    assert judged(Expression(), [[0.0]], alive=False, op=">", value=3).missing == Code.UNKNOWN
    band = Expression().band(matrix([[0.0, 1.0]]), Expression.parse({"op": ">", "value": 3}))
    assert band.upper.tolist() == [[3.0, 3.0]]


def test_a_limit_needs_a_comparison() -> None:
    with pytest.raises(ConfigurationError, match="belong together"):
        Expression.parse({"op": ">"})


def test_a_missing_series_is_ok_only_while_the_source_holds_others() -> None:
    assert judged(Expression(), []).missing == Code.OK
    assert judged(Expression(), [], alive=False).missing == Code.UNKNOWN


@pytest.fixture
def alive(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Whether the source holds other samples, under the test's control."""
    state = {"alive": True}

    def fetch(client: Any, question: Question, *, now: float) -> Matrix:
        found = world.fetch(client, question, now=now)
        return Matrix(labels=found.labels, times=found.times, values=found.values, now=now, alive=state["alive"])

    monkeypatch.setattr(window, "fetch", fetch)
    make_rule(make_service(), query="up == 0", detector="expression", params={})
    world.set({"app-1": 0.0}, query="up == 0")
    world.tick()
    assert world.incident().state == "firing"
    return state


def test_an_incident_ends_when_the_expression_no_longer_holds(world: World, alive: dict[str, bool]) -> None:
    world.vanish("up == 0")
    world.tick()
    assert (world.incident().state, world.incident().reason) == ("resolved", "the expression no longer holds")


@pytest.mark.parametrize("how", ["empty", "down"])
def test_a_dead_source_ends_no_incident(world: World, alive: dict[str, bool], how: str) -> None:
    world.vanish("up == 0")
    alive["alive"] = False
    world.down = "connection refused" if how == "down" else ""
    world.ticks(5)
    assert (world.incident().state, world.incident().verdict) == ("firing", "unknown")
    assert SeriesState.objects.get().verdict == "unknown"
    alive["alive"], world.down = True, ""
    world.tick()
    assert world.incident().state == "resolved"


def test_a_series_that_stayed_away_is_forgotten_and_may_come_back(world: World, alive: dict[str, bool]) -> None:
    world.vanish("up == 0")
    world.tick()
    assert SeriesState.objects.get().phase == "ok"
    world.tick(901)
    assert not SeriesState.objects.exists()
    world.set({"app-1": 0.0}, query="up == 0")
    world.tick()
    assert Incident.objects.count() == 2 and world.incident().state == "firing"


def test_the_labels_of_a_rule_are_looked_up_and_may_name_the_alert(world: World) -> None:
    labels = {"alertname": "Down", "where": "{{ $labels.target }} at {{ $value | humanize }}"}
    make_rule(None, name="Down (critical)", query="mem", params={"op": ">", "value": 1}, labels=labels)
    world.set({"app-1": 2000.0}, query="mem")
    world.tick()
    found = world.incident().labels
    assert (found["alertname"], found["where"], found["target"]) == ("Down", "app-1 at 2k", "app-1")
