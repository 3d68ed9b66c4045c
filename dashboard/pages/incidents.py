"""Incidents: every problem there was, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import F, QuerySet, TextField, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET

from dashboard.live.fragments import Context, fragment
from dashboard.pages import matching, rows, saved_views
from dashboard.pages.answers import person
from dashboard.pages.moments import moment
from remediation.exceptions import MatcherError
from remediation.matchers import Matcher
from remediation.models import Incident, Rule
from remediation.states import IncidentState

PER_PAGE = 50
STATES: dict[str, str | Promise] = {
    "open": pgettext_lazy("incidents", "Open"),
    "firing": gettext_lazy("Firing"),
    "pending": gettext_lazy("Pending"),
    "person": gettext_lazy("Needs a person"),
    "resolved": gettext_lazy("Resolved"),
    "all": gettext_lazy("All"),
}

LABELS = matching.Labelled(
    rows=Incident.objects.all,
    json="labels",
    columns={
        "alertname": Coalesce(F("rule__name"), Value(""), output_field=TextField()),
        "severity": F("severity"),
        "service": Coalesce(F("service__name"), matching.text_of("labels", "service"), output_field=TextField()),
        "team": Coalesce(F("service__team"), matching.text_of("labels", "team"), output_field=TextField()),
    },
)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What the address asks for. Anything it does not understand is left out, but for the matchers: those are kept and
    what is wrong with them is said."""

    state: str = "open"
    match: str = ""
    until: str = ""
    page: int = 1

    @classmethod
    def read(cls, query: str) -> Filter:
        asked = QueryDict(query)
        state, page, until = asked.get("state", "open"), asked.get("page", "1"), asked.get("until", "")[:40]
        return cls(
            state=state if state in STATES else "open",
            match=_match(asked),
            until=until if moment(until) else "",
            page=int(page) if page.isdecimal() and len(page) < 7 else 1,
        )

    def query(self, **changes: str | int) -> str:
        asked = {"state": self.state, "match": self.match, "until": self.until, "page": self.page} | changes
        return urlencode({name: value for name, value in asked.items() if value not in ("", 1)})

    @property
    def wanted(self) -> matching.Wanted:
        return matching.read(self.match, address=len(self.query()))

    def with_matcher(self, matcher: Matcher) -> str:
        return self.query(match=self.wanted.joined(matcher), page=1)

    @property
    def narrows(self) -> bool:
        return bool(self.match or self.until)


def _match(asked: QueryDict) -> str:
    """The matchers as text; `service=NAME`, as links of before had it, is one of them."""
    text, service = asked.get("match", "")[: 2 * matching.LENGTH], asked.get("service", "")[:100]
    return text or (str(Matcher("service", "=", service)) if service else "")


@lru_cache(maxsize=256)
def chosen_of(query: str) -> Filter:
    return Filter.read(query)


@require_GET
def incidents(request: HttpRequest) -> HttpResponse:
    chosen = chosen_of(request.META.get("QUERY_STRING", ""))
    wanted = chosen.wanted
    context = {
        "page": "incidents",
        "key": chosen.query() if not wanted.error else "",
        "chosen": chosen,
        "error": wanted.error or matching.complaint(lambda: _matching(chosen)),
        "states": [(name, word, chosen.query(state=name, page=1)) for name, word in STATES.items()],
        "views": saved_views.of(person(request), "incidents"),
        "saving": chosen.query(page=1),
    }
    return render(request, "incidents/index.html", context)


@fragment("incidents", "incidents/_table.html", topics=("incident", "remediation"), every_s=5)
def listed(argument: str) -> Context:
    chosen = chosen_of(argument)
    context = {"chosen": chosen, "word": str(STATES[chosen.state]).lower()}
    try:
        found = _matching(chosen)
    except MatcherError as error:
        return context | {"error": str(error)}
    pages = Paginator(rows.with_repair(found), PER_PAGE)
    shown = pages.get_page(chosen.page)
    return context | {
        "rows": rows.table(shown.object_list),
        "shown": shown,
        "pages": pages,
        "older": chosen.query(page=shown.number + 1),
        "newer": chosen.query(page=shown.number - 1),
        "last": Incident.objects.order_by("-opened_at").first(),
        "watched": Rule.objects.filter(enabled=True).exists(),
    }


def _matching(chosen: Filter) -> QuerySet[Incident]:
    wanted = chosen.wanted
    if wanted.error:
        raise MatcherError(wanted.error)
    found = Incident.objects.order_by("-opened_at", "-pk")
    if chosen.state == "open":
        found = found.exclude(state=IncidentState.RESOLVED)
    elif chosen.state == "person":
        found = found.exclude(state=IncidentState.RESOLVED).filter(needs_person=True)
    elif chosen.state != "all":
        found = found.filter(state=chosen.state)
    found = found.filter(opened_at__lt=moment(chosen.until)) if chosen.until else found
    return matching.narrowed(found, wanted, LABELS)
