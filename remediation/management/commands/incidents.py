"""What went wrong lately, and what came of it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import no_translations

from remediation.management import listing
from remediation.management.arguments import TeachingCommand, find_service

COLUMNS = ("ID", "STATE", "SEVERITY", "SERVICE", "OPENED", "INCIDENT", "REMEDIATION")
DESCRIPTION = """List incidents, the newest first, each with what was done about it or why nothing was.

  manage.py incidents                   the last 50, as a table
  manage.py incidents --open            only those that are not over
  manage.py incidents --service cart    of one service
  manage.py incidents --json            everything, as a list of objects for scripts:
                                        id, title, alertname, service, severity, state, verdict, value, reason,
                                        opened_at, fired_at, resolved_at, labels, needs_person, attention,
                                        decision {outcome, summary}, remediations [{id, verb, targets, state, ...}]

An incident is pending (bad for less than the rule's `for`), firing or resolved. "!" marks one that needs a person."""


class Command(TeachingCommand):
    help = DESCRIPTION

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print a list of JSON objects")
        parser.add_argument("--open", action="store_true", dest="only_open", help="leave out what is resolved")
        parser.add_argument("--service", default="", metavar="NAME", help="only incidents of this service")
        parser.add_argument("--limit", type=int, default=50, metavar="N", help="at most this many (default 50)")

    @no_translations
    def handle(self, *, as_json: bool, only_open: bool, service: str, limit: int, **options: Any) -> None:
        find_service(service)
        rows = listing.incidents(only_open=only_open, service=service, limit=limit)
        if as_json:
            self.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False))
        elif rows:
            self.stdout.write(table(rows, now=datetime.now(UTC)))
        else:
            self.stdout.write("No open incidents." if only_open else "No incidents.")


def table(rows: list[dict[str, Any]], *, now: datetime) -> str:
    lines = [COLUMNS, *(_cells(row, now=now) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def _cells(row: dict[str, Any], *, now: datetime) -> tuple[str, ...]:
    cells = (
        str(row["id"]),
        row["state"] + (" !" if row["needs_person"] else ""),
        row["severity"],
        row["service"] or "-",
        _ago(datetime.fromisoformat(row["opened_at"]), now=now),
        row["title"],
        _outcome(row),
    )
    return tuple(_printable(cell) for cell in cells)


def _outcome(row: dict[str, Any]) -> str:
    """The last remediation, else why there is none."""
    if row["remediations"]:
        last = row["remediations"][-1]
        return f"{last['verb']} {', '.join(last['targets'])}: {last['state'].replace('_', ' ')}"
    return str(row["decision"]["summary"] if row["decision"] else row["attention"])


def _ago(moment: datetime, *, now: datetime) -> str:
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"


def _printable(text: str) -> str:
    """Labels come from outside: no escape sequence of theirs may reach the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
