"""The matrix on one database: sets up an installation, plays the rows one by one, and writes what came of each.

Run by __main__: one process a database, since Django's settings are a process's.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.descent import die_with_parent
from dashboard.ports import free_port
from tests.faults.postgres import Postgres, programs

if TYPE_CHECKING:
    from tests.faults.rows import Fault
    from tests.faults.stage import Stage

SETTINGS = {
    # So that many effects in one hour, and a storm that was made on purpose, do not hold what comes after them.
    "HOMEOSTAT_BUDGET_EVERYWHERE": "100000",
    "HOMEOSTAT_STORM_CALM_S": "3",
    # A worker that died is noticed after the step's deadline and this.
    "HOMEOSTAT_LEASE_MARGIN_S": "3",
}
DISK_MB = 200


@contextmanager
def place(where: str) -> Iterator[tuple[Path, Postgres | None, bool]]:
    """A folder for everything, the database, and whether the home is a file system of its own. Sets the environment."""
    folder = Path(tempfile.mkdtemp(prefix="hs-faults-"))
    home = folder / "home"
    home.mkdir()
    own_disk = where == "sqlite" and _mounted(home)
    postgres = None
    for name in ("HOMEOSTAT_REDIS_URL", "DATABASE_URL", "PROMETHEUS_URL", "HOMEOSTAT_DEMO"):
        os.environ.pop(name, None)
    os.environ |= SETTINGS | {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_PORT": str(free_port()),
    }
    try:
        if where == "postgresql":
            found = programs()
            assert found is not None
            postgres = Postgres(folder, found)
            postgres.create()
            os.environ["DATABASE_URL"] = postgres.url
        yield folder, postgres, own_disk
    finally:
        if postgres is not None:
            postgres.stop(mode="fast")
        if own_disk:
            subprocess.run(["umount", "-l", str(home)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _mounted(home: Path) -> bool:
    """Make the home a small file system of its own, so that a test can fill it. Not without root."""
    if os.getuid() != 0:
        return False
    _own_mounts()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "tmpfs", str(home)]
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


def _own_mounts() -> None:
    """What is mounted here is seen by this process and its children only, and gone with them."""
    new_mounts, slave_of_all = 0x00020000, (1 << 19) | (1 << 14)
    libc = ctypes.CDLL(None)
    if libc.unshare(new_mounts) == 0:
        libc.mount(b"none", b"/", None, slave_of_all, None)


def play(stage: Stage, faults: list[Fault]) -> Iterator[dict[str, object]]:
    """One row each, with what it violated."""
    from tests.faults import ledger, oracle
    from tests.faults.processes import DidNotStart
    from tests.faults.waiting import Unmet

    seen: set[str] = set()
    for fault in faults:
        began, runs, found = time.monotonic(), 0, []
        stage.opens()
        try:
            runs = fault.play(stage)
            stage.mend()
        except (Unmet, DidNotStart) as missing:
            found.append(str(missing))
        except Exception:  # noqa: BLE001 - whatever breaks is told in the table, and the next row is played
            found.append(f"the scenario itself broke: {traceback.format_exc()}")
        if found:
            found += _in_order_again(stage)
        broken = [text for text in oracle.violations(ledger.read(stage.ledger)) if text not in seen]
        seen |= set(broken)
        yield {
            "name": fault.name,
            "text": fault.text,
            "where": stage.where,
            "runs": runs or 1,
            "effects": len(stage.effects(*stage.cases)),
            "violations": found + broken,
            "notes": stage.notes,
            "seconds": time.monotonic() - began,
        }


def _in_order_again(stage: Stage) -> list[str]:
    """So that one row that fails does not take the next ones with it."""
    try:
        stage.closes_badly()
    except Exception as error:  # noqa: BLE001 - as above
        return [f"and it cannot be put in order again: {error}"]
    return []


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--where", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--doubled", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--until", type=float, default=float("inf"), help="time.time() after which no row begins")
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind then either
    die_with_parent()
    with place(options.where) as (folder, postgres, own_disk):
        import django

        django.setup()
        from tests.faults.rows import FAULTS
        from tests.faults.stage import Stage

        chosen = [
            one
            for one in FAULTS
            if options.where in one.where and one.is_one_of(options.only.split(",") if options.only else [])
        ]
        stage = Stage(folder, seed=options.seed, postgres=postgres, doubled=options.doubled)
        began = time.monotonic()
        try:
            stage.start()
            print(f"{stage.where}: everything runs after {time.monotonic() - began:.0f} s", flush=True)
            for fault in chosen:
                _one(stage, fault, options, own_disk)
        finally:
            stage.stop()
            if options.keep:
                shutil.copytree(
                    folder,
                    f"{folder}-kept",
                    ignore=shutil.ignore_patterns("pg", "tsdb", "*.sock"),
                    dirs_exist_ok=True,
                )


def _one(stage: Stage, fault: Fault, options: argparse.Namespace, own_disk: bool) -> None:
    why_not = ""
    if fault.disk and not own_disk:
        why_not = "not run here: needs root, to mount a small disk"
    elif time.time() > options.until:
        why_not = "not run: the time was over"
    rows = [_not_run(fault, stage.where, why_not)] if why_not else play(stage, [fault])
    for row in rows:
        say(row)
        with options.results.open("a") as file:
            file.write(json.dumps(row) + "\n")


def _not_run(fault: Fault, where: str, why: str) -> dict[str, object]:
    row = {"name": fault.name, "text": fault.text, "where": where, "runs": 0, "effects": 0, "violations": []}
    return row | {"notes": [why], "seconds": 0.0}


def say(row: dict[str, object]) -> None:
    """Progress, a line a row."""
    violations, notes = row["violations"], row["notes"]
    assert isinstance(violations, list)
    assert isinstance(notes, list)
    how = "VIOLATED" if violations else "held"
    print(f"{row['where']:<10}  {row['name']:>3}  {row['text']}: {how}, {row['seconds']:.0f} s", flush=True)
    for text in [*violations, *notes]:
        print(f"                 {text}", flush=True)


if __name__ == "__main__":
    main()
