"""A query narrowed to one series answers the same for it, or is left as it is."""

from __future__ import annotations

import json
import math
import os
import random
import time

import numpy as np
import pytest

from deploy import tools
from remediation.observe import window
from remediation.observe.base import Access, Question
from remediation.observe.narrow import LONGEST, narrowed
from remediation.observe.prometheus import Prometheus
from remediation.rules import store
from remediation.series import Floats, Labels, fingerprint

L = {"job": "api", "instance": "a:1"}
ONE = '{instance="a:1",job="api"}'


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("up", f"up{ONE}"),
        ("rate(errors_total[5m])", f"rate(errors_total{ONE}[5m])"),
        ('up{zone="x"}', 'up{zone="x",instance="a:1",job="api"}'),
        ("up{ }", f"up{ONE}"),
        ('up{zone="x",}', 'up{zone="x",instance="a:1",job="api"}'),
        ('{__name__=~"a|b"}', '{__name__=~"a|b",instance="a:1",job="api"}'),
        ("100 * (1 - avg_over_time(up[1h] offset 1d))", f"100 * (1 - avg_over_time(up{ONE}[1h] offset 1d))"),
        ("a / b > bool 2", f"a{ONE} / b{ONE} > bool 2"),
        ("a @ end() unless b", f"a{ONE} @ end() unless b{ONE}"),
        ("max_over_time(rate(a[1m])[10m:30s])", f"max_over_time(rate(a{ONE}[1m])[10m:30s])"),
        ("sum by (instance, job) (up)", f"sum by (instance, job) (up{ONE})"),
        ("sum(up) by (job, instance, zone)", f"sum(up{ONE}) by (job, instance, zone)"),
        ("quantile by (job, instance) (0.9, up)", f"quantile by (job, instance) (0.9, up{ONE})"),
        (
            "histogram_quantile(0.9, sum by (le, job, instance) (rate(t_bucket[1m])))",
            f"histogram_quantile(0.9, sum by (le, job, instance) (rate(t_bucket{ONE}[1m])))",
        ),
    ],
)
def test_the_source_reads_what_the_series_rests_on(query: str, expected: str) -> None:
    assert narrowed(query, L) == expected


@pytest.mark.parametrize(
    "query",
    [
        *("sum without (instance) (up)", "sum(up) without (instance)", "topk(3, up)", "absent(up)"),
        *("count_values by (job) ('v', up)", "bottomk by (job) (1, up)", 'label_replace(up, "a", "$1", "job", "(.*)")'),
        *("a * on (job) group_left (zone) b", "a / ignoring (zone) b", "up / scalar(sum(up))", "up or vector(0)"),
        *("time() - up", "timestamp(up)", "sort(up)", "sum by (a) (x) limit 3", "x keep_metric_names", "a default b"),
        *("up # a comment", 'up{a="1" or b="2"}', "WITH (x = up) x", 'sum by ("job") (up)', "$x", "up{", "by (job) up"),
    ],
)
def test_what_is_not_known_to_be_the_same_stays(query: str) -> None:
    assert narrowed(query, L) == query


def test_what_a_label_holds_stays_text() -> None:
    value = 'x"} or up{a="\\\n'
    assert narrowed("up", {"a": value}) == 'up{a="x\\"} or up{a=\\"\\\\\\n"}'


def test_a_series_without_labels_rests_on_all() -> None:
    assert narrowed("sum(up) + sum by () (up)", {}) == "sum(up) + sum by () (up)"
    assert narrowed('sum by (le) (up{a="b"})', {"le": "1"}) == 'sum by (le) (up{a="b"})'


def test_a_series_that_only_its_name_tells_apart_is_not_narrowed() -> None:
    assert narrowed("up", {"__name__": "up", "job": "api"}) == "up"
    assert narrowed("up", {"a.b": "c"}) == "up"
    assert narrowed("up", {"job": "x" * LONGEST}) == "up"


# --- against the real one ---------------------------------------------------------------------------------------------

LEAVES = ["m", "n", 'm{zone=~".*"}', "rate(c[20s])", "sum_over_time(n[15s])", "max_over_time(rate(c[15s])[20s:5s])"]
FRAMES = [
    *("({} + {})", "({} / {})", "({} and {})", "({} or {})", "({} unless {})", "({} > {})", "({} > bool {})"),
    *("sum by (job) ({})", "sum({}) by (job, zone)", "avg by (zone) ({})", "max by (job) ({})", "count by (job) ({})"),
    *("abs({})", "clamp_max({}, 3)", "(2 * {} - 1)", "-{}", "quantile by (job) (0.5, {})", "stddev by (zone) ({})"),
    *("sum by () ({})", "sum({})", "topk by (job) (1, {})", "sum without (job) ({})", "min by (job, zone) ({})"),
    *("histogram_quantile(0.9, {})", "sum by (le, job) ({})"),
]


def a_query(dice: random.Random, depth: int) -> str:
    if depth == 0 or dice.random() < 0.2:
        return dice.choice(LEAVES)
    frame = dice.choice(FRAMES)
    return frame.format(*(a_query(dice, depth - 1) for _ in range(frame.count("{}"))))


def answer(client: Prometheus, query: str, now: float) -> dict[str, tuple[Labels, Floats]]:
    matrix = window.fetch(client, Question(query=query, window_s=40, step_s=5), now=now)
    return {fingerprint(labels): (labels, row) for labels, row in zip(matrix.labels, matrix.values, strict=True)}


@pytest.mark.real
def test_each_series_of_many_queries_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.VARIABLE, str(tools.find("prometheus")))
    seed = int(os.environ.get("HOMEOSTAT_TEST_SEED", "7"))
    dice, now = random.Random(seed), math.floor(time.time())  # noqa: S311 - a game
    compared = 0
    with store.running() as kept:
        for back in range(90, -1, -5):
            kept.write(list(world(now - back, dice)))
        client = Prometheus(Access(url=kept.url, stale_after_s=12))
        for query in dict.fromkeys(a_query(dice, 3) for _ in range(200)):
            try:
                whole = answer(client, query, now)
            except Exception:  # noqa: BLE001, S112 - what the source refuses is nobody's chart
                continue
            for name, (labels, values) in list(whole.items())[:4]:
                text = narrowed(query, labels)
                if text == query:
                    continue
                # Prometheus itself adds up in another order each time it is asked.
                _, again = answer(client, text, now).get(name, ({}, np.empty(0)))
                np.testing.assert_allclose(again, values, rtol=1e-9, err_msg=json.dumps([seed, query, text]))
                compared += 1
    assert compared > 50


def world(at: float, dice: random.Random) -> list[tuple[dict[str, str], float, float]]:
    """Series with and without a zone, one that comes and goes, buckets, and counters."""
    found = []
    for job in ("api", "web"):
        for instance in ("a", "b"):
            labels = {"job": job, "instance": instance} | ({"zone": instance} if job == "web" else {})
            found.append(({"__name__": "m", **labels}, at, dice.random() * 5))
            if dice.random() < 0.7:
                found.append(({"__name__": "n", **labels}, at, dice.random() * 5))
            for place, le in enumerate(("0.1", "1", "+Inf")):
                found.append(({"__name__": "c", "le": le, **labels}, at, (place + 1) * (at % 1000)))
    return found
