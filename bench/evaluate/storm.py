"""Thousands of series of one rule that appear, are beyond the limit at once, stay so, and come back at once.

Every one opens an incident, which is decided about and closed; that part is not measured here.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from bench.evaluate import history
from bench.evaluate import home as homes
from bench.evaluate.exporter import BEYOND
from bench.evaluate.meter import Meter
from bench.evaluate.outcome import Outcome
from bench.evaluate.server import Server
from bench.tables import print_table

INTERVAL_S = 15.0
METRIC = "bench_storm"
PHASES = (
    ("10 series, all well", 0.0),
    ("new ones appear, all bad", BEYOND),
    ("all still bad", BEYOND),
    ("all well again", 1.0),
    ("all still well", 1.0),
)
"""What a tick finds, and the value of the series of the storm; 0: they are not there yet."""


def measure(*, series: int, outcome: Outcome) -> None:
    with homes.installation() as (home, family):
        homes.start_valkey(home, family)
        server = Server(home / "prometheus", []).start(family)
        meter = Meter(server)
        source = homes.make_source("bench", server.url)
        ids = homes.make_rules(source, 1, interval_s=INTERVAL_S, name="Storm", query=METRIC)
        moments = _moments(ids[0])
        _fill(server.url, moments, series)
        rows = []
        for (what, value), now in zip(PHASES, moments, strict=True):
            cost = meter.mean([meter.measure(partial(homes.tick, ids, now=now))])
            rows.append([what, f"{cost.wall_s:.2f}", f"{cost.own_s:.2f}", f"{cost.server_s:.2f}"])
            wanted = series if value == BEYOND else 0
            if (found := len(homes.incidents_firing())) != wanted:
                outcome.wrong.append(f"storm, {what}: {found} incidents fire, not {wanted}")
        outcome.wrong += homes.errors()
        print_table(
            f"{series:,} series of one rule go bad at once, SQLite",
            ["tick", "s", "CPU s here", "CPU s Prometheus"],
            rows,
        )


def _moments(rule_id: int) -> list[datetime]:
    """The beginnings of the rule's last slots, one for each phase."""
    from remediation.models import Rule

    rule: Any = Rule.objects.get(pk=rule_id)
    last = rule.slot_began(datetime.fromtimestamp(time.time(), tz=UTC))
    return [last - timedelta(seconds=INTERVAL_S * back) for back in range(len(PHASES) - 1, -1, -1)]


def _fill(url: str, moments: list[datetime], series: int) -> None:
    """A sample of each series a second before each moment."""
    times = np.array([moment.timestamp() - 1 for moment in moments])
    calm = np.ones((10, len(times)))
    storm = np.tile([value for _, value in PHASES if value], (series, 1))
    history.write(url, [{"__name__": METRIC, "series": f"calm{n}"} for n in range(10)], times[:1], calm[:, :1])
    history.write(url, [{"__name__": METRIC, "series": f"calm{n}"} for n in range(10)], times[1:], calm[:, 1:])
    there = [at for at, (_, value) in zip(times, PHASES, strict=True) if value]
    history.write(url, [{"__name__": METRIC, "series": str(n)} for n in range(series)], np.array(there), storm)
