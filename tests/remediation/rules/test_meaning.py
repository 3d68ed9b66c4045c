"""What expressions mean: which are taken apart, which stay whole, and that the way back gives the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.rules.meaning import Meaning, of_expression, to_expression


@pytest.mark.parametrize(
    ("expression", "query", "op", "value"),
    [
        ("up == 0", "up", "==", 0),
        ('(up{job!="a",x=">5"} != 1)', 'up{job!="a",x=">5"}', "!=", 1),
        ("rate(a[5m]) / rate(b[5m]) > 5 * 60", "rate(a[5m]) / rate(b[5m])", ">", 300),
        ("0.1 >= free", "free", "<=", 0.1),
        ("time() - a > 60*60*(24 + 1)", "time() - a", ">", 90000),
        ("a < -1e-3", "a", "<", -0.001),
        ("count(up == bool 0) > 3", "count(up == bool 0)", ">", 3),
        ("(a or vector(0)) > 1", "(a or vector(0))", ">", 1),
        ("a # > 5\n > 3", "a", ">", 3),
        ("a offset 5m > 2", "a offset 5m", ">", 2),
    ],
)
def test_a_value_and_a_limit_are_taken_apart(expression: str, query: str, op: str, value: float) -> None:
    params = {"op": op, "value": value}
    assert of_expression(expression) == Meaning(query=query, detector="expression", params=params)
    unknown = of_expression(expression, missing="unknown")
    assert unknown == Meaning(query=query, detector="threshold", params=params)
    assert of_expression(expression, split=False) == Meaning(query=expression, detector="expression")


@pytest.mark.parametrize(
    "expression",
    [
        "up",
        "a > 1 and b < 2",
        "a > 1 or b > 1",
        "a > bool 1",
        "a > 1 < 5",
        "a > on (instance) b",
        "a > b",
        "a > 5m",
        "a == NaN",
        "a > Inf",
        "a > 1 / 0",
        "vector(1) == 1",
        "a > 1)",
        "a >",
        "> 1",
        "",
        "((((",
    ],
)
def test_what_would_change_its_meaning_stays_whole(expression: str) -> None:
    assert of_expression(expression) == Meaning(query=expression, detector="expression")


@pytest.mark.parametrize(
    "expression",
    [
        "count(up == 0) > 3",
        "topk(3, a) > 1",
        "max_over_time((a > 5)[10m:]) > 1",
        "absent(a) == 1",
        'ALERTS{alertstate="firing"} == 1',
        '{__name__="ALERTS"} == 1',
    ],
)
def test_what_is_empty_when_all_is_well_never_becomes_a_threshold(expression: str) -> None:
    """Its incidents would be held for ever."""
    assert of_expression(expression, missing="unknown") == of_expression(expression)
    assert of_expression(expression).detector == "expression"


@pytest.mark.parametrize(
    ("expression", "query", "labels"),
    [
        ('absent(up{job="a"})', 'up{job="a"}', {"job": "a"}),
        ('absent(up{job="a", job=~"b", x!="y", z="1"})', 'up{job="a", job=~"b", x!="y", z="1"}', {"z": "1"}),
        ('absent(up{job="a"} == 1)', 'up{job="a"} == 1', {}),
        ("(absent(up))", "up", {}),
    ],
)
def test_an_absence(expression: str, query: str, labels: dict[str, str]) -> None:
    params: dict[str, Any] = {"labels": labels} if labels else {}
    assert of_expression(expression) == Meaning(query=query, detector="absent", params=params)


queries = st.sampled_from(
    ["up", 'a{b="c"}', "sum by (x) (rate(a[5m]))", "a or b", "a > 5", "(a)", "a # b", "absent(x)"]
)
meanings = st.one_of(
    st.builds(
        lambda query, detector, op, value: Meaning(query=query, detector=detector, params={"op": op, "value": value}),
        queries,
        st.sampled_from(["threshold", "expression"]),
        st.sampled_from([">", ">=", "<", "<=", "==", "!="]),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    st.builds(lambda query: Meaning(query=query, detector="expression"), queries),
    st.builds(lambda query: Meaning(query=query, detector="absent"), queries),
)


@given(meanings, st.sampled_from(["ok", "unknown"]))
def test_the_way_back_gives_the_same_or_nothing(meaning: Meaning, missing: str) -> None:
    text = to_expression(meaning, missing=missing)
    assert text is None or of_expression(text, missing=missing) == meaning


@given(st.text(alphabet="ab5 ()[]{}<>=!+-*/.\"'#\nande", max_size=30))
def test_any_text_has_a_meaning(text: str) -> None:
    assert of_expression(text).query in text
