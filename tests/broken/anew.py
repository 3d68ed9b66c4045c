"""A small world that goes on from rows alone: in this process, or in one that is started anew and knows nothing else.

Run: `python -m tests.broken.anew`, with DATABASE_URL set to the rows and what is outside of them (time, samples, what
the targets are like) as JSON on standard input. Writes what happened, tick by tick, as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.remediation.world import World

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 24
APPROVES_AT = 3
"""When the second of two people approves."""
Tick = dict[str, Any]


def outside_of(world: World) -> dict[str, Any]:
    """What a process that is started anew finds: everything but rows."""
    ledger = world.ledger
    found = {"pids": ledger.pids, "sizes": ledger.sizes, "effects": ledger.effects, "samples": world.samples}
    return found | {"now": world.now.isoformat()}


def go_on(world: World) -> list[Tick]:
    """Go on for SECONDS. What is acted on is well again; the second person approves."""
    from django.contrib.auth.models import User  # noqa: PLC0415 - Django may not be set up when this is imported

    from remediation.decide import approval  # noqa: PLC0415
    from remediation.models import Incident, Remediation  # noqa: PLC0415

    ticks: list[Tick] = []
    for second in range(SECONDS):
        if second == APPROVES_AT:
            row = Remediation.objects.get(incident__rule__name="signed")
            approval.approve(row, user=User.objects.get(username="bob"), digest=row.digest, now=world.now)
        done = len(world.ledger.effects)
        world.tick()
        for target in world.ledger.effects[done:]:
            world.set({target: 1.0}, query=target.partition("-")[0])
        rows = Remediation.objects.order_by("pk").values_list("incident__rule__name", "state", "reason")
        incidents = Incident.objects.order_by("pk").values_list("rule__name", "state", "needs_person")
        told: Tick = {"effects": world.ledger.effects[done:], "remediations": list(rows), "incidents": list(incidents)}
        ticks.append(json.loads(json.dumps(told)))
    return ticks


def go_on_anew(world: World, database: Path, home: Path, **settings: object) -> list[Tick]:
    """The same, in a new process, from the rows in this file."""
    env = os.environ | {f"HOMEOSTAT_{name}": str(value) for name, value in settings.items()}
    env |= {"DATABASE_URL": f"sqlite:///{database}", "HOMEOSTAT_HOME": str(home)}
    argv = [sys.executable, "-m", "tests.broken.anew"]
    text = json.dumps(outside_of(world))
    done = subprocess.run(argv, cwd=ROOT, env=env, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    ticks: list[Tick] = json.loads(done.stdout.splitlines()[-1])
    return ticks


@contextmanager
def small_world(given: dict[str, Any]) -> Iterator[World]:
    """As the fixture `world` of tests/remediation/conftest.py, where there is no test."""
    from django.db import transaction  # noqa: PLC0415 - as above

    from remediation import condition, doorbell, evaluation, judging, loop, registry  # noqa: PLC0415
    from remediation.observe import kept, window  # noqa: PLC0415
    from remediation.repair import effect, rollout, undo  # noqa: PLC0415
    from tests.remediation.world import LedgerBackend, World  # noqa: PLC0415

    world = World(ledger=LedgerBackend(), now=datetime.fromisoformat(given["now"]), samples=given["samples"])
    for name in ("pids", "sizes", "effects"):
        setattr(world.ledger, name, given[name])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.backends(), "ledger", world.ledger)
        patch.setattr(window, "fetch", world.fetch)
        patch.setattr(kept, "fetch", lambda client, source_id, question, now: window.fetch(client, question, now=now))
        for module in (condition, judging):
            patch.setattr(module, "client_for", lambda source: None)
        patch.setattr(evaluation, "COUNTED_FROM", 10**9)
        for owner in (loop, doorbell):
            patch.setattr(owner, "ring", world.ring)
        patch.setattr(transaction, "on_commit", lambda callback: callback())
        for timed in (effect, undo):
            patch.setattr(timed, "clock", lambda: world.now)
        patch.setattr(rollout, "sleep", world.sleep)
        yield world


def main() -> None:
    import django  # noqa: PLC0415 - the environment is read when it is set up

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    django.setup()
    with small_world(json.loads(sys.stdin.read())) as world:
        sys.stdout.write(f"\n{json.dumps(go_on(world))}\n")


if __name__ == "__main__":
    main()
