"""Rule: how it stands, what it asks, the series it judges, what it opened, and what would be done about that."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from dashboard.live.fragments import Context, fragment
from dashboard.pages import analytics, backtest, rows, rule_asks, rule_past, rule_series, rule_serving, rules
from dashboard.pages.incidents import Filter
from remediation import analytics as record
from remediation.analytics import Scope
from remediation.matchers import Matcher
from remediation.models import Incident, Problem, Rule, SeriesState
from remediation.states import Verdict

INCIDENTS = 10
BACKTESTS = 5


@require_GET
def rule(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Rule.objects.select_related("status", "service", "source"), pk=pk)
    chosen = rule_series.Chosen.read(request.GET)
    charts = rule_series.panels(row, chosen, judged=rule_series.is_judged(row, timezone.now()))
    context = {
        "page": "rules",
        "rule": row,
        "chosen": chosen,
        "table": f"{pk}/{chosen.series}" if chosen.series > 1 else str(pk),
        "charts": charts,
        "worse_charts": chosen.query(charts=charts.number - 1),
        "further_charts": chosen.query(charts=charts.number + 1),
        "all_charts": chosen.query(chart="", charts=1),
    }
    return render(request, "rule/index.html", context)


def _found(argument: str) -> Rule | None:
    known = Rule.objects.select_related("status", "service", "source")
    return known.filter(pk=int(argument)).first() if argument.isdecimal() else None


@fragment("rule-head", "rule/_head.html", topics=("rule:{}", "incident", "catalogue"), every_s=5)
def head(argument: str) -> Context | None:
    row = _found(argument)
    if row is None:
        return None
    standing = rules.standing(row, timezone.now())
    return {
        "rule": row,
        "row": standing,
        "unseen": _unseen(row) if standing.status.unknown and not standing.blind else "",
        "insisted": rule_past.insisted(row),
        "problems": list(Problem.objects.filter(rule=row, closed_at=None).select_related("service")),
    }


def _unseen(row: Rule) -> str:
    """Why the first of its series that nobody can see is unknown."""
    unknown = SeriesState.objects.filter(rule=row, verdict=Verdict.UNKNOWN).exclude(reason="").order_by("fingerprint")
    return unknown.values_list("reason", flat=True).first() or ""


@fragment("rule-series", "rule/_series.html", topics=("rule:{}", "incident"), every_s=5)
def series(argument: str) -> Context | None:
    """argument: `PK`, or `PK/PAGE` for the pages after the first, which are as old as `every_s` at most."""
    pk, _slash, page = argument.partition("/")
    row = _found(pk)
    if row is None:
        return None
    now = timezone.now()
    chosen = rule_series.Chosen.read({"series": page})
    judged = rule_series.is_judged(row, now)
    shown = rule_series.table(row, chosen, judged=judged)
    return {
        "rule": row,
        "judged": judged,
        "shown": shown,
        "worse": chosen.query(series=shown.number - 1),
        "further": chosen.query(series=shown.number + 1),
    }


@fragment("rule-asks", "rule/_asks.html", topics=("rule:{}", "catalogue"), every_s=15)
def asks(argument: str) -> Context | None:
    row = _found(argument)
    if row is None:
        return None
    return {
        "rule": row,
        "conditions": rule_asks.conditions(row),
        "origin": rule_asks.origin(row.managed_by),
        "annotations": rule_asks.further_annotations(row),
    }


@fragment("rule-serving", "rule/_serving.html", topics=("rule:{}", "playbook", "catalogue"), every_s=10)
def serving(argument: str) -> Context | None:
    row = _found(argument)
    return None if row is None else {"rule": row, "serving": rule_serving.of_rule(row)}


@fragment("rule-incidents", "rule/_incidents.html", topics=("incident", "remediation"), every_s=5)
def incidents(argument: str) -> Context | None:
    row = _found(argument)
    if row is None:
        return None
    named = Filter(state="all", match=str(Matcher("alertname", "=", row.name)))
    opened = rows.with_repair(Incident.objects.filter(rule=row)).order_by("-opened_at", "-pk")[:INCIDENTS]
    return {"rule": row, "rows": rows.table(opened), "all": named.query(), "here": row.service_id is not None}


@fragment("rule-noise", "rule/_noise.html", topics=("incident",), every_s=60)
def noise(argument: str) -> Context | None:
    row = _found(argument)
    if row is None:
        return None
    now = timezone.now()
    scope = Scope(since=analytics.since_of(analytics.USUAL, now), until=now)
    found = record.noise(scope, rule_id=row.pk)
    shown = analytics.noise_row(found[0]) if found else None
    return {"rule": row, "row": shown, "since": scope.since, "few": analytics.FEW}


@fragment("rule-backtests", "rule/_backtests.html", every_s=5)
def backtests(argument: str) -> Context | None:
    row = _found(argument)
    return None if row is None else {"rule": row, "past": backtest.earlier(row)[:BACKTESTS]}


@fragment("rule-history", "rule/_history.html", topics=("rule:{}", "catalogue"), every_s=15)
def history(argument: str) -> Context | None:
    row = _found(argument)
    if row is None:
        return None
    return {"rule": row, "lines": rule_past.lines(row)}
