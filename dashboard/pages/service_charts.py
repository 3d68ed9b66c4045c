"""The small charts of a service: each series that a rule watches there, the worst first, a few per page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_GET

from dashboard.pages import charts, watching
from dashboard.pages.stretches import stretches_of
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
    found = told(request.GET, state, Transition.objects.filter(incident__service=row))
    return JsonResponse(found, headers={"Cache-Control": "no-store"})


def told(given: Mapping[str, str], state: SeriesState, happened: QuerySet[Transition]) -> dict[str, Any]:
    """JSON of one series with its band and its states, marked by those of these lines that are worth it.

    given: what the browser asks for; state: with its rule. Raises BadRequest."""
    now = timezone.now()
    wanted = charts.asked_range(given, now=now)
    of_states = charts.is_of_alerts(state.rule)
    chart = charts.Chart(
        start=wanted.start,
        end=wanted.end,
        line=charts.Line() if of_states else charts.line_of(state.rule, state.fingerprint, wanted, labels=state.labels),
        stretches=stretches_of(state.rule_id, state.fingerprint, wanted.start, wanted.end, now=now),
        markers=charts.markers_of(_events(happened, wanted), wanted),
        of_states=of_states,
    )
    found = charts.answer(chart, live=True, now=now, after=given.get("after", ""), step=given.get("step", ""))
    return found | {"state": _state(state)}


def _events(happened: QuerySet[Transition], wanted: charts.Range) -> QuerySet[Transition]:
    since = datetime.fromtimestamp(wanted.start, UTC)
    return happened.filter(to_state__in=EVENTS, at__gte=since).order_by("pk")


def _state(state: SeriesState) -> dict[str, str]:
    shown = "unknown" if state.verdict == "unknown" else state.phase
    return {
        "tone": tone(shown),
        "word": state_word(shown),
        "value": number(state.value),
        "expected": expected(state.lower, state.upper),
    }
