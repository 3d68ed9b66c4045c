"""The series of one rule, the worst first: a table in pages, and small charts of a few of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_GET

from dashboard.pages import charts, health, service_charts
from dashboard.pages.owners import owner_of
from dashboard.pages.words import expected, state_word, tone
from remediation.models import Incident, Rule, SeriesState, Service, Transition
from remediation.models.service import matcher_text
from remediation.states import IncidentState, Phase, Verdict

PER_PAGE = 10
CHARTS = 4
FAR = 10_000
"""Pages: more than any rule has."""

OPEN = (Phase.FIRING, Phase.RECOVERING, Phase.PENDING)
"""What is held while nobody can see it, and so is worth a word."""

PLACE = Case(
    When(phase=Phase.FIRING, then=Value(0)),
    When(phase=Phase.RECOVERING, then=Value(1)),
    When(phase=Phase.PENDING, then=Value(2)),
    When(~Q(verdict=Verdict.OK), then=Value(3)),
    default=Value(4),
    output_field=IntegerField(),
)
"""What is wrong, what nobody can see, and what is well last; as on the page of a service."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the address asks for. series, charts: numbers of pages; chart: the fingerprint of the only one to draw."""

    series: int = 1
    charts: int = 1
    chart: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Chosen:
        name = given.get("chart", "")[:40]
        return cls(
            series=_number(given.get("series", "")),
            charts=_number(given.get("charts", "")),
            chart=name if name.isalnum() and name.isascii() else "",
        )

    def query(self, **changes: int | str) -> str:
        asked = {"series": self.series, "charts": self.charts, "chart": self.chart} | changes
        return urlencode({name: value for name, value in asked.items() if value not in ("", 1)})


def _number(text: str) -> int:
    return min(max(int(text), 1), FAR) if text.isascii() and text.isdecimal() and len(text) < 9 else 1


@dataclass(frozen=True, kw_only=True)
class Row:
    """held: the phase that is kept while nobody can see the series. incident: the number of the open one. chart: the
    query of the address that draws it."""

    state: SeriesState
    shown: str
    held: str
    expected: str
    incident: int | None
    chart: str
    service: tuple[str, str] | None
    """Name and title of what it belongs to, where the rule itself does not say."""


def worst_first(rule_id: int) -> QuerySet[SeriesState]:
    return SeriesState.objects.filter(rule_id=rule_id).alias(place=PLACE).order_by("place", "fingerprint")


def table(rule: Rule, chosen: Chosen, *, judged: bool) -> Page[Row]:
    """The chosen page of it. judged: whether the rule is evaluated at all; what it said before is no verdict of now."""
    page: Page[Any] = Paginator(worst_first(rule.pk), PER_PAGE).get_page(chosen.series)
    states: Sequence[SeriesState] = list(page.object_list)
    owners = _owners(rule, states) if rule.service_id is None else {}
    incidents = _open(rule, states)
    page.object_list = [
        _row(one, judged, incidents.get(one.fingerprint), owners.get(one.fingerprint), chosen) for one in states
    ]
    return page


def _open(rule: Rule, states: Sequence[SeriesState]) -> dict[str, int]:
    """Open incidents of these series, by fingerprint."""
    shown = Incident.objects.filter(rule=rule, fingerprint__in=[one.fingerprint for one in states])
    return dict(shown.exclude(state=IncidentState.RESOLVED).values_list("fingerprint", "pk"))


def _owners(rule: Rule, states: Sequence[SeriesState]) -> dict[str, tuple[str, str]]:
    """The service of each series, as the loop finds it."""
    rows = list(Service.objects.order_by("name").values_list("pk", "name", "title", "matchers"))
    known = tuple((pk, matcher_text(name, own)) for pk, name, _title, own in rows)
    words = {pk: (name, title or name) for pk, name, title, _own in rows}
    found = {one.fingerprint: owner_of(_labels(rule, one), known) for one in states}
    return {name: words[pk] for name, pk in found.items() if pk is not None}


def _labels(rule: Rule, state: SeriesState) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({**state.labels, **rule.labels}.items()))


def _row(
    state: SeriesState, judged: bool, incident: int | None, service: tuple[str, str] | None, chosen: Chosen
) -> Row:
    unknown = not judged or state.verdict == Verdict.UNKNOWN
    return Row(
        state=state,
        shown=str(Verdict.UNKNOWN) if unknown else state.phase,
        held=state_word(state.phase) if unknown and state.phase in OPEN else "",
        expected=expected(state.lower, state.upper),
        incident=incident,
        chart=chosen.query(chart=state.fingerprint, charts=1),
        service=service,
    )


# --- charts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Panel(service_charts.Panel):
    """A small chart of a rule; one that is not evaluated knows the state of none of its series."""

    judged: bool

    @property
    def shown(self) -> str:
        return super().shown if self.judged else str(Verdict.UNKNOWN)

    @property
    def about(self) -> str:
        """What tells it from its fellows."""
        return ", ".join(f"{name}={text}" for name, text in sorted(self.state.labels.items())) or self.rule.name


def panels(rule: Rule, chosen: Chosen, *, judged: bool) -> Page[Panel]:
    """The worst first, or only the one that was chosen."""
    states = worst_first(rule.pk)
    states = states.filter(fingerprint=chosen.chart) if chosen.chart else states
    page: Page[Any] = Paginator(states, CHARTS).get_page(chosen.charts)
    of_states = charts.is_of_alerts(rule)
    page.object_list = [Panel(rule=rule, state=one, of_states=of_states, judged=judged) for one in page.object_list]
    return page


@require_GET
def series(request: HttpRequest, pk: int, fingerprint: str) -> JsonResponse:
    """The samples of one series, with what became of its own incidents."""
    state = get_object_or_404(SeriesState.objects.select_related("rule__status"), rule_id=pk, fingerprint=fingerprint)
    happened = Transition.objects.filter(incident__rule_id=pk, incident__fingerprint=fingerprint)
    found = service_charts.told(request.GET, state, happened)
    if not is_judged(state.rule, timezone.now()):
        found["state"] |= {"tone": tone(Verdict.UNKNOWN), "word": state_word(Verdict.UNKNOWN)}
    return JsonResponse(found, headers={"Cache-Control": "no-store"})


def is_judged(rule: Rule, now: datetime) -> bool:
    """Whether the rule is evaluated as it should be."""
    return rule.enabled and not health.blindness(rule, now)
