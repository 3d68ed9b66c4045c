"""Runs the tests of clauses, broken and unbroken, in a few processes, and says what came of each."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.tables import print_table
from tests.broken.plugin import FOUND_OUT, PASSES
from tests.broken.variant import Clause, Variant

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 2
ENDS_WITHIN_S = 900.0
"""Far more than it takes: a process that hangs must not hang whoever waits for it."""
NOT_RUN = "not run"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of the table. variant: empty for the test as it is. outcome: PASSES, FOUND_OUT, or what went wrong."""

    clause: Clause
    variant: str
    outcome: str
    seconds: float

    @property
    def holds(self) -> bool:
        return self.outcome == (FOUND_OUT if self.variant else PASSES)


def chosen(clauses: Sequence[Clause], *, numbers: Collection[int] = (), variants: Collection[str] = ()) -> list[Clause]:
    """Those of these invariants, with these variants only. Empty means all."""
    found = []
    for clause in clauses:
        wanted: tuple[Variant, ...] = tuple(one for one in clause.variants if not variants or one.name in variants)
        if wanted and (not numbers or clause.number in numbers):
            found.append(replace(clause, variants=wanted))
    return found


def prove(clauses: Sequence[Clause], *, processes: int = PROCESSES) -> list[Line]:
    """Run them, and wait."""
    with tempfile.TemporaryDirectory(prefix="hs-broken-") as folder:
        shares = _shared_out(clauses, processes)
        files = [Path(folder) / str(number) for number in range(len(shares))]
        running = [_start(share, file) for share, file in zip(shares, files, strict=True)]
        try:
            told = [one.communicate(timeout=ENDS_WITHIN_S)[0] for one in running]
        finally:
            for one in running:
                one.kill()
        results = [json.loads(text) for file in files if file.exists() for text in file.read_text().splitlines()]
    lines = [line for clause in clauses for line in lines_of(clause, results)]
    if any(line.outcome == NOT_RUN for line in lines):
        sys.stderr.write("\n".join(told))
    return lines


def _shared_out(clauses: Sequence[Clause], processes: int) -> list[list[Clause]]:
    """By file, so that each is imported once; the largest first, each to whoever has least so far."""
    files: dict[str, list[Clause]] = {}
    for clause in clauses:
        files.setdefault(clause.node.partition("::")[0], []).append(clause)
    shares: list[list[Clause]] = [[] for _ in range(min(processes, len(files)))]
    for group in sorted(files.values(), key=_runs, reverse=True):
        min(shares, key=_runs).extend(group)
    return shares


def _runs(clauses: Sequence[Clause]) -> int:
    return sum(1 + len(clause.variants) for clause in clauses)


def _start(clauses: Sequence[Clause], results: Path) -> subprocess.Popen[str]:
    names = ";".join(sorted({variant.name for clause in clauses for variant in clause.variants}))
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "tests.broken.plugin", "-p", "no:cacheprovider"]
    argv += ["--broken", names, "--broken-results", str(results), *sorted({clause.node for clause in clauses})]
    return subprocess.Popen(argv, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def lines_of(clause: Clause, results: Sequence[dict[str, Any]]) -> list[Line]:
    """The rows of a clause. results: what the plugin wrote of each run."""
    return [_line(clause, name, results) for name in ("", *(variant.name for variant in clause.variants))]


def _line(clause: Clause, name: str, results: Sequence[dict[str, Any]]) -> Line:
    """Of a test with parameters: as it is all have to pass, and broken one has to find it out, none for a reason of
    another kind."""
    mine = [one for one in results if (one["node"], one["variant"]) == (clause.node, name)]
    said = [one["outcome"] for one in mine]
    other = [one for one in said if one not in (PASSES, FOUND_OUT)]
    if not said:
        outcome = NOT_RUN
    elif other:
        outcome = other[0]
    elif name:
        outcome = FOUND_OUT if FOUND_OUT in said else "survives"
    else:
        outcome = PASSES if set(said) == {PASSES} else "fails"
    return Line(clause=clause, variant=name, outcome=outcome, seconds=sum(one["seconds"] for one in mine))


def report(lines: Sequence[Line], *, seconds: float) -> int:
    """Print the table. The exit status: 1 where something does not hold."""
    rows = [
        (
            str(line.clause.number),
            line.clause.node.removeprefix("tests/"),
            line.variant or "(as it is)",
            " ".join(line.outcome.split())[:100],
            f"{line.seconds:.1f}",
        )
        for line in lines
    ]
    header = ("invariant", "test", "broken: ", "outcome", "s")
    print_table("Each invariant's test, as it is and with the product broken", header, rows)
    wrong = [line for line in lines if not line.holds]
    broken = sum(bool(line.variant) for line in lines)
    invariants = len({line.clause.number for line in lines})
    sys.stdout.write(
        f"\n{invariants} invariants, {len(lines) - broken} tests, {broken} broken products: "
        f"{len(wrong) or 'none'} not as it should be; {seconds:.0f} s\n"
    )
    return 1 if wrong else 0
