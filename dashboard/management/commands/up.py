"""Run Homeostat on this machine: web, workers and beat, until Ctrl-C."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError, SystemCheckError

from dashboard import up
from dashboard.descent import die_with_parent
from dashboard.processes import ChildFailed, Family, Interrupted


class Command(BaseCommand):
    """`manage.py up`: everything about how is in `dashboard.up`."""

    help = "Run Homeostat on this machine: web, workers, beat and, when no Redis is configured, an embedded Valkey."
    # A stored rule that names a detector which is gone fails a check. It is said, and stops nothing.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--with-parent", action="store_true", help="stop when the process that started this ends")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["with_parent"]:
            die_with_parent()
        installation = up.Installation.from_settings()
        with Family() as family:
            try:
                up.claim(family, installation)
                up.prepare(family)
                self._say_failed_checks(family)
                up.start(family, installation)
                family.say(f"Homeostat is at {installation.url} (Ctrl-C stops it)")
                code = family.wait()
            except Interrupted:
                code = 0
            except (up.CannotStart, ChildFailed) as error:
                raise CommandError(str(error)) from error
        sys.exit(code)

    def _say_failed_checks(self, family: Family) -> None:
        try:
            self.check()
        except SystemCheckError as error:
            family.say(str(error))
