"""Judge one series from a file, row after row."""

from __future__ import annotations

import csv
import json
import math
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

import numpy as np
from django.core.management.base import CommandError

from remediation import registry
from remediation.detect.stream import Stream, stream_of
from remediation.exceptions import HomeostatError
from remediation.management.arguments import TeachingCommand
from remediation.states import Code

HEADER = ("timestamp", "verdict", "score", "lower", "upper")
DESCRIPTION = """Judge one series, row after row, as a rule would: reads CSV on standard input, writes CSV.

  manage.py detect --detector adaptive < series.csv > verdicts.csv
  manage.py detect --detector threshold --params '{"op": ">", "value": 5}' < series.csv

In:   timestamp,value                      a header line, then rows in order of time; the timestamp is in seconds
                                           since the epoch or ISO 8601; a blank value is a missing sample
Out:  timestamp,verdict,score,lower,upper  one row per row, in the same order; verdict is ok, bad or unknown; a score
                                           of 1 or more is bad; blank where nothing can be said

One pass: a row is judged by what came before it. A row that is not later than an earlier one is unknown and not learnt.
Errors are told on standard error, with exit code 2."""


class Command(TeachingCommand):
    help = DESCRIPTION
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--detector", required=True, metavar="NAME", help="the detector, by name")
        parser.add_argument("--params", default="{}", metavar="JSON", help="its parameters as a JSON object")
        parser.add_argument("--reasons", action="store_true", help="add a column with the reason for each verdict")

    def handle(self, *, detector: str, params: str, reasons: bool, **options: Any) -> None:
        try:
            self._write(sys.stdin, stream_named(detector, params), reasons=reasons)
        except HomeostatError as error:
            raise CommandError(str(error), returncode=2) from error
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from error

    def _write(self, lines: TextIO, stream: Stream, *, reasons: bool) -> None:
        out = csv.writer(self.stdout, lineterminator="\n")
        self.stdout.ending = ""
        out.writerow((*HEADER, "reason") if reasons else HEADER)
        late = 0
        latest = -math.inf
        for row in rows_of(lines):
            late += row.seconds <= latest
            latest = max(latest, row.seconds)
            found = stream.update(np.array([row.seconds]), np.array([row.value]))
            verdict = Code(int(found.codes[0])).verdict.value
            numbers = (text(part[0]) for part in (found.scores, found.lower, found.upper))
            out.writerow((row.timestamp, verdict, *numbers, *(stream.reasons() if reasons else ())))
        if late:
            self.stderr.write(f"{late} rows were not later than a row before them: unknown, and not learnt")


@dataclass(frozen=True, kw_only=True)
class Row:
    """timestamp: as it was written."""

    timestamp: str
    seconds: float
    value: float


def stream_named(name: str, params: str) -> Stream:
    """The stream of one series of a detector. Raises UnknownPlugin, ConfigurationError, ValueError."""
    detector = registry.detector(name)
    if detector.source != "samples":
        raise ValueError(f"{name} judges alerts, not samples")
    try:
        given = json.loads(params)
    except json.JSONDecodeError as error:
        raise ValueError(f"--params is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise ValueError('--params must be a JSON object, such as \'{"op": ">", "value": 5}\'')
    return stream_of(detector, detector.parse(given), 1)


def rows_of(lines: Iterable[str]) -> Iterator[Row]:
    """The rows below the header. Raises ValueError naming the line."""
    reader = csv.reader(line.removeprefix("\ufeff") for line in lines)
    header = [name.strip().lower() for name in next(reader, [])]
    if "timestamp" not in header or "value" not in header:
        raise ValueError("the first line must name the columns: timestamp,value")
    time_at, value_at = header.index("timestamp"), header.index("value")
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) <= time_at:
            raise ValueError(f"line {reader.line_num}: no timestamp")
        stamp = cells[time_at].strip()
        value = cells[value_at].strip() if len(cells) > value_at else ""
        yield Row(
            timestamp=stamp,
            seconds=_seconds(stamp, reader.line_num),
            value=_number(value, reader.line_num) if value else math.nan,
        )


def _seconds(stamp: str, line: int) -> float:
    try:
        found = float(stamp)
    except ValueError:
        found = math.nan
        try:
            moment = datetime.fromisoformat(stamp)
        except ValueError:
            pass
        else:
            found = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(found):
        raise ValueError(f"line {line}: {stamp!r} is neither seconds since the epoch nor an ISO 8601 time")
    return found


def _number(value: str, line: int) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"line {line}: {value!r} is not a number") from None


def text(number: float) -> str:
    """Shortest text that reads back as the same number; blank for none."""
    return "" if math.isnan(number) else repr(float(number))
