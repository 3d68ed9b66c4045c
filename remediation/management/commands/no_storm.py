"""A person's word that what looks like a storm is none, for a second terminal."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError

from remediation.conf import parse_duration
from remediation.decide import no_storm
from remediation.exceptions import Conflict
from remediation.management.arguments import TeachingCommand, find_source, terminal_user

DESCRIPTION = """Say that the storm of a source is none: so much really broke. Automation acts on what that source sees,
inside its other limits, until the time is over; then the storm holds again, and so does the next one. Needs only the
database.

  manage.py no_storm prom --for 30m --reason "rack 4 lost power, seen on site"

It is written into the history with your name. To stop automation again before: manage.py freeze."""


class Command(TeachingCommand):
    help = DESCRIPTION

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", metavar="SOURCE", help="the source whose storm it is, by name")
        parser.add_argument("--reason", required=True, metavar="TEXT", help="what you saw")
        parser.add_argument("--for", dest="span", required=True, metavar="TIME", help="15m, 1h; a day at most")

    def handle(self, *, source: str, reason: str, span: str, **options: Any) -> None:
        try:
            for_s = parse_duration(span)
            no_storm.say(find_source(source), by=terminal_user(), reason=reason, for_s=for_s, now=datetime.now(UTC))
        except (ValueError, Conflict) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Automation acts on what {source} sees, for {span}. To stop it: manage.py freeze.")
