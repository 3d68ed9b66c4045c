"""The small charts of an incident whose rule has several conditions: one for each but the rule's own query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.http import Http404, HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from dashboard.pages import charts
from dashboard.pages.stretches import stretches_of
from dashboard.pages.words import expected
from dashboard.pages.words import number as number_word
from remediation.history import history_of_condition
from remediation.models import Incident, Rule


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One condition of the version of the rule that judges the incident. number: the rule's own query is the first."""

    number: int
    name: str
    query: str
    detector: str
    params: dict[str, Any]
    of_alerts: bool
    """It judges alerts, which have no values to be drawn."""


def panels_of(row: Incident) -> list[Panel]:
    return _panels(row.rule_version.as_rule())


def panel_of(row: Incident, number: int) -> Panel:
    """Raises Http404."""
    for panel in panels_of(row):
        if panel.number == number:
            return panel
    raise Http404


def _panels(rule: Rule) -> list[Panel]:
    return [_panel(at, stored) for at, stored in enumerate(rule.conditions, start=2) if isinstance(stored, dict)]


def _panel(number: int, stored: dict[str, Any]) -> Panel:
    detector = str(stored.get("detector", ""))
    params = stored.get("params")
    return Panel(
        number=number,
        name=str(stored.get("name") or _("Condition %(number)s") % {"number": number}),
        query=str(stored.get("query", "")),
        detector=detector,
        params=params if isinstance(params, dict) else {},
        of_alerts=charts.is_of_alerts(Rule(detector=detector)),
    )


@require_GET
def series(request: HttpRequest, pk: int, number: int) -> JsonResponse:
    """As the incident's own series, always as a whole: which of several series is drawn may change."""
    row = get_object_or_404(Incident.objects.select_related("rule_version"), pk=pk)
    now = timezone.now()
    wanted = charts.asked_range(request.GET, now=now, incident=row)
    chart = chart_of(row, panel_of(row, number), wanted, now=now)
    told = charts.answer(chart, live=row.open, now=now) | {"state": _newest(chart.line), "said": _said(chart.line)}
    return JsonResponse(told, headers={"Cache-Control": "no-store"})


def chart_of(row: Incident, panel: Panel, wanted: charts.Range, *, now: datetime) -> charts.Chart:
    """With how the incident stood, and what happened in it: what the condition said is to be read beside that."""
    rule = row.rule_version.as_rule()
    ask = partial(history_of_condition, rule, panel.number, labels=row.series_labels)
    key = (rule.pk, rule.version, row.fingerprint, f"condition {panel.number}")
    return charts.Chart(
        start=wanted.start,
        end=wanted.end,
        line=charts.shared_line(ask, key, wanted, charts.own_step_s(panel.detector, panel.params)),
        stretches=stretches_of(row.rule_id, row.fingerprint, wanted.start, wanted.end, now=now),
        markers=charts.markers_of(row.transitions.all(), wanted),
    )


def _newest(line: charts.Line) -> dict[str, str]:
    """The last value in the range, and what was expected of it."""
    for value, lower, upper in zip(reversed(line.values), reversed(line.lower), reversed(line.upper), strict=True):
        if value is not None:
            return {"value": number_word(value), "expected": expected(lower, upper)}
    return {"value": "", "expected": ""}


def _said(line: charts.Line) -> str:
    others = line.of - 1
    text = ngettext(
        "the furthest out; %(count)s more series belongs to it",
        "the furthest out; %(count)s more series belong to it",
        others,
    )
    return text % {"count": others} if others else ""
