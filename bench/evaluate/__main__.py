"""What evaluating rules costs, against a real Prometheus: beside its own alerting rules, and beside one query per rule.

Parts: thresholds (R rules x S series), baselines (rules that learn from a window), storm (thousands of series go bad at
once), hung (a source that never answers, beside one that does), live (the thresholds with real worker and beat). Each
runs in a process and a home of its own. Ends with one line per aim; the exit status says whether everything worked, not
whether aims were reached.

Run: python -m bench.evaluate [--full] [--rules R --series S] [--parts thresholds baselines storm hung live]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.evaluate.exporter import LIMIT
from bench.evaluate.outcome import Outcome
from bench.tables import print_machine
from deploy.tools import ToolMissing


def _thresholds(options: argparse.Namespace, outcome: Outcome) -> None:
    from bench.evaluate.thresholds import Size, measure

    size = Size(
        rules=options.rules,
        series=options.series,
        interval_s=options.interval,
        ticks=options.ticks,
        alert_limit=options.alert_limit,
    )
    measure(size, outcome)


def _baselines(options: argparse.Namespace, outcome: Outcome) -> None:
    from bench.evaluate.baselines import measure

    measure(many_rules=options.baseline_rules, ticks=options.ticks, outcome=outcome)


def _storm(options: argparse.Namespace, outcome: Outcome) -> None:
    from bench.evaluate.storm import measure

    measure(series=options.storm_series, outcome=outcome)


def _hung(options: argparse.Namespace, outcome: Outcome) -> None:
    from bench.evaluate.hung import measure

    measure(rules=options.hung_rules, seconds=options.hung_seconds, outcome=outcome)


def _live(options: argparse.Namespace, outcome: Outcome) -> None:
    from bench.evaluate.live import Size, measure

    size = Size(rules=options.rules, series=options.series, interval_s=options.interval, seconds=60)
    measure(size, outcome)


PARTS: dict[str, Callable[[argparse.Namespace, Outcome], None]] = {
    "thresholds": _thresholds,
    "baselines": _baselines,
    "storm": _storm,
    "hung": _hung,
    "live": _live,
}


def main() -> None:
    options = _arguments()
    if options.into:  # one part, started below
        outcome = Outcome()
        try:
            PARTS[options.parts[0]](options, outcome)
        except ToolMissing as missing:
            sys.exit(str(missing))
        outcome.append_to(options.into)
        return
    print_machine()
    with tempfile.TemporaryDirectory(prefix="hs-bench-") as folder:
        into = Path(folder) / "outcome"
        into.touch()
        failed = [part for part in options.parts if not _ran(part, into)]
        outcome = Outcome.read(into)
    print("\nAims")
    for aim in outcome.aims:
        print(f"  {aim}")
    wrong = [*(f"the part {part} ended with an error" for part in failed), *outcome.wrong]
    for line in dict.fromkeys(wrong):
        print(f"WRONG: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


def _ran(part: str, into: Path) -> bool:
    """Run one part in a process of its own: what it leaves in memory is not the next one's."""
    given = sys.argv[1:]
    if "--parts" in given:  # with the names that follow it
        at = given.index("--parts")
        rest = given[at + 1 :]
        while rest and rest[0] in PARTS:
            rest.pop(0)
        given = given[:at] + rest
    command = [sys.executable, "-m", "bench.evaluate", *given, "--parts", part, "--into", str(into)]
    sys.stdout.flush()
    return subprocess.run(command, check=False).returncode == 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the largest sizes: 1,000 rules x 100 series; 15 minutes")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), help="all; live only with --full")
    parser.add_argument("--rules", type=int, default=1000, help="threshold rules")
    parser.add_argument("--series", type=int, help="series of each threshold rule (10; with --full 100)")
    parser.add_argument("--interval", type=float, help="seconds between two ticks, and two scrapes (5; with --full 15)")
    parser.add_argument("--ticks", type=int, help="steady ticks that are measured (3; with --full 5)")
    parser.add_argument("--baseline-rules", type=int, default=1000, help="rules with a window, of 10 series each")
    parser.add_argument("--storm-series", type=int, default=2000, help="series that go bad at once")
    parser.add_argument("--hung-rules", type=int, default=50, help="rules of each of the two sources")
    parser.add_argument("--hung-seconds", type=float, help="how long the source hangs (20; with --full 60)")
    parser.add_argument("--alert-limit", type=float, default=LIMIT, help="limit of Prometheus' own rules (to differ)")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.parts = options.parts or [part for part in PARTS if options.full or part != "live"]
    options.series = options.series or (100 if options.full else 10)
    options.interval = options.interval or (15.0 if options.full else 5.0)
    options.ticks = options.ticks or (5 if options.full else 3)
    options.hung_seconds = options.hung_seconds or (60.0 if options.full else 20.0)
    return options


if __name__ == "__main__":
    main()
