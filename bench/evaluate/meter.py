"""What a piece of work costs: seconds, processor time here and in Prometheus, queries and bytes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.evaluate.server import Server

SETTLE_S = 0.3
"""How long after the work Prometheus is still watched: it frees memory after it answered."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one tick. Seconds; server_s is without what Prometheus does anyway. received: bytes of the answers' bodies."""

    wall_s: float
    own_s: float
    server_s: float
    queries: int
    received: int

    @property
    def together_s(self) -> float:
        return self.own_s + self.server_s


@dataclass
class Meter:
    """Measures ticks against one Prometheus, whose idle load (scraping) is measured between them and taken off."""

    server: Server
    idle_cpu_s: float = 0.0
    idle_wall_s: float = 0.0

    @property
    def idle_share(self) -> float:
        """Cores that Prometheus uses when nobody asks."""
        return self.idle_cpu_s / self.idle_wall_s if self.idle_wall_s else 0.0

    def idle(self, seconds: float) -> None:
        """Let Prometheus be, and note what it uses."""
        if seconds <= 0:
            return
        cpu, began = self.server.cpu_s(), time.monotonic()
        time.sleep(seconds)
        self.idle_cpu_s += self.server.cpu_s() - cpu
        self.idle_wall_s += time.monotonic() - began

    def measure(self, work: Callable[[], object]) -> Raw:
        sent = self.server.sent()
        theirs, own, began = self.server.cpu_s(), time.process_time(), time.perf_counter()
        work()
        wall_s, own_s = time.perf_counter() - began, time.process_time() - own
        time.sleep(SETTLE_S)
        theirs, watched_s = self.server.cpu_s() - theirs, time.perf_counter() - began
        after = self.server.sent()
        return Raw(
            wall_s=wall_s,
            own_s=own_s,
            busy_s=theirs,
            watched_s=watched_s,
            queries=after.queries - sent.queries,
            received=after.size - sent.size,
        )

    def mean(self, ticks: Sequence[Raw]) -> Cost:
        """Wall time: the median, which one disturbed tick does not move. Processor time: the mean, since the kernel
        counts in steps of 10 ms. Seconds that Prometheus spends on scraping are taken off."""
        return Cost(
            wall_s=statistics.median(tick.wall_s for tick in ticks),
            own_s=statistics.fmean(tick.own_s for tick in ticks),
            server_s=max(0.0, statistics.fmean(tick.busy_s - self.idle_share * tick.watched_s for tick in ticks)),
            queries=round(statistics.fmean(tick.queries for tick in ticks)),
            received=round(statistics.fmean(tick.received for tick in ticks)),
        )


@dataclass(frozen=True, kw_only=True)
class Raw:
    """One tick as it was read, scraping included."""

    wall_s: float
    own_s: float
    busy_s: float
    watched_s: float
    queries: int
    received: int
