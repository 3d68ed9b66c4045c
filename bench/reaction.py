"""How long from the sample that shows a fault to the effect that repairs it, and how long a bare Celery hop takes.

Everything is real: Prometheus scrapes an exporter of ours every second, a rule judges it, a playbook with autonomy auto
answers with the cheapest verb (an HTTP request to a server of ours, which notes when it arrived). The bound is one
evaluation interval plus 500 ms. Run: make bench, or `python -m bench.reaction [--rounds N] [--interval S]`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.serving import Answering
from bench.tables import percentile, print_machine, print_table

ALLOWED_S = 0.5


class Stage:
    """The exporter and the target in one small server: what is scraped, and what is repaired."""

    def __init__(self) -> None:
        self.up = 1
        self.shown_at: float | None = None  # first scrape that showed the fault
        self.effects: list[float] = []
        stage = self

        class Handler(Answering, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not stage.up and stage.shown_at is None:
                    stage.shown_at = time.time()
                self.answer(f"bench_up {stage.up}\n".encode())

            def do_POST(self) -> None:
                stage.effects.append(time.time())
                stage.up = 1
                self.answer(b"ok")

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def wait(what: str, look: Callable[[], Any], within_s: float = 60) -> Any:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        answer = look()
        if answer:
            return answer
        time.sleep(0.005)
    raise SystemExit(f"not within {within_s:.0f} s: {what}")


def prometheus_child(home: Path, stage: Stage, port: int) -> Any:
    from dashboard.processes import Child
    from deploy.tools import find

    config = home / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 900ms}\n"
        f"scrape_configs: [{{job_name: bench, static_configs: [{{targets: ['{stage.address}']}}]}}]\n"
    )
    argv = [str(find("prometheus")), f"--config.file={config}", f"--storage.tsdb.path={home / 'tsdb'}"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    return Child(name="prometheus", argv=argv, quiet=True)


def load(stage: Stage, prometheus: str, interval_s: float) -> None:
    """One service, one rule, one playbook."""
    from django.utils import timezone

    from remediation.models import Playbook, Rule, Service, Source, Step, Target

    now = timezone.now()
    source = Source.objects.create(name="bench", url=prometheus, stale_after_s=3, pull_alerts_s=0)
    service = Service.objects.create(name="bench")
    Target.objects.create(
        service=service, name="bench", backend="http", params={"url": f"http://{stage.address}/repair"}
    )
    rule = Rule.objects.create(
        name="BenchDown",
        source=source,
        service=service,
        query="bench_up",
        detector="threshold",
        params={"op": "<", "value": 1},
        interval_s=interval_s,
    )
    rule.keep_version(author="bench", now=now)
    playbook = Playbook.objects.create(name="Repair", matchers='alertname="BenchDown"', autonomy="auto")
    Step.objects.create(playbook=playbook, verb="run", cooldown_s=0, budget=10_000, good_samples=1)
    playbook.keep_version(author="bench", now=now)


def round_over(rounds: int) -> bool:
    """Whether every incident is over and that many repairs are verified."""
    from remediation.models import Incident, Remediation

    verified = Remediation.objects.filter(state="verified").count()
    return verified == rounds and not Incident.objects.exclude(state="resolved").exists()


def effects_reach(stage: Stage, count: int) -> bool:
    return len(stage.effects) == count


def measure_reaction(stage: Stage, rounds: int) -> list[float]:
    """Seconds from the scrape that showed the fault to the arrival of the effect, per round."""
    taken: list[float] = []
    for number in range(rounds):
        wait("the round before is over", partial(round_over, number))
        time.sleep(0.37 * (number % 5))  # another moment of the slot each time
        stage.shown_at, stage.up = None, 0
        wait("the effect", partial(effects_reach, stage, number + 1))
        assert stage.shown_at is not None
        taken.append(stage.effects[-1] - stage.shown_at)
        print(f"  round {number + 1:>3} of {rounds}: {taken[-1] * 1000:7.0f} ms", end="\r", flush=True)
    return taken


def measure_celery(family: Any, redis_url: str, rounds: int) -> list[float]:
    """Seconds from enqueue to start of a bare task, one at a time, threads pool."""
    os.environ["BENCH_REDIS_URL"] = redis_url
    import redis

    from bench.echo import app, echo
    from dashboard.processes import Child

    argv = ["celery", "--quiet", "-A", "bench.echo", "worker", "--pool", "threads", "--concurrency", "2", "-Q", "echo"]
    options = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
    family.start(
        Child(
            name="echo",
            argv=[sys.executable, "-m", *argv, *options],
            quiet=True,
            ready=lambda: bool(app.control.ping(timeout=0.5)),
            ready_within_s=60,
        )
    )
    answers = redis.Redis.from_url(redis_url, socket_timeout=90)
    taken: list[float] = []
    for _ in range(rounds + 5):
        echo.delay(time.time())
        # The first waits for the worker: a ping may be answered by another one on the same broker.
        _, value = answers.blpop(["echo:answers"], timeout=60)  # type: ignore[misc]
        taken.append(float(value))
        time.sleep(0.02)
    return taken[5:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--interval", type=float, default=2.0, help="the rule's evaluation interval, seconds")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="hs-bench-"))
    try:
        run(home, options.rounds, options.interval)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def run(home: Path, rounds: int, interval_s: float) -> None:
    from dashboard.ports import free_port
    from dashboard.processes import Family

    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_PORT": str(free_port()),
        "HOMEOSTAT_LOG_LEVEL": "WARNING",
    }
    for name in ("HOMEOSTAT_REDIS_URL", "DATABASE_URL", "PROMETHEUS_URL"):
        os.environ.pop(name, None)
    import django

    django.setup()
    from django.conf import settings

    from dashboard import up

    stage, port = Stage(), free_port()
    with Family() as family:
        installation = up.Installation.from_settings()
        up.claim(family, installation)
        up.prepare(family, hints=False)
        load(stage, f"http://127.0.0.1:{port}", interval_s)
        family.start(prometheus_child(home, stage, port))
        up.start(family, installation)
        time.sleep(3)
        reaction = measure_reaction(stage, rounds)
        bare = measure_celery(family, settings.HOMEOSTAT_REDIS_URL, 200)
    report(reaction, bare, interval_s)


def report(reaction: list[float], bare: list[float], interval_s: float) -> None:
    bound = interval_s + ALLOWED_S
    print_machine()
    rows = []
    for name, values in ((f"sample to effect, interval {interval_s:g} s", reaction), ("bare Celery hop", bare)):
        cells = [f"{percentile(values, share) * 1000:.1f}" for share in (0.5, 0.99)]
        rows.append([name, str(len(values)), *cells, f"{max(values) * 1000:.1f}"])
    print_table("Reaction (ms)", ["what", "n", "p50", "p99", "max"], rows)
    held = sum(value <= bound for value in reaction)
    print(f"\nwithin one interval + {ALLOWED_S * 1000:.0f} ms ({bound * 1000:.0f} ms): {held} of {len(reaction)}")
    if held < len(reaction):
        sys.exit(1)


if __name__ == "__main__":
    main()
