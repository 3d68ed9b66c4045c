"""Seals history: every transition becomes a link of a hash chain, shortly after it was committed.

A line is sealed afterwards, not while it is written, so that the loop pays nothing and two writers never wait for each
other. Lines are taken as they become visible, so that numbers never leave a gap.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Min, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation.canonical import canonical
from remediation.models import Seal, Transition

AT_ONCE = 500
"""Lines that one look seals at most: what the sweep can afford."""
LOOKED_BACK = 1000
"""Seals behind the head in which a look searches for lines that were committed late."""
WHOLE_EVERY_S = 600.0
"""How often each process searches the whole of history, for a line that was committed later than that."""
SOON = timedelta(minutes=1)
"""A line that is older and has no seal is named by the verification."""
CHUNK = 1000
BEGINNING = "0" * 64
"""What the first link has in the place of a link before it."""

_searched_at = float("-inf")


# --- sealing ---


def seal(now: datetime, *, at_most: int = AT_ONCE, whole: bool = False) -> int:
    """Seal what has no seal yet, in the order of its keys. Returns how many lines. Safe to call from anywhere, at any
    time: of two that call at once, one seals."""
    global _searched_at  # noqa: PLW0603 - a moment of this process
    whole = whole or time.monotonic() - _searched_at > WHOLE_EVERY_S
    if whole:
        _searched_at = time.monotonic()
    if not unsealed(whole=whole).exists():
        return 0
    try:
        with transaction.atomic():
            return _append(now, at_most=at_most, whole=whole)
    except IntegrityError:  # the very first seals, written twice at once: there was no row to lock yet
        return 0


def _append(now: datetime, *, at_most: int, whole: bool) -> int:
    # The first link is the lock of the whole chain: it never moves, as the head does. (SQLite has one writer anyway.)
    list(Seal.objects.select_for_update().filter(number=1))
    number, previous = head()
    rows = []
    for line in unsealed(whole=whole).order_by("pk")[:at_most]:
        number, previous = number + 1, link(previous, line)
        rows.append(Seal(number=number, transition=line, hash=previous, at=now))
    Seal.objects.bulk_create(rows)
    return len(rows)


def head() -> tuple[int, str]:
    """Number and hash of the last link; number 0 while there is none."""
    last = Seal.objects.order_by("-number").values_list("number", "hash").first()
    return last or (0, BEGINNING)


def unsealed(*, whole: bool = False) -> QuerySet[Transition]:
    """Lines without a seal: all, or those that a look costing next to nothing finds."""
    rows = Transition.objects.filter(seal__isnull=True)
    if whole:
        return rows
    behind = Seal.objects.order_by("-number").values("transition_id")[LOOKED_BACK : LOOKED_BACK + 1]
    return rows.filter(pk__gt=Coalesce(Subquery(behind), 0))


def oldest_unsealed() -> datetime | None:
    """When the oldest line that waits for its seal was written."""
    oldest: datetime | None = unsealed().aggregate(first=Min("at"))["first"]
    return oldest


def link(previous: str, line: Transition) -> str:
    """The hash of a line in its place: of the link before and of everything the line says."""
    return hashlib.sha256(f"{previous}\n{canonical(said(line))}".encode()).hexdigest()


def said(line: Transition) -> dict[str, Any]:
    """Every field of a line, in JSON's terms; the time to the microsecond in UTC."""
    return {
        "id": line.pk,
        "kind": line.kind,
        "object_id": line.object_id,
        "incident_id": line.incident_id,
        "from_state": line.from_state,
        "to_state": line.to_state,
        "reason": line.reason,
        "actor": line.actor,
        "at": line.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "facts": line.facts,
    }


# --- verifying ---


@dataclass(frozen=True, kw_only=True)
class Link:
    """One seal with what it seals; `line` is None where that is gone."""

    number: int
    hash: str
    at: datetime
    transition_id: int
    line: Transition | None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that is not as it was sealed, in words of the reader's language. number: of the link that shows it, 0
    for none."""

    number: int
    text: str | Promise


def links(*, after: int = 0) -> Iterator[Link]:
    """The chain in order, however long it is, with a constant amount of it in memory."""
    while True:
        seals = list(Seal.objects.filter(number__gt=after).order_by("number")[:CHUNK])
        if not seals:
            return
        lines = Transition.objects.in_bulk([one.transition_id for one in seals])
        for one in seals:
            yield Link(
                number=one.number,
                hash=one.hash,
                at=one.at,
                transition_id=one.transition_id,
                line=lines.get(one.transition_id),
            )
        after = seals[-1].number


def faults(chain: Iterable[Link], *, number: int = 0, previous: str = BEGINNING) -> Iterator[tuple[Link, list[Fault]]]:
    """Every link with what is wrong with it. number, previous: the link that the first of these follows.

    After a fault the walk goes on from the hash that is stored, so that one change is named once, where it is.
    """
    for one in chain:
        wrong = []
        if one.number != number + 1:
            wrong.append(Fault(number=one.number, text=_missing(number + 1, one.number - 1)))
        if one.line is None:
            wrong.append(
                Fault(
                    number=one.number, text=format_lazy(_("line {line} of history was deleted"), line=one.transition_id)
                )
            )
        elif not wrong and link(previous, one.line) != one.hash:
            wrong.append(
                Fault(number=one.number, text=format_lazy(_("{line} is not what was sealed"), line=_named(one.line)))
            )
        number, previous = one.number, one.hash
        yield one, wrong


def late(*, now: datetime) -> Iterator[Fault]:
    """Lines that should have had a seal for long, or have one that is no link: numbers begin with 1."""
    for seal_ in Seal.objects.filter(number__lt=1).select_related("transition").order_by("number")[:100]:
        yield Fault(
            number=seal_.number,
            text=format_lazy(_("{line} has a seal outside the chain"), line=_named(seal_.transition)),
        )
    for line in unsealed(whole=True).filter(at__lt=now - SOON).order_by("pk")[:100]:
        yield Fault(number=0, text=format_lazy(_("{line} has no seal"), line=_named(line)))


def exported(one: Link) -> dict[str, Any]:
    """One line of an export: what the hash was made of, and the hash."""
    line = said(one.line) if one.line else {"id": one.transition_id, "deleted": True}
    return {"number": one.number, "hash": one.hash, "sealed_at": one.at.isoformat(), "line": line}


def _missing(first: int, last: int) -> Promise:
    if first == last:
        return format_lazy(_("seal {first} is missing"), first=first)
    return format_lazy(_("seals {first} to {last} are missing"), first=first, last=last)


def _named(line: Transition) -> Promise:
    return format_lazy(
        _("line {line} ({at} UTC, {what}, by {actor})"),
        line=line.pk,
        at=f"{line.at:%Y-%m-%d %H:%M:%S}",
        what=str(line),
        actor=line.actor,
    )
