"""A part of the matrix that is quick enough for every run, and a proof that the table can complain."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.acceptance


def matrix(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tests.faults", "--where", "sqlite", "--no-limit", *arguments]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)


def test_a_bounded_part_holds() -> None:
    done = matrix("--only", "5,6,11")
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout.partition("\nFaults\n")[2].splitlines()[2:5]
    assert [line.split()[0] for line in table] == ["5", "6", "11"]
    assert "0 violations" in done.stdout


def test_a_worker_that_does_everything_twice_is_told() -> None:
    done = matrix("--only", "11", "--doubled")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "doubled effect: 2 effects with the key" in done.stdout
    assert "second effect of one attempt: 2 effects on" in done.stdout
