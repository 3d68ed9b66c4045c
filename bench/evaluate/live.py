"""R threshold rules x S series as they really run: worker, beat and Prometheus, watched for a minute.

In the part `thresholds` all rules are evaluated in one go; here their slots are spread over the interval, messages go
through the broker and eight threads take them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.evaluate import home as homes
from bench.evaluate.exporter import METRIC
from bench.evaluate.outcome import Outcome
from bench.evaluate.server import Exported, Server, cpu_s, rss_mb
from bench.evaluate.watch import COLUMNS, Watch, row_of, start_workers
from bench.tables import print_table


@dataclass(frozen=True, kw_only=True)
class Size:
    rules: int
    series: int
    interval_s: float
    seconds: float


def measure(size: Size, outcome: Outcome) -> None:
    with homes.installation() as (home, family):
        from remediation.models import Rule

        exported = Exported(size.rules, size.series)
        server = Server(home / "prometheus", exported.start(family), scrape_s=size.interval_s).start(family)
        homes.make_rules(homes.make_source("bench", server.url), size.rules, interval_s=size.interval_s)
        server.await_count(f"count({METRIC})", size.rules * size.series)
        idle = _cores({"prometheus": server.pid}, lambda: time.sleep(size.interval_s))
        homes.start_valkey(home, family)
        start_workers(family)
        watch = Watch({rule.pk: rule for rule in Rule.objects.all()}, look_every_s=0.2)
        watch.look_for(2 * size.interval_s)  # every series is new in the first
        pids = {name: pid for name, pid in family.pids().items() if name != "exporter"}
        stretch = (0.0, 0.0)

        def work() -> None:
            nonlocal stretch
            stretch = watch.look_for(size.seconds)

        cores = _cores(pids, work)
        row = row_of("live", watch, stretch, outcome)
        outcome.wrong += homes.errors()
        title = f"{size.rules:,} threshold rules x {size.series:,} series every {size.interval_s:g} s, live"
        print_table(title, ["", *COLUMNS], [row])
        rows = [[name, f"{cores[name]:.3f}", f"{rss_mb(pid):.0f}"] for name, pid in pids.items()]
        rows.append(["prometheus without us", f"{idle['prometheus']:.3f}", ""])
        print_table(f"{title}: processes", ["process", "cores", "RSS MB"], rows)


def _cores(pids: dict[str, int], work: Callable[[], object]) -> dict[str, float]:
    """What each process uses, on average, while something goes on."""
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    return {name: (cpu_s(pid) - before[name]) / took for name, pid in pids.items()}
