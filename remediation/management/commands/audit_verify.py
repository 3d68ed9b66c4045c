"""Proves that history is what was sealed."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from remediation import sealing
from remediation.conf import parse_duration
from remediation.management.arguments import TeachingCommand
from remediation.models import Seal, Transition

DESCRIPTION = """Walk the hash chain over the history of this database and name every line that was changed, deleted, or
never sealed, and every seal that is missing. Exit status 0 when nothing is, 1 otherwise.

  manage.py audit_verify                          everything
  manage.py audit_verify --since 7d               only what was written since (also 2026-11-01, 2026-11-01T12:00)
  manage.py audit_verify --export history.jsonl   also write every line with its hash, as JSON lines; - for stdout
  manage.py audit_verify --expect 4711:9f86d0...  also prove that this link is still there, as it was

It prints the head of the chain, number and hash. Whoever can write to the database can also cut off its end, or write
the whole chain anew: the head, kept somewhere else and given to --expect later, shows that. A database from before
there were seals is sealed by the first run; what was changed before then cannot be told."""

PROGRESS_EVERY = 20_000

Write = Callable[[str], object]


class Command(TeachingCommand):
    help = DESCRIPTION

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=_moment, metavar="TIME", help="only lines since: 7d, 2026-11-01T12:00")
        parser.add_argument("--export", default="", metavar="FILE", help="write JSON lines there; - for stdout")
        parser.add_argument("--expect", type=_head, metavar="NUMBER:HASH", help="a head that was written down before")

    def handle(self, *, since: datetime | None, export: str, expect: tuple[int, str] | None, **options: Any) -> None:
        self.say = self.stderr if export == "-" else self.stdout
        if sealing.head()[0] == 0:
            self._seal_everything()
        with _opened(export, self.stdout.write) as write:
            seen, found = self._walk(since, write)
        found += [str(fault.text) for fault in sealing.late(now=timezone.now())]
        if expect and not Seal.objects.filter(number=expect[0], hash=expect[1]).exists():
            found.append(f"link {expect[0]} is not there with the hash that was expected")
        number, hash_ = sealing.head()
        self.say.write(f"Walked {seen} links. Head: {number}:{hash_}")
        for text in found:
            self.say.write(f"  {text}")
        if found:
            raise CommandError(f"History is not what was sealed: {len(found)} found.")
        self.say.write("Every line is as it was sealed.")

    def _seal_everything(self) -> None:
        total, done = Transition.objects.count(), 0
        while step := sealing.seal(timezone.now(), at_most=5000, whole=True):
            done += step
            self.say.write(f"There was no seal yet: sealed {done} of {total} lines ...")

    def _walk(self, since: datetime | None, write: Write | None) -> tuple[int, list[str]]:
        """How many links there are, and what is wrong with them."""
        number, previous = _before(since)
        seen, found = 0, []
        for link, wrong in sealing.faults(sealing.links(after=number), number=number, previous=previous):
            seen += 1
            found += [f"link {fault.number}: {fault.text}" for fault in wrong]
            if write is not None:
                write(json.dumps(sealing.exported(link)) + "\n")
            if seen % PROGRESS_EVERY == 0:
                self.say.write(f"  {seen} links ...")
        return seen, found


def _before(since: datetime | None) -> tuple[int, str]:
    """The link before the first that is asked for."""
    first = Seal.objects.filter(transition__at__gte=since).order_by("number").first() if since else None
    if since and first is None:
        return sealing.head()
    before = Seal.objects.filter(number=first.number - 1).first() if first else None
    return (before.number, before.hash) if before else (0, sealing.BEGINNING)


@contextmanager
def _opened(path: str, stdout: Write) -> Iterator[Write | None]:
    if path in ("", "-"):
        yield stdout if path else None
        return
    try:
        with Path(path).open("w", encoding="utf-8") as file:
            yield file.write
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error


def _moment(text: str) -> datetime:
    """`7d` ago, a date, or a date and time (UTC unless it says otherwise)."""
    try:
        if (at := parse_datetime(text)) is None and (day := parse_date(text)) is not None:
            at = datetime(day.year, day.month, day.day)
        if at is not None:
            return at if at.tzinfo else at.replace(tzinfo=UTC)
        return timezone.now() - timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(f"{text!r} is no time; write 7d, 2026-11-01 or 2026-11-01T12:00") from error


def _head(text: str) -> tuple[int, str]:
    number, _, hash_ = text.partition(":")
    if not (number.isdecimal() and len(number) < 19 and len(hash_) == len(sealing.BEGINNING)):
        raise ArgumentTypeError("write the head as this command prints it: NUMBER:HASH")
    return int(number), hash_
