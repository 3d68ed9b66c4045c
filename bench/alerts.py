"""How long from an alert at the webhook to the effect that repairs it, one by one and at saturation.

Real: web process, both workers, beat, Valkey, the database, the HTTP targets. Two servers of ours stand in for what is
outside: one answers as Prometheus does when it is asked for its alerts (before an effect they are asked for again), the
other is every target and notes when a request arrives. Each alert is about a service of its own, since repairs of one
service wait for each other; what else would hold so many repairs at once (budgets, storms) is set out of the way.
Run: `python -m bench.alerts [--rate 10] [--seconds 20] [--burst 300] [--database sqlite postgresql]`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench import postgres
from bench.reaction import measure_celery, wait
from bench.serving import Answering
from bench.tables import percentile, print_machine, print_table

OUT_OF_THE_WAY = {
    "HOMEOSTAT_BUDGET_EVERYWHERE": "1000000",
    "HOMEOSTAT_CONCURRENCY": "1000000",
    "HOMEOSTAT_STORM_LEAST": "1000000",
    "HOMEOSTAT_STORM_SERVICES": "1000000",
    "HOMEOSTAT_PARTIAL_LEAST": "1000000",
}


class World:
    """The alerts that fire, and the effects that came."""

    def __init__(self) -> None:
        self.firing: dict[int, str] = {}
        self.began: dict[int, str] = {}
        self.arrived: dict[int, list[float]] = {}
        world = self

        class Handler(Answering, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self.answer(
                    json.dumps({"status": "success", "data": world.says(self.path)}).encode(), "application/json"
                )

            def do_POST(self) -> None:
                arrived = time.time()
                number = int(self.path.rpartition("/")[2])
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                world.arrived.setdefault(number, []).append(arrived)
                world.firing.pop(number, None)
                self.answer(b'{"done": true}', "application/json")

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, path: str) -> dict[str, Any]:
        if path.startswith("/api/v1/alerts"):
            return {"alerts": [self.alert(number, started) for number, started in list(self.firing.items())]}
        return {"groups": []} if path.startswith("/api/v1/rules") else {"resultType": "vector", "result": []}

    @staticmethod
    def alert(number: int, started: str) -> dict[str, Any]:
        return {
            "labels": {"alertname": "BenchDown", "service": f"bench-{number}"},
            "annotations": {},
            "state": "firing",
            "activeAt": started,
            "value": "1e+00",
        }


class Poster:
    """Alertmanager: one kept-alive connection per thread."""

    def __init__(self, port: int, token: str, world: World) -> None:
        self.port, self.token, self.world = port, token, world
        self._local = threading.local()

    def post(self, number: int) -> float:
        """When it was sent. Anything but 2xx ends the benchmark."""
        self.world.firing[number] = self.world.began[number] = datetime.now(UTC).isoformat()
        return self._send(number, "firing", "0001-01-01T00:00:00Z")

    def resolve(self, numbers: Iterable[int]) -> None:
        """Tell that they are over, as Alertmanager does: no pull has seen them, so none can say that they are gone."""
        for number in numbers:
            self._send(number, "resolved", datetime.now(UTC).isoformat())

    def _send(self, number: int, status: str, ends_at: str) -> float:
        alert = {
            "status": status,
            "labels": {"alertname": "BenchDown", "service": f"bench-{number}"},
            "annotations": {},
            "startsAt": self.world.began[number],
            "endsAt": ends_at,
            "generatorURL": "",
        }
        body = json.dumps({"version": "4", "groupKey": "bench", "status": status, "receiver": "b", "alerts": [alert]})
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection = self._connection()
        sent = time.time()
        connection.request("POST", "/api/ingest/alertmanager/", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status // 100 == 2, f"the webhook answered {answer.status}"
        return sent

    def anew(self) -> Poster:
        """With new connections: the server has closed those that were idle."""
        return Poster(self.port, self.token, self.world)

    def _connection(self) -> http.client.HTTPConnection:
        if getattr(self._local, "connection", None) is None:
            self._local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        made: http.client.HTTPConnection = self._local.connection
        return made


def load(world: World, count: int) -> str:
    """One alert rule, one playbook, `count` services with a target each. The token of the webhook."""
    from django.utils import timezone

    from remediation.models import IngestToken, Playbook, Rule, Service, Source, Step, Target

    now = timezone.now()
    source = Source.objects.create(name="bench", url=world.address, stale_after_s=30, pull_alerts_s=5)
    services = Service.objects.bulk_create([Service(name=f"bench-{number}") for number in range(count)])
    Target.objects.bulk_create(
        [
            Target(service=row, name="t", backend="http", params={"url": f"{world.address}/repair/{number}"})
            for number, row in enumerate(services)
        ]
    )
    rule = Rule.objects.create(name="BenchDown", source=source, detector="firing_alert", query='alertname="BenchDown"')
    rule.keep_version(author="bench", now=now)
    playbook = Playbook.objects.create(name="Repair", matchers='alertname="BenchDown"', autonomy="auto")
    Step.objects.create(playbook=playbook, verb="run", cooldown_s=0, budget=10_000, good_samples=1, collateral=False)
    playbook.keep_version(author="bench", now=now)
    return IngestToken.issue(source, "bench")[1]


def at_rate(poster: Poster, numbers: range, rate: float) -> dict[int, float]:
    sent: dict[int, float] = {}
    began = time.monotonic()
    for place, number in enumerate(numbers):
        time.sleep(max(0.0, began + place / rate - time.monotonic()))
        sent[number] = poster.post(number)
    return sent


def at_once(poster: Poster, numbers: range) -> dict[int, float]:
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(numbers, pool.map(poster.post, numbers), strict=True))


def measured(world: World, sent: dict[int, float]) -> list[float]:
    """Seconds from alert to effect, of each; waits until all have come."""
    numbers = list(sent)
    patience = 30 + len(numbers) / 2
    try:
        wait(f"{len(numbers)} effects", lambda: all(number in world.arrived for number in numbers), within_s=patience)
    except SystemExit as late:
        raise SystemExit(f"{late}; {stuck()}") from None
    return [world.arrived[number][0] - sent[number] for number in numbers]


def stuck() -> str:
    """What holds most of those that are not through."""
    from remediation.models import Incident, Remediation, Transition

    lost = Transition.objects.filter(kind="playbook").order_by("pk").values_list("to_state", "reason")
    rows = Remediation.objects.filter(effect_started_at=None).values_list("state", "reason")
    told = Counter(rows).most_common(3) or Counter(Incident.objects.values_list("state", "attention")).most_common(3)
    return f"{told or 'nothing was opened'} {list(lost[:3]) or ''}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=10.0, help="alerts a second, one after another")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long at that rate")
    parser.add_argument("--burst", type=int, default=300, help="alerts at once")
    parser.add_argument("--database", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options)
        return
    print_machine()
    for database in options.database:
        if database == "postgresql" and postgres.programs() is None:
            print("\npostgresql is not installed here, so it is not measured")
            continue
        with postgres.running() if database == "postgresql" else nullcontext("") as url:
            # A process each: Django's settings are read once.
            again = [sys.executable, "-m", "bench.alerts", "--one", database]
            again += ["--rate", str(options.rate), "--seconds", str(options.seconds), "--burst", str(options.burst)]
            subprocess.run(again, check=True, env={**os.environ, "DATABASE_URL": url})


def one(options: argparse.Namespace) -> None:
    home = Path(tempfile.mkdtemp(prefix="hs-bench-"))
    try:
        run(home, options)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def run(home: Path, options: argparse.Namespace) -> None:
    from dashboard.ports import free_port
    from dashboard.processes import Family

    os.environ |= OUT_OF_THE_WAY | {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_PORT": str(free_port()),
        "HOMEOSTAT_LOG_LEVEL": "WARNING",
    }
    os.environ.pop("HOMEOSTAT_REDIS_URL", None)
    if not os.environ.get("DATABASE_URL"):
        os.environ.pop("DATABASE_URL", None)
    import django

    django.setup()
    from django.conf import settings

    from dashboard import up

    steady = round(options.rate * options.seconds)
    world = World()
    with Family() as family:
        installation = up.Installation.from_settings()
        up.claim(family, installation)
        up.prepare(family, hints=False)
        token = load(world, steady + options.burst + 20)
        up.start(family, installation)
        bare = measure_celery(family, settings.HOMEOSTAT_REDIS_URL, 200)
        poster = Poster(settings.HOMEOSTAT_PORT, token, world)
        time.sleep(3)
        measured(world, at_rate(poster.anew(), range(20), 5))  # connections, caches, and the first storm watch
        calm = measured(world, at_rate(poster.anew(), range(20, 20 + steady), options.rate))
        time.sleep(5)
        began = time.time()
        burst = range(20 + steady, 20 + steady + options.burst)
        busy = measured(world, at_once(poster.anew(), burst))
        took = max(world.arrived[number][0] for number in burst) - began
    report(options, calm=calm, busy=busy, took=took, bare=bare, world=world)


def report(
    options: argparse.Namespace, *, calm: list[float], busy: list[float], took: float, bare: list[float], world: World
) -> None:
    rows = []
    kinds = {
        f"alert to effect, {options.rate:g}/s": calm,
        "alert to effect, all at once": busy,
        "bare Celery hop": bare,
    }
    for name, values in kinds.items():
        cells = [f"{percentile(values, share) * 1000:.1f}" for share in (0.5, 0.99)]
        rows.append([name, str(len(values)), *cells, f"{max(values) * 1000:.1f}"])
    print_table(f"Reaction on {options.one} (ms)", ["what", "n", "p50", "p99", "max"], rows)
    doubled = sum(len(times) > 1 for times in world.arrived.values())
    hop = percentile(bare, 0.5)
    print(
        f"\nat saturation {len(busy) / took:.0f} effects/s; none missing, {doubled} doubled; "
        f"p50 is {percentile(calm, 0.5) / hop:.1f} bare hops"
    )
    if doubled:
        sys.exit(1)


if __name__ == "__main__":
    main()
