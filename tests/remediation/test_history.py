"""One series for a chart: the one that is wanted, of any condition of a rule, with what was expected of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from remediation.detect.base import Band
from remediation.exceptions import ConfigurationError
from remediation.history import NO_SAMPLES, NO_VALUES, _furthest, history, history_of_condition
from remediation.models import Rule
from remediation.observe import window
from remediation.observe.base import Question
from remediation.series import Labels, Matrix, fingerprint
from tests.remediation.world import make_rule

pytestmark = pytest.mark.django_db

A, B = {"i": "a"}, {"i": "b"}
ERRORS = {"name": "errors", "query": "errors", "detector": "threshold", "params": {"op": ">", "value": 3}}
ALERTS = {"query": 'alertname="X"', "detector": "firing_alert", "params": {}}
RANGE: dict[str, Any] = {"start": 1000.0, "end": 1040.0, "points": 4}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """Every question. `up` has two series; `errors` five, of which some belong to a and one is of another place."""
    found: list[Question] = []
    series: dict[str, list[tuple[Labels, list[float]]]] = {
        "up": [(A, [1, 1, 0, 1, 1]), (B, [2, 2, 2, 2, 2])],
        "errors": [
            ({"i": "a", "code": "1"}, [9, 1, 1, 1, 1]),
            ({"i": "a", "code": "2"}, [2, 2, np.nan, 2, 2]),
            ({"i": "b", "code": "1"}, [99, 99, 99, 99, 99]),
            ({"code": "3"}, [0, 0, 0, 0, 8]),
        ],
    }

    def fetch(_client: Any, question: Question, *, now: float) -> Matrix:
        found.append(question)
        rows = series.get(question.query.partition("{")[0], [])
        values = np.array([values for _, values in rows], dtype=float).reshape(len(rows), 5)
        labels = tuple(labels for labels, _ in rows)
        return Matrix(labels=labels, times=now - 40 + 10 * np.arange(5.0), values=values, now=now, reach_s=0)

    monkeypatch.setattr(window, "fetch", fetch)
    return found


@pytest.fixture
def rule(asked: list[Question]) -> Rule:
    return make_rule(None, conditions=[ERRORS, ALERTS], need="any")


def test_the_series_with_its_band(rule: Rule, asked: list[Question]) -> None:
    found = history(rule, fingerprint=fingerprint(A), **RANGE)
    assert found.times == [1000, 1010, 1020, 1030, 1040]
    assert found.values == [1, 1, 0, 1, 1]
    assert (set(found.lower), set(found.upper)) == ({1.0}, {None})
    assert (found.note, found.of) == ("", 1)
    assert asked == [Question(query="up", window_s=40, step_s=10)]


def test_the_source_is_asked_for_that_series_only(rule: Rule, asked: list[Question]) -> None:
    history(rule, fingerprint=fingerprint(A), labels=A, **RANGE)
    history(rule, fingerprint=fingerprint(A), labels=B, **RANGE)
    assert [one.query for one in asked] == ['up{i="a"}', "up"], "labels of another series narrow nothing"


def test_a_series_without_samples_says_so(rule: Rule) -> None:
    assert history(rule, fingerprint="beef", **RANGE).note == NO_SAMPLES
    assert history_of_condition(rule, 2, labels={"code": "none"}, **RANGE).note == NO_SAMPLES


def test_of_a_condition_s_series_the_one_furthest_out_is_drawn(rule: Rule, asked: list[Question]) -> None:
    found = history_of_condition(rule, 2, labels=A, **RANGE)
    assert found.values == [9, 1, 1, 1, 1], "b's belongs to another series of the rule"
    assert found.of == 3
    assert set(found.upper) == {3.0}
    assert asked[0].query == "errors"
    assert history_of_condition(rule, 2, labels={"i": "c"}, **RANGE).values == [0, 0, 0, 0, 8]
    assert history_of_condition(rule, 1, labels=A, **RANGE).values == [1, 1, 0, 1, 1]


def test_too_low_is_as_far_out_as_too_high() -> None:
    values, shown = np.array([[5.0, 6.0], [1.0, np.nan], [np.nan, np.nan], [11.0, 5.0]]), np.array([True, True])
    band = Band(lower=np.full(values.shape, 4.0), upper=np.full(values.shape, 9.0))
    assert _furthest(values, band, shown) == 1
    assert _furthest(-values[1:3], Band(lower=-values[1:3], upper=-values[1:3]), shown) == 0


def test_alerts_have_no_values(rule: Rule, asked: list[Question]) -> None:
    assert history_of_condition(rule, 3, labels=A, **RANGE).note == NO_VALUES
    assert asked == []


@pytest.mark.parametrize("number", [0, 4])
def test_a_condition_that_is_not_there_is_refused(rule: Rule, number: int) -> None:
    with pytest.raises(ConfigurationError, match=f"no condition {number}"):
        history_of_condition(rule, number, labels=A, **RANGE)
