"""R threshold rules x S series: Homeostat, Prometheus' own alerting rules, and one query per rule, on one Prometheus.

All three are measured one after another on the same server with the same samples, so that its scraping, its memory
and its caches are alike: measured while nobody asks, the scraping is taken off. Prometheus evaluates its rules more
often than ours are (every few seconds, in one group): a round costs the same, and the mean has more rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.evaluate import home as homes
from bench.evaluate.exporter import LIMIT, METRIC
from bench.evaluate.meter import Cost, Meter, Raw
from bench.evaluate.outcome import Outcome
from bench.evaluate.server import DURATION, ITERATIONS, Exported, Server, rss_mb
from bench.tables import print_table

OWN_ROUNDS = 6
STEADY = "steady tick, nothing changed"
WRITTEN = "tick that writes every series again"
OWN = "Prometheus' own rules"
BAD_SHARE = 0.01


@dataclass(frozen=True, kw_only=True)
class Size:
    rules: int
    series: int
    interval_s: float
    ticks: int
    alert_limit: float = LIMIT
    """Of Prometheus' rules. Another one than ours makes the verdicts differ: to see that this is noticed."""

    @property
    def total(self) -> int:
        return self.rules * self.series


@dataclass
class Run:
    """One measurement under way: rows of the table as they come."""

    size: Size
    server: Server
    exported: Exported
    meter: Meter
    ids: list[int]
    outcome: Outcome
    rows: list[list[str]] = field(default_factory=list)
    costs: dict[str, Cost] = field(default_factory=dict)
    slot_at: float = 0.0

    def tick(self) -> Raw:
        """One of ours at the start of the next interval; what is left of this one shows what Prometheus uses idle."""
        from django.utils import timezone

        self.meter.idle(self.slot_at - time.time())
        now = timezone.now()
        self.slot_at = now.timestamp() + self.size.interval_s + 0.01
        done = 0

        def work() -> None:
            nonlocal done
            done = homes.tick(self.ids, now=now)

        raw = self.meter.measure(work)
        if done != len(self.ids):
            self.outcome.wrong.append(f"{done} of {len(self.ids)} rules were evaluated in one tick")
        self.outcome.wrong += homes.errors()
        return raw

    def note(self, what: str, ticks: list[Raw], memory: str = "") -> None:
        cost = self.costs[what] = self.meter.mean(ticks)
        cells = [f"{cost.wall_s:.3f}", f"{cost.own_s:.3f}", f"{cost.server_s:.3f}", f"{cost.together_s:.3f}"]
        self.rows.append([what, str(len(ticks)), *cells, f"{cost.queries}", f"{cost.received / 1e6:.3f}", memory])


def measure(size: Size, outcome: Outcome) -> None:
    with homes.installation() as (home, family):
        homes.start_valkey(home, family)
        exported = Exported(size.rules, size.series)
        targets = exported.start(family)
        server = Server(home / "prometheus", targets, scrape_s=min(15, size.interval_s)).start(family)
        source = homes.make_source("bench", server.url)
        ids = homes.make_rules(source, size.rules, interval_s=size.interval_s)
        server.await_count(f"count({METRIC})", size.total)
        meter = Meter(server)
        run = Run(size=size, server=server, exported=exported, meter=meter, ids=ids, outcome=outcome)
        _ours_while_all_is_well(run)
        _own_rules(run, OWN)
        _series_go_bad(run)
        _naive(run)
        _print(run)
        _aims(run)


def _ours_while_all_is_well(run: Run) -> None:
    run.meter.idle(min(run.size.interval_s, 5))
    first = run.tick()
    steady = [run.tick() for _ in range(run.size.ticks)]
    memory = f"{rss_mb():.0f}"
    _make_old()
    written = run.tick()
    run.meter.idle(min(run.size.interval_s, 5))
    run.note("first tick, every series new", [first])
    run.note(STEADY, steady, memory)
    run.note(WRITTEN, [written])
    run.outcome.compare("while all is well, bad series", homes.seen_bad(), set())


def _make_old() -> None:
    """Let every series be due to be written again, as once in so many seconds."""
    from django.db.models import F

    from remediation.models import RuleStatus, SeriesState

    RuleStatus.objects.update(looked_at=None)
    SeriesState.objects.update(judged_at=F("judged_at") - 3600)


def _own_rules(run: Run, what: str, *, stay: bool = False) -> None:
    """Prometheus evaluates the thresholds by itself."""
    every_s = max(run.size.interval_s / 15, run.size.total / 50_000)
    run.server.load_rules(run.size.rules, every_s=every_s, limit=run.size.alert_limit)
    loaded = run.server.metric(ITERATIONS)
    _await(lambda: run.server.metric(ITERATIONS) > loaded)  # what the first round does is not repeated
    before, cpu, began = run.server.metric(ITERATIONS), run.server.cpu_s(), time.monotonic()
    time.sleep(OWN_ROUNDS * every_s)
    busy, watched = run.server.cpu_s() - cpu, time.monotonic() - began
    rounds = int(run.server.metric(ITERATIONS) - before)
    round_s = run.server.metric(DURATION)
    if not rounds:
        run.outcome.wrong.append("Prometheus evaluated no rules while it was watched")
        return
    one = Raw(
        wall_s=round_s,
        own_s=0.0,
        busy_s=busy / rounds,
        watched_s=watched / rounds,
        queries=0,
        received=0,
    )
    run.note(what, [one] * rounds, f"{rss_mb(run.server.pid):.0f} (Prometheus)")
    if not stay:
        run.server.unload_rules()


def _series_go_bad(run: Run) -> None:
    """One in a hundred is beyond the limit from one scrape on; Prometheus' alerts say which must be found."""
    bad = max(1, round(run.size.total * BAD_SHARE))
    run.exported.make_bad(bad)
    run.server.await_count(f"count({METRIC} > {LIMIT:g})", bad)
    _own_rules(run, f"{OWN}, 1 % bad", stay=True)
    alerts = run.server.firing()
    run.server.unload_rules()
    turned = run.tick()
    still = [run.tick()]
    run.meter.idle(0.5)
    run.note("tick in which 1 % go bad", [turned])
    run.note("tick with 1 % bad as before", still)
    run.outcome.compare("our bad series and Prometheus' alerts", homes.seen_bad(), alerts)
    run.outcome.compare("our firing incidents and Prometheus' alerts", homes.incidents_firing(), alerts)


def _naive(run: Run) -> None:
    """One query per rule over one kept-alive session, by prometheus-api-client as it comes, judged in Python."""
    from prometheus_api_client import PrometheusConnect

    client: Any = PrometheusConnect(url=run.server.url)
    found: set[tuple[str, str]] = set()

    def work() -> None:
        for n in range(run.size.rules):
            for one in client.custom_query(f'{METRIC}{{rule="{n}"}}'):
                if float(one["value"][1]) > LIMIT:
                    found.add((f"Bench{n}", one["metric"]["series"]))

    run.note("naive: one query per rule", [run.meter.measure(work) for _ in range(2)])
    run.outcome.compare("our bad series and the naive ones", homes.seen_bad(), found)


def _print(run: Run) -> None:
    size, share = run.size, run.meter.idle_share
    header = ["per tick", "n", "wall s", "CPU s here", "CPU s Prometheus", "together", "queries", "MB", "RSS MB"]
    own = run.costs.get(OWN)
    for row in run.rows:
        together = run.costs[row[0]].together_s
        row.append(f"{together / own.together_s:.1f}" if own and own.together_s else "")
    title = f"{size.rules:,} threshold rules x {size.series:,} series, one tick every {size.interval_s:g} s"
    print_table(f"{title} (scraping, {share:.3f} cores, taken off)", [*header, "x own rules"], run.rows)


def _aims(run: Run) -> None:
    from remediation.standings import refresh_s

    size = run.size
    steady, written, own = run.costs[STEADY], run.costs[WRITTEN], run.costs.get(OWN)
    note = "" if (size.rules, size.series) == (1000, 100) else "the aim is for 1,000 x 100: --full"
    what = f"a tick of {size.rules:,} threshold rules x {size.series:,} series"
    every = max(1.0, refresh_s(size.total) / size.interval_s)
    run.outcome.aim(f"{what} ends in time", bound=1.0, found=steady.wall_s, unit="s", note=note)
    run.outcome.aim(
        f"{what} that writes every series again (1 in {every:.0f})",
        bound=1.0,
        found=written.wall_s,
        unit="s",
        note=note,
    )
    if own and own.together_s:
        mean = steady.together_s + (written.together_s - steady.together_s) / every
        run.outcome.aim(
            f"{what}, CPU beside Prometheus' own rules, writing included",
            bound=3.0,
            found=mean / own.together_s,
            unit="times",
            note=note,
        )


def _await(look: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not look():
        if time.monotonic() > deadline:
            raise SystemExit(f"Prometheus evaluated no rule within {within_s:.0f} s")
        time.sleep(0.1)
