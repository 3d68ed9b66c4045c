"""Incidents: every problem there was, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from dashboard.live.fragments import Context, fragment
from dashboard.pages import rows
from remediation.models import Incident, Service
from remediation.states import IncidentState

PER_PAGE = 50
STATES = {
    "open": "Open",
    "firing": "Firing",
    "pending": "Pending",
    "person": "Needs a person",
    "resolved": "Resolved",
    "all": "All",
}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What the address asks for. Anything it does not understand is left out."""

    state: str = "open"
    service: str = ""
    page: int = 1

    @classmethod
    def read(cls, query: str) -> Filter:
        asked = QueryDict(query)
        state, page = asked.get("state", "open"), asked.get("page", "1")
        return cls(
            state=state if state in STATES else "open",
            service=asked.get("service", "")[:100],
            page=int(page) if page.isdecimal() and len(page) < 7 else 1,
        )

    def query(self, **changes: str | int) -> str:
        asked = {"state": self.state, "service": self.service, "page": self.page} | changes
        return urlencode({name: value for name, value in asked.items() if value not in ("", 1)})


def incidents(request: HttpRequest) -> HttpResponse:
    chosen = Filter.read(request.META.get("QUERY_STRING", ""))
    context = {
        "page": "incidents",
        "key": chosen.query(),
        "chosen": chosen,
        "states": [(name, word, chosen.query(state=name, page=1)) for name, word in STATES.items()],
        "services": Service.objects.values_list("name", "title"),
    }
    return render(request, "incidents/index.html", context)


@fragment("incidents", "incidents/_table.html", topics=("incident", "remediation"), every_s=5)
def listed(argument: str) -> Context:
    chosen = Filter.read(argument)
    pages = Paginator(rows.with_repair(_matching(chosen)), PER_PAGE)
    shown = pages.get_page(chosen.page)
    return {
        "rows": rows.table(shown.object_list),
        "shown": shown,
        "pages": pages,
        "chosen": chosen,
        "word": STATES[chosen.state].lower(),
        "older": chosen.query(page=shown.number + 1),
        "newer": chosen.query(page=shown.number - 1),
        "last": Incident.objects.order_by("-opened_at").first(),
    }


def _matching(chosen: Filter) -> QuerySet[Incident]:
    found = Incident.objects.order_by("-opened_at", "-pk")
    if chosen.state == "open":
        found = found.exclude(state=IncidentState.RESOLVED)
    elif chosen.state == "person":
        found = found.exclude(state=IncidentState.RESOLVED).filter(needs_person=True)
    elif chosen.state != "all":
        found = found.filter(state=chosen.state)
    return found.filter(service__name=chosen.service) if chosen.service else found
