"""A real Prometheus in a temporary folder, what it costs, and the exporter that it scrapes."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bench.evaluate.exporter import LIMIT, METRIC
from dashboard.ports import free_port
from dashboard.processes import Child, Family
from deploy.tools import find

PER_SHARD = 10_000
"""Series that one target shows, so that scrapes are spread over the interval."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ITERATIONS = "prometheus_rule_group_iterations_total"
DURATION = "prometheus_rule_group_last_duration_seconds"
local = requests.Session()
local.trust_env = False  # no proxy stands between us and our own ports
_ANSWERS = re.compile(
    r'^prometheus_http_response_size_bytes_(sum|count)\{handler="/api/v1/query(?:_range)?"\} (\S+)$', re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What it answered to queries so far: bytes of the bodies as they were sent, and how many."""

    size: int
    queries: int


@dataclass
class Server:
    """One Prometheus. It scrapes `targets` every scrape_s; alerting rules come and go by `load_rules`."""

    home: Path
    targets: list[str]
    scrape_s: float = 15
    url: str = ""
    pid: int = 0

    def start(self, family: Family) -> Server:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.home.mkdir(parents=True)
        self._configure(rules=False)
        argv = [str(find("prometheus")), f"--config.file={self.home / 'prometheus.yml'}", "--log.level=warn"]
        argv += [f"--storage.tsdb.path={self.home / 'tsdb'}", f"--web.listen-address={self.url[7:]}"]
        argv += ["--web.enable-lifecycle", "--web.enable-remote-write-receiver"]
        self.pid = family.start(
            Child(name="prometheus", argv=argv, quiet=True, ready=lambda: bool(self.get("/-/ready")))
        )
        return self

    def _configure(self, *, rules: bool) -> None:
        config: dict[str, Any] = {"global": {"scrape_interval": f"{self.scrape_s:g}s", "scrape_timeout": "900ms"}}
        config["global"]["scrape_timeout"] = f"{min(self.scrape_s, 10):g}s"
        config["scrape_configs"] = [{"job_name": "bench", "static_configs": [{"targets": self.targets}]}]
        if rules:
            config["rule_files"] = [str(self.home / "rules.yml")]
        (self.home / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML

    def load_rules(self, count: int, *, every_s: float, limit: float = LIMIT) -> None:
        """The same thresholds as alerting rules: one group, as one file of them would be."""
        rules = [{"alert": f"Bench{n}", "expr": f'{METRIC}{{rule="{n}"}} > {limit:g}'} for n in range(count)]
        group = {"name": "bench", "interval": f"{round(every_s * 1000)}ms", "rules": rules}
        (self.home / "rules.yml").write_text(json.dumps({"groups": [group]}))
        self._configure(rules=True)
        self._reload()

    def unload_rules(self) -> None:
        self._configure(rules=False)
        self._reload()

    def _reload(self) -> None:
        local.post(f"{self.url}/-/reload", timeout=30).raise_for_status()

    def get(self, path: str, **params: str) -> str:
        """Raises OSError, as every error of requests is."""
        answer = local.get(f"{self.url}{path}", params=params, timeout=30)
        answer.raise_for_status()
        return answer.text

    def sent(self) -> Sent:
        found: dict[str, float] = {"sum": 0, "count": 0}
        for kind, number in _ANSWERS.findall(self.get("/metrics")):
            found[kind] += float(number)
        return Sent(size=round(found["sum"]), queries=round(found["count"]))

    def metric(self, name: str) -> float:
        """Of its own metrics, the sum over all label sets."""
        return sum(float(n) for n in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", self.get("/metrics"), re.MULTILINE))

    def firing(self) -> set[tuple[str, str]]:
        """(rule, series) of every alert that fires."""
        found = json.loads(self.get("/api/v1/alerts"))["data"]["alerts"]
        return {(one["labels"]["alertname"], one["labels"]["series"]) for one in found if one["state"] == "firing"}

    def count(self, query: str) -> int:
        """The value of a query that counts, 0 where it matches nothing."""
        found = json.loads(self.get("/api/v1/query", query=query))["data"]["result"]
        return int(float(found[0]["value"][1])) if found else 0

    def await_count(self, query: str, wanted: int, *, within_s: float = 60) -> None:
        deadline = time.monotonic() + within_s
        while (seen := self.count(query)) != wanted:
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {within_s:.0f} s: {query} is {seen}, not {wanted}")
            time.sleep(0.1)

    def cpu_s(self) -> float:
        return cpu_s(self.pid)


def cpu_s(pid: int) -> float:
    """User and system seconds that a process has used, to 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_mb(pid: int | str = "self") -> float:
    """Resident memory of a process now."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


@dataclass
class Exported:
    """The exporter as a child: R rules x S series on as many ports as they need."""

    rules: int
    series: int
    bad: int = 0

    def start(self, family: Family) -> list[str]:
        """Its addresses."""
        ports = [free_port() for _ in range(max(1, min(self.rules, self.rules * self.series // PER_SHARD)))]
        argv = [sys.executable, "-m", "bench.evaluate.exporter", "--rules", str(self.rules)]
        argv += ["--series", str(self.series), "--bad", str(self.bad), "--ports", *map(str, ports)]
        self.address = f"127.0.0.1:{ports[0]}"
        family.start(Child(name="exporter", argv=argv, quiet=True, ready=lambda: bool(self._ask("/"))))
        return [f"127.0.0.1:{port}" for port in ports]

    def make_bad(self, count: int) -> None:
        self.bad = count
        self._ask(f"/bad/{count}")

    def _ask(self, path: str) -> bytes:
        answer = local.get(f"http://{self.address}{path}", timeout=30)
        answer.raise_for_status()
        return answer.content
