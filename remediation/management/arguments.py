"""What several commands take, and how they say that it is wrong."""

from __future__ import annotations

import getpass
import os
import signal
import sys
from argparse import RawDescriptionHelpFormatter
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError

from remediation.conf import parse_duration
from remediation.models import Service, Source


class TeachingCommand(BaseCommand):
    """A command whose `--help` shows its examples as they are written, and that says in words when nothing has run
    over this home yet, and nothing when nobody reads on."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except BrokenPipeError:  # `| head` has seen enough; the interpreter, too, would complain when it flushes
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(128 + signal.SIGPIPE) from None
        except (OperationalError, ProgrammingError) as error:
            if "remediation_" not in str(error) and "unable to open" not in str(error):
                raise
            raise CommandError(
                f"Nothing has run over {settings.HOMEOSTAT_HOME} yet. Start it with `make demo` or `make run`, or name "
                "another home in HOMEOSTAT_HOME."
            ) from error

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)


def find_service(name: str) -> Service | None:
    """The service of that name; None when no name was given."""
    if not name:
        return None
    service = Service.objects.filter(name=name).first()
    if service is None:
        raise CommandError(_unknown("service", name, list(Service.objects.values_list("name", flat=True))))
    return service


def find_source(name: str) -> Source:
    source = Source.objects.filter(name=name).first()
    if source is None:
        raise CommandError(_unknown("source", name, list(Source.objects.values_list("name", flat=True))))
    return source


def _unknown(kind: str, name: str, names: list[str]) -> str:
    return f"There is no {kind} named {name!r}. There are: {', '.join(names) or 'none yet; the admin creates one'}."


def until(span: str, *, now: datetime) -> datetime | None:
    """The moment a time span such as 30m from now; None when none was given."""
    if not span:
        return None
    try:
        return now + timedelta(seconds=parse_duration(span))
    except (ValueError, OverflowError) as error:
        raise CommandError(str(error)) from error


def terminal_user() -> str:
    """Who stands in the records for what is typed at a terminal."""
    try:
        return f"{getpass.getuser()} (terminal)"
    except (OSError, KeyError):
        return "terminal"
