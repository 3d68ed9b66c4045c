"""The small charts of a service: each series that a rule watches there, the worst first, a few per page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_GET

from dashboard.pages import charts, watching
from dashboard.pages.words import expected, number, state_word, tone
from remediation.models import Rule, SeriesState, Service, Transition
from remediation.states import IncidentState, RemediationState

PER_PAGE = 6
EVENTS = (
    *(IncidentState.FIRING, IncidentState.RESOLVED),
    *(RemediationState.EXECUTING, RemediationState.VERIFIED, RemediationState.INEFFECTIVE, RemediationState.WORSENED),
    *(RemediationState.FAILED, RemediationState.UNKNOWN, RemediationState.ROLLED_BACK),
)
"""What happened to a service that is worth a mark in each of its charts."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One small chart, before its samples are asked for."""

    rule: Rule
    state: SeriesState
    of_states: bool

    @property
    def shown(self) -> str:
        return "unknown" if self.state.verdict == "unknown" else self.state.phase

    @property
    def expected(self) -> str:
        return expected(self.state.lower, self.state.upper)


def panels(row: Service, number_of_page: str) -> Page[Panel]:
    """number_of_page: from the address; anything that is none is the first or the last page."""
    found: Sequence[tuple[Rule, SeriesState]] = watching.worst_first(row)
    shown = [Panel(rule=rule, state=state, of_states=charts.is_of_alerts(rule)) for rule, state in found]
    return Paginator(shown, PER_PAGE).get_page(number_of_page)


@require_GET
def series(request: HttpRequest, name: str, rule: int, fingerprint: str) -> JsonResponse:
    """The samples of one series that is watched, as the incident's chart has them."""
    row = get_object_or_404(Service, name=name)
    state = get_object_or_404(SeriesState.objects.select_related("rule"), rule_id=rule, fingerprint=fingerprint)
    now = timezone.now()
    wanted = charts.asked_range(request.GET, now=now)
    of_states = charts.is_of_alerts(state.rule)
    chart = charts.Chart(
        start=wanted.start,
        end=wanted.end,
        line=charts.Line() if of_states else charts.line_of(state.rule, fingerprint, wanted),
        stretches=charts.stretches_of(rule, fingerprint, wanted, now=now),
        markers=charts.markers_of(_events(row, wanted), wanted),
        of_states=of_states,
    )
    told = charts.answer(
        chart, live=True, now=now, after=request.GET.get("after", ""), step=request.GET.get("step", "")
    )
    return JsonResponse(told | {"state": _state(state)}, headers={"Cache-Control": "no-store"})


def _events(row: Service, wanted: charts.Range) -> QuerySet[Transition]:
    since = datetime.fromtimestamp(wanted.start, UTC)
    happened = Transition.objects.filter(incident__service=row, to_state__in=EVENTS, at__gte=since)
    return happened.order_by("pk")


def _state(state: SeriesState) -> dict[str, str]:
    shown = "unknown" if state.verdict == "unknown" else state.phase
    return {
        "tone": tone(shown),
        "word": state_word(shown),
        "value": number(state.value),
        "expected": expected(state.lower, state.upper),
    }
