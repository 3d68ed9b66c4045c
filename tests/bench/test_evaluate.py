"""The benchmark of evaluation at its smallest, against a real Prometheus; no time is tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.evaluate.exporter import LIMIT, Exporter, bad_series
from bench.evaluate.outcome import Aim, Outcome

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = ("--parts", "thresholds", "--rules", "10", "--series", "3", "--interval", "1", "--ticks", "1")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.evaluate", *SMALL, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.real
def test_every_way_is_measured_and_says_the_same() -> None:
    found = run()
    assert (found.returncode, found.stderr) == (0, "")
    for row in ("first tick", "steady tick", "Prometheus' own rules", "1 % go bad", "naive"):
        assert row in found.stdout
    lines = found.stdout.rpartition("\nAims\n")[2].splitlines()
    assert (
        len(lines) >= 2
    )  # so small, Prometheus' own rules may cost less than the kernel counts, and there is no ratio
    assert all("reached: a tick of 10 threshold rules x 3 series" in line for line in lines)


@pytest.mark.real
def test_other_verdicts_than_those_of_prometheus_are_an_error() -> None:
    found = run("--alert-limit", "20.9")  # where a few of its series lie that we call well
    assert found.returncode == 1
    assert "our bad series and Prometheus' alerts differ: 1 and " in found.stderr


def test_a_part_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_PROMETHEUS_BIN", "/nowhere")
    found = run()
    assert found.returncode == 1
    assert "WRONG: the part thresholds ended with an error" in found.stderr


def test_compare_names_what_differs() -> None:
    outcome = Outcome()
    outcome.compare("same", {("a", "1")}, {("a", "1")})
    assert outcome.wrong == []
    outcome.compare("these", {("a", "1"), ("b", "2")}, {("a", "1"), ("c", "3"), ("d", "4")})
    assert outcome.wrong == ["these differ: 2 and 3, 1 only here and 2 only there: b/2, c/3, d/4"]


def test_outcomes_of_parts_add_up(tmp_path: Path) -> None:
    into = tmp_path / "outcome"
    one, other = Outcome(wrong=["broken"]), Outcome()
    one.aim("a", bound=2, found=1, unit="s")
    other.aim("b", bound=2, found=3, unit="s", note="why")
    one.append_to(into)
    other.append_to(into)
    both = Outcome.read(into)
    assert (both.aims, both.wrong) == (one.aims + other.aims, ["broken"])


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (1.0, "reached: speed: 1 s of 2 (0.50 of it)"),
        (2.0, "reached: speed: 2 s of 2 (1.00 of it)"),
        (2.5, "NOT reached: speed: 2.5 s of 2 (1.25 of it)"),
    ],
)
def test_aim_says_whether_it_is_reached(found: float, text: str) -> None:
    assert str(Aim(what="speed", bound=2, found=found, unit="s")) == text


def test_exporter_puts_as_many_series_beyond_the_limit_as_asked() -> None:
    exporter = Exporter(rules=10, series=3, ports=[1, 2], bad=4)
    for variant in range(2):
        lines = b"".join(bodies[variant] for bodies in exporter.bodies).decode().splitlines()
        values = [float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")]
        assert len(values) == 30
        assert sum(value > LIMIT for value in values) == 4
    assert len(bad_series(10, 3, 30)) == 30
