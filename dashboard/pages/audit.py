"""Audit: who did what, and that nothing was altered since."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import islice
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_GET

from dashboard.live.fragments import Context, fragment
from dashboard.pages import saved_views, story
from dashboard.pages.answers import person
from dashboard.pages.moments import moment
from remediation import sealing
from remediation.models import Remediation, Transition

PER_PAGE = 50
LENGTH = 100
KINDS = (
    "incident",
    "remediation",
    "rule",
    "playbook",
    "service",
    "freeze",
    "breaker",
    "storm",
    "maintenance",
    "target",
    "problem",
    "user",
    "login",
)
A_LOOK = 1000
"""Links that one look at the page verifies."""
AGAIN = timedelta(minutes=10)
"""When the chain is walked from its beginning once more, after its end was reached."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What the address asks for. Anything it does not understand is left out."""

    kind: str = ""
    actor: str = ""
    text: str = ""
    since: str = ""
    until: str = ""
    before: str = ""
    after: str = ""

    @classmethod
    def read(cls, request: HttpRequest) -> Filter:
        asked = {one.name: request.GET.get(one.name, "").replace("\x00", "").strip()[:LENGTH] for one in fields(cls)}
        known = asked["kind"] in KINDS
        places = {name: asked[name] if _is_number(asked[name]) else "" for name in ("before", "after")}
        times = {name: asked[name] if moment(asked[name]) else "" for name in ("since", "until")}
        return cls(**asked | times | places | {"kind": known * asked["kind"]})

    def query(self, **changes: str | int) -> str:
        asked = {one.name: getattr(self, one.name) for one in fields(self)} | changes
        return urlencode({name: value for name, value in asked.items() if value != ""})

    @property
    def narrows(self) -> bool:
        return bool(self.kind or self.actor or self.text or self.since or self.until)

    def rows(self) -> QuerySet[Transition]:
        found = Transition.objects.select_related("seal", "incident__rule").order_by("-pk")
        found = found.filter(kind=self.kind) if self.kind else found
        found = found.filter(actor__icontains=self.actor) if self.actor else found
        found = found.filter(Q(reason__icontains=self.text) | Q(to_state__icontains=self.text)) if self.text else found
        found = found.filter(at__gte=moment(self.since)) if self.since else found
        return found.filter(at__lt=moment(self.until)) if self.until else found

    def page(self) -> tuple[list[Transition], bool, bool]:
        """One page, the newest first, and whether there are newer and older lines. By key, so that the millionth line
        costs what the first does."""
        rows = self.rows()
        if self.after:
            found = list(rows.filter(pk__gt=int(self.after)).order_by("pk")[: PER_PAGE + 1])
            return found[:PER_PAGE][::-1], len(found) > PER_PAGE, True
        found = list((rows.filter(pk__lt=int(self.before)) if self.before else rows)[: PER_PAGE + 1])
        return found[:PER_PAGE], bool(self.before), len(found) > PER_PAGE


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    """Every line of history, newest first."""
    chosen = Filter.read(request)
    shown, newer, older = chosen.page()
    remediations = Remediation.objects.in_bulk([row.object_id for row in shown if row.kind == "remediation"])
    context = {
        "page": "audit",
        "chosen": chosen,
        "kinds": KINDS,
        "rows": [(row, story.sentence(row, remediations.get(row.object_id)), _seal_of(row)) for row in shown],
        "older": chosen.query(before=shown[-1].pk, after="") if shown and older else "",
        "newer": chosen.query(after=shown[0].pk, before="") if shown and newer else "",
        "newest": chosen.query(before="", after="") if chosen.before or chosen.after else None,
        "views": saved_views.of(person(request), "audit"),
        "saving": chosen.query(before="", after=""),
    }
    return render(request, "audit/index.html", context)


def _seal_of(row: Transition) -> int | None:
    seal = getattr(row, "seal", None)
    return seal.number if seal else None


@require_GET
def export(request: HttpRequest) -> StreamingHttpResponse:
    """All of it as JSON lines with hashes, as `manage.py audit_verify --export` writes them. For staff."""
    if not person(request).is_staff:
        raise PermissionDenied(gettext_lazy("The whole history is exported by staff."))
    headers = {"Content-Disposition": 'attachment; filename="homeostat-history.jsonl"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(_export(), content_type="application/jsonl", headers=headers)


async def _export() -> AsyncIterator[str]:
    after = 0
    while part := await sync_to_async(_part)(after):
        after = part[-1].number
        yield "".join(json.dumps(sealing.exported(link)) + "\n" for link in part)


def _part(after: int) -> list[sealing.Link]:
    return list(islice(sealing.links(after=after), A_LOOK))


# --- whether it is what was sealed ---


class Walk:
    """Verifies the chain a piece at a time, round after round, while somebody looks. Of this process: `audit_verify`
    is what proves; this notices."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self.number, self.hash = 0, sealing.BEGINNING
        self.found: dict[int, str | Promise] = {}
        self.ended_at: datetime | None = None

    def look(self, *, now: datetime) -> None:
        """Go on from where the last look stopped, unless another thread is at it."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._go_on(now)
        finally:
            self._lock.release()

    def _go_on(self, now: datetime) -> None:
        if self.ended_at is not None and now - self.ended_at > AGAIN:
            self._begin()  # a new round, which finds again what is still wrong
        number, _ = sealing.head()
        if number < self.number:
            words = gettext_lazy("the chain was cut off: it reached link {number} and ends at {now} now")
            self.found[self.number] = format_lazy(words, number=self.number, now=number)
            return
        links = islice(sealing.links(after=self.number), A_LOOK)
        seen = 0
        for link, wrong in sealing.faults(links, number=self.number, previous=self.hash):
            self.number, self.hash = link.number, link.hash
            seen += 1
            for fault in wrong:
                self.found[fault.number] = fault.text
        if seen < A_LOOK:
            self.ended_at = self.ended_at or now


walk = Walk()


@fragment("audit-head", "audit/_head.html", every_s=10)
def head(_: str) -> Context:
    now = timezone.now()
    walk.look(now=now)
    number, hash_ = sealing.head()
    waits = sealing.oldest_unsealed()
    return {
        "number": number,
        "hash": hash_,
        "verified": walk.number,
        "found": [_fault(link, text) for link, text in sorted(walk.found.items())][:20],
        "late": waits if waits is not None and now - waits > sealing.SOON else None,
    }


def _fault(number: int, text: str | Promise) -> str:
    return gettext("Link %(number)s: %(fault)s.") % {"number": number, "fault": text}
