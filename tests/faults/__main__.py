"""Break everything, and print the table: fault, where, runs, effects, violations. Exit status 1 where one was violated.

Run: make faults, or `python -m tests.faults [--only 1,5] [--seed 7] [--where sqlite]`.
"""

from __future__ import annotations

import argparse
import json
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.tables import print_machine, print_table
from tests.faults.postgres import programs

ROOT = Path(__file__).resolve().parents[2]
ENDS_WITHIN_S = 580.0
LAST_BEGINS_BEFORE_END_S = 60.0
DATABASES = ("sqlite", "postgresql")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="numbers of faults, comma separated: 1,5 or 7a")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000), help="of the moments that are chosen")
    parser.add_argument("--where", choices=DATABASES, action="append", help="this database only")
    parser.add_argument("--doubled", action="store_true", help="with a worker that is broken on purpose")
    parser.add_argument("--keep", action="store_true", help="keep logs and database below /tmp")
    parser.add_argument("--no-limit", action="store_true", help="not only for ten minutes: on a busy machine")
    options = parser.parse_args()
    until = float("inf") if options.no_limit else time.time() + ENDS_WITHIN_S - LAST_BEGINS_BEFORE_END_S
    print(f'seed {options.seed}; the same again: make faults ARGS="--seed {options.seed}"', flush=True)
    began = time.monotonic()
    rows: list[dict[str, Any]] = []
    for where in options.where or DATABASES:
        rows += run(where, options, until)
    report(rows, time.monotonic() - began)


def run(where: str, options: argparse.Namespace, until: float) -> list[dict[str, Any]]:
    if where == "postgresql" and programs() is None:
        return [_line(where, "everything on PostgreSQL", note="not run here: PostgreSQL is not installed")]
    with tempfile.TemporaryDirectory(prefix="hs-faults-") as folder:
        results = Path(folder) / "results"
        argv = [sys.executable, "-m", "tests.faults.matrix", "--where", where, "--results", str(results)]
        argv += ["--seed", str(options.seed), "--only", options.only, "--until", str(until)]
        argv += [f"--{name}" for name in ("doubled", "keep") if getattr(options, name)]
        ended = _wait(subprocess.Popen(argv, cwd=ROOT))
        rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    if ended:
        rows.append(_line(where, "the matrix itself", violations=[f"it ended with exit code {ended}"]))
    return rows


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Its exit code. Ctrl-C reaches it as well: it then takes everything down in order, and is not hurried."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


def _line(where: str, text: str, *, violations: list[str] | None = None, note: str = "") -> dict[str, Any]:
    found = violations or []
    return {
        "name": "",
        "text": text,
        "where": where,
        "runs": 0,
        "effects": 0,
        "violations": found,
        "notes": [note],
        "seconds": 0,
    }


def report(rows: list[dict[str, Any]], took_s: float) -> None:
    cells = []
    for row in rows:
        runs = str(row["runs"] or "; ".join(row["notes"]))
        count = [runs, str(row["effects"]), str(len(row["violations"])), f"{row['seconds']:.0f}"]
        cells.append([row["name"], row["text"], row["where"], *count])
    print()
    print_machine()
    print_table("Faults", ["#", "fault", "where", "runs", "effects", "violations", "s"], cells)
    violated = [f"{row['name']} {row['where']}: {text}" for row in rows for text in row["violations"]]
    effects = sum(row["effects"] for row in rows)
    print(f"\n{len(violated)} violations in {effects} effects, {took_s:.0f} s")
    for text in violated:
        print(f"  {text}")
    sys.exit(1 if violated else 0)


if __name__ == "__main__":
    main()
