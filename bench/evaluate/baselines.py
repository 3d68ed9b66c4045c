"""Rules that learn what is normal from a window: one rule with 1,000 series, and 1,000 rules with 10 series each.

The hour before is written into a real Prometheus; then the rules are evaluated at moments that lie an interval apart
in that past, so that each tick has samples that the one before had not. Naive is the whole window each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

from bench.evaluate import history
from bench.evaluate import home as homes
from bench.evaluate.meter import Cost, Meter, Raw
from bench.evaluate.outcome import Outcome
from bench.evaluate.server import Server, rss_mb
from bench.tables import print_table
from remediation.series import Floats, Labels

STEP_S = 15.0
POINTS = 240
WINDOW_S = POINTS * STEP_S
PARAMS = {"window_s": WINDOW_S, "step_s": STEP_S, "limit": 20.0}
BAD = 7
"""Series that are odd at the end, which all ways of judging must find."""
ONE, MANY = "bench_one", "bench_many"


@dataclass(frozen=True, kw_only=True)
class Past:
    """When there are samples, and the moments of evaluation, the last of which sees odd values."""

    times: Floats
    moments: list[datetime]

    @classmethod
    def ending(cls, now: float, ticks: int) -> Past:
        end = now // STEP_S * STEP_S
        moments = end - STEP_S * np.arange(ticks - 1, -1, -1)
        times = np.arange(moments[0] - WINDOW_S - 2 * STEP_S, end + 1, STEP_S)
        return cls(times=times, moments=[datetime.fromtimestamp(at, tz=UTC) for at in moments])


@dataclass
class Table:
    """Rows as they come, each beside its rule's naive version."""

    rows: list[list[str]] = field(default_factory=list)

    def add(self, what: str, ticks: list[Raw], cost: Cost, memory: str = "") -> None:
        cells = [f"{cost.wall_s * 1000:.1f}", f"{cost.own_s * 1000:.1f}", f"{cost.server_s * 1000:.1f}"]
        self.rows.append([what, str(len(ticks)), *cells, str(cost.queries), f"{cost.received / 1e6:.3f}", memory])

    def print(self) -> None:
        header = ["per tick", "n", "wall ms", "CPU ms here", "CPU ms Prometheus", "queries", "MB", "RSS MB"]
        title = f"Robust z-score over {POINTS} points, {STEP_S:g} s apart"
        print_table(title, header, self.rows)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What every measurement here needs."""

    source: Any
    past: Past
    meter: Meter
    table: Table
    outcome: Outcome

    def ticks(self, ids: list[int]) -> list[Raw]:
        """The first tick, the steady ones, and one that sees odd values."""
        self.meter.idle(2)
        found = [self.meter.measure(partial(homes.tick, ids, now=now)) for now in self.past.moments]
        self.outcome.wrong += homes.errors()
        return found


def measure(*, many_rules: int, ticks: int, outcome: Outcome) -> None:
    with homes.installation() as (home, family):
        homes.start_valkey(home, family)
        server = Server(home / "prometheus", []).start(family)
        past = Past.ending(time.time(), ticks + 2)
        _fill(server.url, past, many_rules)
        source = homes.make_source("bench", server.url, stale_after_s=4 * STEP_S)
        run = Run(source=source, past=past, meter=Meter(server), table=Table(), outcome=outcome)
        _one_rule(run, _rules(source, 1, ONE))
        _many_rules(run, _rules(source, many_rules, MANY))
        run.table.print()


def _fill(url: str, past: Past, many_rules: int) -> None:
    """Noise of one around 100; the last two samples of a few series are far off."""
    one: list[Labels] = [{"__name__": ONE, "series": str(n)} for n in range(1000)]
    many: list[Labels] = [{"__name__": MANY, "rule": str(n // 10), "series": str(n)} for n in range(10 * many_rules)]
    noise = np.random.default_rng(20)
    values = 100 + noise.normal(size=(len(one) + len(many), len(past.times))).round(3)
    for first, count in ((0, len(one)), (len(one), len(many))):
        values[first : first + count : count // BAD, -2:] = 500
    history.write(url, one + many, past.times, values)


def _rules(source: Any, count: int, metric: str) -> list[int]:
    query = metric if metric == ONE else metric + '{{rule="{n}"}}'
    return homes.make_rules(
        source, count, interval_s=STEP_S, name=metric, query=query, detector="zscore", params=PARAMS
    )


def _one_rule(run: Run, ids: list[int]) -> None:
    ticks = run.ticks(ids)
    memory = f"{rss_mb():.0f}"
    steady = run.meter.mean(ticks[1:-1])
    run.table.add("1 rule x 1,000 series: first tick", ticks[:1], run.meter.mean(ticks[:1]))
    run.table.add("1 rule x 1,000 series: steady tick", ticks[1:-1], steady, memory)
    times = [
        f"naive {what} {_naive(run, ids[0], what, ask).wall_s * 1000:.0f} ms"
        for what, ask in (("window.fetch", _by_window), ("prometheus-api-client", _by_client))
    ]
    if len(homes.seen_bad()) < BAD:
        run.outcome.wrong.append(f"{len(homes.seen_bad())} odd series of a baseline were found, not at least {BAD}")
    run.outcome.aim(
        f"a tick of a baseline over 1,000 series x {POINTS} points",
        bound=50,
        found=steady.wall_s * 1000,
        unit="ms",
        note=", ".join(times),
    )


def _naive(run: Run, rule_id: int, what: str, ask: Callable[[Any, datetime], set[tuple[str, str]]]) -> Cost:
    """Judge the same moments from whole windows; the last must have found what ours did."""
    found: set[tuple[str, str]] = set()
    ticks = []

    def work(now: datetime) -> None:
        nonlocal found
        found = ask(run.source, now)

    for now in _slots(rule_id, run.past)[1:]:
        ticks.append(run.meter.measure(partial(work, now)))
    cost = run.meter.mean(ticks)
    run.table.add(f"  naive, whole window by {what}", ticks, cost)
    run.outcome.compare(f"bad series of a baseline and of the naive one ({what})", homes.seen_bad(), found)
    return cost


def _slots(rule_id: int, past: Past) -> list[datetime]:
    """The moments that the rule is judged at: the beginnings of its slots."""
    from remediation.models import Rule

    rule = Rule.objects.get(pk=rule_id)
    return [rule.slot_began(now) for now in past.moments]


def _by_window(source: Any, now: datetime) -> set[tuple[str, str]]:
    from remediation.observe import window
    from remediation.observe.clients import client_for

    asked = _asked(source)
    return _judged(asked, window.fetch(client_for(source), asked.question, now=now.timestamp()))


def _by_client(source: Any, now: datetime) -> set[tuple[str, str]]:
    """As a program would that knows the client's own words only."""
    from prometheus_api_client import PrometheusConnect

    from remediation.series import Matrix

    at = now.timestamp()
    client: Any = _clients.setdefault(source.url, PrometheusConnect(url=source.url))
    times = at - STEP_S * np.arange(POINTS, -1, -1.0)
    # Its own range query rounds the ends to seconds; given as further parameters they stay as they are.
    ends = {"start": f"{times[0]:.3f}", "end": f"{times[-1]:.3f}"}
    found = client.custom_query_range(ONE, now, now, f"{STEP_S:g}", params=ends)
    values = np.full((len(found), len(times)), np.nan)
    for row, one in enumerate(found):
        for moment, text in one["values"]:
            values[row, round((moment - times[0]) / STEP_S)] = float(text)
    labels = tuple({name: text for name, text in one["metric"].items() if name != "__name__"} for one in found)
    return _judged(_asked(source), Matrix(labels=labels, times=times, values=values, now=at))


_clients: dict[str, Any] = {}


def _asked(source: Any) -> Any:
    from remediation.judging import Asked

    return Asked.of(source, ONE, "zscore", PARAMS)


def _judged(asked: Any, matrix: Any) -> set[tuple[str, str]]:
    from remediation.states import Code

    verdicts = asked.detector.judge(matrix, asked.params)
    bad = np.flatnonzero(verdicts.codes == Code.BAD)
    return {(f"{ONE}0", verdicts.labels[row]["series"]) for row in bad}


def _many_rules(run: Run, ids: list[int]) -> None:
    ticks = run.ticks(ids)
    steady = run.meter.mean(ticks[1:-1])
    what = f"{len(ids):,} rules x 10 series"
    run.table.add(f"{what}: first tick", ticks[:1], run.meter.mean(ticks[:1]))
    run.table.add(f"{what}: steady tick", ticks[1:-1], steady, f"{rss_mb():.0f}")
    odd = {(f"{MANY}{n // 10}", str(n)) for n in range(0, 10 * len(ids), 10 * len(ids) // BAD)}
    found = {one for one in homes.seen_bad() if one[0].startswith(MANY)}
    run.outcome.compare("odd series of many baselines, found and made", found, odd)
    run.outcome.aim(
        f"{len(ids):,} rolling-baseline rules x 10 series every {STEP_S:g} s, CPU here and in Prometheus",
        bound=0.5,
        found=steady.together_s / STEP_S,
        unit="cores",
        note=f"{steady.own_s / STEP_S:.2f} here, a tick takes {steady.wall_s:.2f} s",
    )
