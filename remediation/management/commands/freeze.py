"""The kill switch, for a second terminal."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from remediation.decide import freeze
from remediation.management.arguments import TeachingCommand, find_service, terminal_user, until

DESCRIPTION = """Pause automation: no effect starts any more, at most two seconds from now. What is midway ends in its
own time. Needs only the database, so it works while web, worker and broker are down.

  manage.py freeze                                  everywhere: the kill switch
  manage.py freeze --service cart                   only for one service
  manage.py freeze --for 30m --reason "migration"   lifts itself after half an hour
  manage.py unfreeze                                the way back

Incidents are still detected, shown and recorded while frozen, and approvals can still be given."""


class Command(TeachingCommand):
    help = DESCRIPTION

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--service", default="", metavar="NAME", help="only this service; else everywhere")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why; people see it on every page")
        parser.add_argument("--for", dest="span", default="", metavar="TIME", help="30m, 2h, 1d; else until lifted")

    def handle(self, *, service: str, reason: str, span: str, **options: Any) -> None:
        now = datetime.now(UTC)
        end = until(span, now=now)
        freeze.freeze(service=find_service(service), reason=reason, by=terminal_user(), until=end, now=now)
        how_long = f"until {end:%Y-%m-%d %H:%M:%S} UTC" if end else "until `manage.py unfreeze`"
        self.stdout.write(f"Frozen {f'for {service}' if service else 'everywhere'}, {how_long}.")
