from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.observe import promql


def kept(selector: str, bare: str = "", tail: str = "") -> str:
    return f"({selector} and last_over_time({bare or selector}[30000ms]{tail}))"


UP = kept("up")


@pytest.mark.parametrize(
    ("query", "reach"),
    [
        ("up", 30),
        ("1", 0),
        ("vector(1) > bool 0", 0),
        ("rate(x[5m])", 300),
        ("rate(x[5m]) / rate(y[1h30m])", 5400),
        ("rate(x[10s]) and up", 30),
        ("x offset 1w", 30 + 604800),
        ("rate(x[5m] offset 10m)", 900),
        ("x offset -5m", 30),
        ("max_over_time(rate(x[5m])[1h:1m])", 3900),
        ("max_over_time(x[1h:])", 3630),
        ("rate(x[300])", 300),
        ("x @ 1609746000", promql.FIXED_TIME_REACH_S),
        ("x @ end()", 30),
        ('x{a="[9h]", b="offset 1d", c=`[1w]`, d=\'@ 5\'}', 30),
        ("x # [9h] offset 1d\n", 30),
        ('absent(up{job="a"})', 30),
        ("", 0),
    ],
)
def test_reach(query: str, reach: float) -> None:
    assert promql.reach_s(query, lookback_s=30.0) == reach


@pytest.mark.parametrize(
    ("query", "fresh"),
    [
        ("up", UP),
        ("sum by (job) (up)", f"sum by (job) ({UP})"),
        ("sum(up) without (job, on)", f"sum({UP}) without (job, on)"),
        ('up{job="a}"} == 0', kept('up{job="a}"}') + " == 0"),
        ('{job="a"}', kept('{job="a"}')),
        ("up offset 5m > 1", kept("up offset 5m", "up", " offset 5m") + " > 1"),
        ("up @ end() offset -5m", kept("up @ end() offset -5m", "up", " @ end() offset -5m")),
        ("up[5m:1m] offset 1h", UP + "[5m:1m] offset 1h"),
        ("rate(x[5m])", "rate(x[5m])"),
        ("rate(x[5m]) * on (a) group_left (b) up", f"rate(x[5m]) * on (a) group_left (b) {UP}"),
        ("a:b:rate5m or on() vector(0)", kept("a:b:rate5m") + " or on() vector(0)"),
        ("absent(up) or up", f"absent(up) or {UP}"),
        ("time() - timestamp(up)", "time() - timestamp(up)"),
        ('count_values("v", up)', f'count_values("v", {UP})'),
        ("-up ^ 2", f"-{UP} ^ 2"),
        ("up > bool 1e-3 and Inf > NaN", UP + " > bool 1e-3 and Inf > NaN"),
        ("up # up\n + up", f"{UP} # up\n + {UP}"),
        ("up(", "up("),
        ('up{job="', kept('up{job="')),
    ],
)
def test_fresh(query: str, fresh: str) -> None:
    assert promql.fresh(query, stale_after_s=30.0) == fresh


@given(st.text(alphabet="up{}[]()\"'`:@#, \n15mxoffset", max_size=60))
def test_any_text_is_read_without_an_error(query: str) -> None:
    promql.fresh(query, stale_after_s=30.0)
    assert promql.reach_s(query, lookback_s=30.0) >= 0


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("up", "last_over_time(up[30000ms])"),
        ('2 * up{a="("} offset 5m - 1', '2 * last_over_time(up{a="("}[30000ms] offset 5m) - 1'),
        ("(up @ 12) # sum(x)", "(last_over_time(up[30000ms] @ 12)) # sum(x)"),
        ("rate(x[5m])", None),
        ("sum(up)", None),
        ("sum by (job) (up)", None),
        ("count without (id) (up)", None),
        ("a / b", None),
        ("up unless gone", None),
        ("abs(up)", None),
        ("max_over_time(up[5m:15s])", None),
        ("timestamp(up)", None),
        ("1", None),
    ],
)
def test_only_one_selector_is_asked_for_what_was_there_recently(query: str, found: str | None) -> None:
    """One that has ended must not change another's value."""
    assert promql.recent(query, stale_after_s=30) == (found or query)


@pytest.mark.parametrize(
    ("query", "whole"),
    [
        ("up", True),
        ("sum(up) # )", True),
        ("up # (\r", True),
        ("up # \r) or (up", False),
        ("up # \n) or (up", False),
        ("up) or (up", False),
        ('up{a=")"}', True),
        ('up{a="', False),
        ("`", False),
        ("", False),
    ],
)
def test_a_text_is_whole_when_it_cannot_reach_out_of_its_brackets(query: str, whole: bool) -> None:
    assert promql.is_whole(query) is whole
