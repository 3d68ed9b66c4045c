"""Broker and database that go away, are locked, or are full."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.conf import settings
from django.db import connection, connections

from remediation.models import Alert
from tests.faults.alerting import Sender, alert_case
from tests.faults.stage import OURS, Stage
from tests.faults.waiting import eventually, expect

LOCK_S = 10
PAGES = ("/", "/incidents/", "/approvals/", "/rules/", "/system/", "/api/incidents.json")
LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""


def valkey_killed_and_restarted(stage: Stage) -> int:
    """Whatever was in it is gone. The webhook stores, pages are shown, and what came meanwhile is worked on."""
    case, by_alert = stage.case(), alert_case(stage)
    sender = Sender.to(stage, by_alert)
    stage.seen_well(case)
    ann = stage.browser("ann")
    stage.processes["valkey"].kill()
    case.breaks()
    status, text = sender.fires()
    expect(f"the webhook answers {status}: {text}", status == 200)
    wrong = {path: answer.status_code for path in PAGES if (answer := ann.get(path)).status_code != 200}
    expect(f"pages without a broker: {wrong}", not wrong)
    expect("it says that it is not ready", stage.ready()[0] == 503)
    time.sleep(stage.random.uniform(0, 4))
    stage.processes.start("valkey")
    case.await_verified()
    by_alert.await_effects()
    expect("the end of the alert is stored", sender.resolves()[0] == 200)
    by_alert.await_verified()
    found = (len(case.effects()), len(by_alert.effects()))
    expect(f"one effect each, not {found}", found == (1, 1))
    eventually("it is ready again", lambda: stage.ready()[0] == 200, within_s=60)
    return 1


def sqlite_locked(stage: Stage) -> int:
    """By another process, for longer than anything here takes: the webhook waits, and is kept."""
    case, by_alert = stage.case(), alert_case(stage)
    sender = Sender.to(stage, by_alert)
    stage.seen_well(case)
    case.breaks()
    time.sleep(stage.random.uniform(0, 2))
    argv = [sys.executable, "-c", LOCK, str(connection.settings_dict["NAME"]), str(LOCK_S)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as locker, ThreadPoolExecutor(1) as pool:
        assert locker.stdout is not None
        locker.stdout.readline()
        began = time.monotonic()
        status, text = pool.submit(sender.fires).result()
        waited = time.monotonic() - began
    expect(f"the webhook answers {status}: {text}", status == 200)
    expect(f"it waited for the lock, {waited:.1f} s", waited > LOCK_S / 2)
    expect("the alert is kept", Alert.objects.filter(source=by_alert.rule.source).count() == 1)
    case.await_verified()
    by_alert.await_effects()
    sender.resolves()
    by_alert.await_verified()
    return 1


def postgresql_restarted_during_a_claim(stage: Stage) -> int:
    postgres = stage.postgres
    assert postgres is not None
    rounds = 3
    for _ in range(rounds):
        case = stage.case(max_attempts=3)
        stage.seen_well(case)
        case.breaks("slow", seconds=1)
        time.sleep(stage.random.uniform(0.5, 3))
        connections.close_all()
        postgres.stop()
        time.sleep(1)
        postgres.start()
        connections.close_all()
        dead = [name for name in OURS if not stage.processes[name].alive]
        expect(f"processes that ended with the database: {dead}", not dead)
        case.await_verified()
    return rounds


def disk_full(stage: Stage) -> int:
    """Of the home, on a file system of its own: not ready, and nothing is done; with room again it is repaired."""
    case = stage.case(max_attempts=3)
    stage.seen_well(case)
    filler = Path(settings.HOMEOSTAT_HOME) / "filler"
    _fill(filler)
    try:
        eventually("/-/ready says that the disk is full", lambda: "disk" in stage.ready()[1], within_s=20)
        case.breaks()
        time.sleep(6)
        expect("nothing is done that could not be written down", not case.effects())
    finally:
        filler.unlink()
    revived = stage.processes.start_missing()
    expect(f"processes that ended with the disk: {revived}", not revived)
    case.await_verified()
    eventually("it is ready again", lambda: stage.ready()[0] == 200, within_s=60)
    return 1


def _fill(path: Path) -> None:
    """To the last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue
