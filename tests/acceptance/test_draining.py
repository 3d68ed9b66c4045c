"""A real worker that is told to go in the middle of an effect: it finishes, begins nothing, and is not missed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from redis import Redis

from dashboard import valkey
from tests.acceptance.running import ROOT, eventually
from tests.remediation.observe.servers import answer, serving

pytestmark = pytest.mark.acceptance

PLAN = """
import django; django.setup()
from remediation import loop
from remediation.models import *
source, _ = Source.objects.get_or_create(name="fake", defaults={{"url": "{url}/prometheus", "stale_after_s": 60}})
service = Service.objects.create(name="{name}")
params = {{"url": "{url}/repair/{name}", "probe_url": "{url}/probe/{name}", "timeout_s": 60}}
Target.objects.create(service=service, name="{name}", backend="http", role="instance", params=params)
rule = Rule.objects.create(name="{name}", source=source, service=service, query="up", interval_s=30,
                           detector="threshold", params={{"op": "<", "value": 1}})
rule.keep_version(author="test", now=__import__("django").utils.timezone.now())
playbook = Playbook.objects.create(name="{name}", matchers='alertname="{name}"', autonomy="auto")
Step.objects.create(playbook=playbook, verb="run", select='role="instance"', timeout_s=60, cooldown_s=0)
playbook.keep_version(author="test", now=rule.versions.first().at)
assert loop.evaluate(rule.pk)
assert Incident.objects.filter(rule=rule).exists(), (rule.status.error, list(SeriesState.objects.values("reason")))
loop.sweep()
loop.reconcile(Incident.objects.get(rule=rule).pk)
row = Remediation.objects.get(incident__rule=rule)
loop.advance(row.pk)
row.refresh_from_db()
assert row.state == "ready", (row.state, row.reason)
"""
SWEEP = """
import django; django.setup()
from remediation import loop
from remediation.models import Remediation
for row in Remediation.objects.exclude(state="ready"):
    loop.advance(row.pk)
"""


@dataclass
class Outside:
    """What is asked of the services: a Prometheus that says that all is down, and repairs that take until `go`."""

    asked: list[str] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    look: threading.Event = field(default_factory=threading.Event)
    looks: int = 0
    url: str = ""

    def behave(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.split("?")[0]
        if path.startswith("/repair/"):
            self.asked.append(path.rpartition("/")[2])
            self.go.wait(60)
            answer(handler, b"{}")
        elif path.startswith("/probe/"):
            answer(handler, b'{"done": true}')
        else:
            self.looks += 1
            self.look.wait(8)
            at = float(parse_qs(urlsplit(handler.path).query).get("time", [str(time.time())])[0])
            series = {"metric": {"target": "x"}, "value": [at, "0"]}
            told = {"status": "success", "data": {"resultType": "vector", "result": [series]}}
            answer(handler, json.dumps(told).encode())


@dataclass
class Stack:
    """A database, a broker and one worker for effects, with one thread: what it fetched meanwhile waits behind it."""

    home: Path
    outside: Outside
    worker: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        more = {"HOMEOSTAT_HOME": str(self.home), "HOMEOSTAT_LEASE_S": "3", "HOMEOSTAT_HEARTBEAT_S": "0.5"}
        return os.environ | more | {"DJANGO_SETTINGS_MODULE": "dashboard.settings"}

    def python(self, *argv: str) -> None:
        done = subprocess.run(
            [sys.executable, *argv],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    def plan(self, name: str) -> None:
        self.python("-c", PLAN.format(name=name, url=self.outside.url))

    def start_worker(self) -> None:
        options = ["--pool", "threads", "--concurrency", "1", "-Q", "act", "--without-gossip", "--without-mingle"]
        with (self.home / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "dashboard", "worker", *options, "--loglevel", "DEBUG"],
                env=self.environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    def waiting(self) -> int:
        """Bells for effects that no worker has fetched."""
        with Redis(unix_socket_path=str(valkey.socket_path(self.home))) as client:
            return int(client.llen("act"))

    def row(self, name: str) -> dict[str, Any]:
        query = (
            "SELECT r.state, r.reason FROM remediation_remediation r"
            " JOIN remediation_incident i ON r.incident_id = i.id"
            " JOIN remediation_rule u ON i.rule_id = u.id WHERE u.name = ?"
        )
        connection = sqlite3.connect(f"file:{self.home / 'homeostat.sqlite3'}?mode=ro", uri=True, timeout=20)
        try:
            state, reason = connection.execute(query, [name]).fetchone()
        finally:
            connection.close()
        return {"state": state, "reason": reason}

    def stop(self) -> None:
        self.outside.go.set()
        if self.worker is not None and self.worker.poll() is None:
            self.worker.kill()
            self.worker.wait()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    outside = Outside()
    outside.look.set()
    broker = valkey.child(tmp_path)
    with serving(outside.behave) as served, subprocess.Popen(broker.argv, stdout=subprocess.DEVNULL) as running:
        outside.url = served.url
        made = Stack(home=tmp_path, outside=outside)
        try:
            eventually("the broker answers", broker.ready or (lambda: True), within_s=20)
            made.python("manage.py", "migrate", "--verbosity", "0")
            yield made
        finally:
            made.stop()
            running.terminate()


def begin(stack: Stack, name: str) -> subprocess.Popen[bytes]:
    """A worker in the middle of the effect."""
    stack.start_worker()
    eventually("the worker listens", lambda: "prefetch_count" in (stack.home / "worker.log").read_text(), within_s=60)
    stack.plan(name)
    eventually("the effect is under way", lambda: stack.outside.asked == [name], within_s=60)
    assert stack.worker is not None
    return stack.worker


def test_sigterm_lets_the_effect_finish_and_nothing_else_begin(stack: Stack) -> None:
    worker = begin(stack, "first")
    stack.plan("second")
    eventually("the worker has fetched it", lambda: stack.waiting() == 0, within_s=20)
    worker.send_signal(signal.SIGTERM)
    time.sleep(4)  # longer than its lease: only signs of life keep it
    assert worker.poll() is None
    stack.outside.go.set()
    worker.wait(timeout=30)
    assert stack.row("first")["state"] == "verifying"
    assert stack.row("second")["state"] == "ready"
    assert stack.outside.asked == ["first"]


@pytest.mark.faults
def test_sigterm_while_the_condition_is_asked_again_claims_nothing(stack: Stack) -> None:
    stack.plan("first")
    stack.outside.look.clear()
    before = stack.outside.looks
    stack.start_worker()
    eventually("it asks once more", lambda: stack.outside.looks > before, within_s=60)
    assert stack.worker is not None
    stack.worker.send_signal(signal.SIGTERM)
    time.sleep(1)
    stack.outside.look.set()
    stack.worker.wait(timeout=30)
    assert (stack.row("first")["state"], stack.outside.asked) == ("ready", [])


@pytest.mark.faults
def test_what_is_killed_after_its_grace_is_unknown_and_the_probe_decides(stack: Stack) -> None:
    worker = begin(stack, "first")
    worker.send_signal(signal.SIGTERM)
    time.sleep(1)  # its grace
    worker.kill()
    worker.wait()
    assert stack.row("first")["state"] == "executing"

    def swept() -> str:
        stack.python("-c", SWEEP)
        return str(stack.row("first")["state"])

    eventually("nobody knows", lambda: swept() in ("unknown", "verifying"), within_s=60)
    eventually("the probe decided", lambda: swept() == "verifying", within_s=60)
    assert "the effect did take place" in stack.row("first")["reason"] or stack.outside.asked == ["first"]
