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
