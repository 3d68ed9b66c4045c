"""Hours of made-up history, so that baselines mean something from the first minute.

The same series as the live ones, label by label, at the rates the live shop has; `rate()` runs across the join, because
a counter that starts again at zero is an ordinary restart to it.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.demo.config import DemoConfig
from deploy.demo.files import first_workers
from deploy.demo.layout import JOBS
from deploy.demo.rhythm import BROWSE_PER_S, ORDERS_PER_S, wave
from deploy.tools import find

HOURS = 2.5
STEP_S = 5

# What the live shop measures on an idle machine, in seconds a request.
BROWSE_S = 0.003
ORDER_S = 0.02
PAY_S = 0.014

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Series:
    name: str
    labels: dict[str, str]
    values: Numbers


class History:
    """All series over one span of time."""

    def __init__(self, config: DemoConfig, end: float) -> None:
        self.config = config
        self.times = end - np.arange(HOURS * 3600, -STEP_S, -STEP_S)
        self.dice = np.random.default_rng(int(end))
        self.wave = np.array([wave(at) for at in self.times])

    def series(self) -> Iterator[Series]:
        yield from self._all_targets()
        for app in JOBS["web"]:
            yield from self._handler("web", app, "browse", BROWSE_PER_S / 2, BROWSE_S)
            yield from self._handler("web", app, "order", ORDERS_PER_S / 2, ORDER_S)
        yield from self._handler("payments", "payments", "pay", ORDERS_PER_S, PAY_S)
        yield self._gauge("http_requests_in_flight", "payments", "payments", self.dice.integers(0, 2, len(self.times)))
        yield self._gauge("queue_depth", "queue", "queue", self.dice.integers(0, 2, len(self.times)))
        yield self._counter("queue_jobs_added_total", "queue", "queue", ORDERS_PER_S)
        for worker in first_workers():
            yield self._counter("queue_jobs_processed_total", "worker", worker, ORDERS_PER_S / 2)
        yield self._counter("store_writes_total", "store", "store-1", 2 * ORDERS_PER_S)
        for store, primary in (("store-1", 1.0), ("store-2", 0.0)):
            yield self._gauge("store_is_primary", "store", store, np.full(len(self.times), primary))
        yield self._counter(
            "haproxy_frontend_http_requests_total", "edge", "haproxy", BROWSE_PER_S + ORDERS_PER_S, proxy="front"
        )

    def _all_targets(self) -> Iterator[Series]:
        still = np.ones(len(self.times))
        for job, targets in JOBS.items():
            for target in targets:
                running = job != "worker" or target in first_workers()
                yield self._gauge("up", job, target, still * running)
                yield self._gauge("scrape_duration_seconds", job, target, still * 0.003 * self._noise(0.1))
                if running and job != "edge":
                    memory = 2.9e7 + np.round(still * 4096 * self.dice.integers(0, 40, len(self.times)))
                    yield self._gauge("process_resident_memory_bytes", job, target, memory)

    def _handler(self, job: str, target: str, handler: str, per_s: float, seconds: float) -> Iterator[Series]:
        """The counters of one route: requests by code, and the time they took."""
        requests = self._steps(per_s)
        yield self._series("http_requests_total", job, target, np.cumsum(requests), handler=handler, code="200")
        for code in ("500", "502", "503"):
            none = np.zeros(len(self.times))
            yield self._series("http_requests_total", job, target, none, handler=handler, code=code)
        took = np.cumsum(requests * seconds * self._noise(0.08))
        yield self._series("http_request_duration_seconds_sum", job, target, took, handler=handler)
        yield self._series("http_request_duration_seconds_count", job, target, np.cumsum(requests), handler=handler)

    def _counter(self, name: str, job: str, target: str, per_s: float, **labels: str) -> Series:
        return self._series(name, job, target, np.cumsum(self._steps(per_s)), **labels)

    def _gauge(self, name: str, job: str, target: str, values: NDArray[np.generic]) -> Series:
        return self._series(name, job, target, values.astype(np.float64))

    def _series(self, name: str, job: str, target: str, values: Numbers, **labels: str) -> Series:
        where = {"job": job, "instance": self.config.address(target), "service": job, "target": target}
        return Series(name=name, labels=where | labels, values=values)

    def _steps(self, per_s: float) -> Numbers:
        """How many happened in each step."""
        return np.maximum(0, np.round(per_s * STEP_S * self.wave * self._noise(0.05)))

    def _noise(self, share: float) -> Numbers:
        return 1 + share * self.dice.standard_normal(len(self.times))


def write_openmetrics(history: History, path: Path) -> int:
    """Write all samples, oldest first within a series; returns how many."""
    count = 0
    stamps = [f"{at:.3f}" for at in history.times]
    with path.open("w") as out:
        for series in history.series():
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(series.labels.items()))
            head = f"{series.name}{{{labels}}}"
            out.writelines(f"{head} {value:g} {at}\n" for value, at in zip(series.values.tolist(), stamps, strict=True))
            count += len(stamps)
        out.write("# EOF\n")
    return count


def backfill(config: DemoConfig, end: float) -> int:
    """Make blocks of history up to `end` for a Prometheus that does not run yet; returns the number of samples."""
    text = config.folder / "prometheus" / "history.om"
    count = write_openmetrics(History(config, end), text)
    argv = [str(find("promtool")), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text)]
    subprocess.run([*argv, str(config.prometheus_store)], check=True, capture_output=True, timeout=120)
    text.unlink()
    return count
