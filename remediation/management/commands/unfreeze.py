"""Lets automation go on."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from remediation.decide import freeze
from remediation.management.arguments import TeachingCommand, find_service, terminal_user
from remediation.models import Freeze

DESCRIPTION = """Let automation go on after `manage.py freeze`.

  manage.py unfreeze                   lifts the freeze that holds everywhere
  manage.py unfreeze --service cart    lifts the one of this service

A freeze everywhere and one of a service are lifted each by its own command. What was held meanwhile is decided anew."""


class Command(TeachingCommand):
    help = DESCRIPTION

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--service", default="", metavar="NAME", help="only this service; else everywhere")

    def handle(self, *, service: str, **options: Any) -> None:
        now = datetime.now(UTC)
        where = find_service(service)
        place = f"for {service}" if service else "everywhere"
        held = freeze.lift(service=where, by=terminal_user(), now=now)
        self.stdout.write(f"Lifted the freeze {place}." if held else f"Nothing was frozen {place}.")
        rest = Freeze.active(now=now, anywhere=True)
        if rest:
            self.stdout.write("Still frozen: " + "; ".join(str(row) for row in rest))
