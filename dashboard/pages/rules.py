"""Rules: what is watched, and how each of them does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from dashboard.live.fragments import Context, fragment
from dashboard.pages import health
from remediation.models import Rule, RuleStatus
from remediation.states import IncidentState

SHOWN = 300


@dataclass(frozen=True, kw_only=True)
class RuleRow:
    rule: Rule
    status: RuleStatus
    firing: int
    pending: int
    blind: str

    @property
    def state(self) -> str:
        if not self.rule.enabled:
            return "disabled"
        if self.blind:
            return "unknown"
        if self.firing or self.pending:
            return "firing" if self.firing else "pending"
        return "unknown" if self.status.unknown else "ok"


def rules(request: HttpRequest) -> HttpResponse:
    return render(request, "rules/index.html", {"page": "rules"})


@fragment("rules", "rules/_table.html", topics=("rule", "incident"), every_s=5)
def listed(_: str) -> Context:
    now = timezone.now()
    is_firing, is_pending = Q(incidents__state=IncidentState.FIRING), Q(incidents__state=IncidentState.PENDING)
    found = Rule.objects.select_related("status", "service", "source").annotate(
        firing=Count("incidents", filter=is_firing), pending=Count("incidents", filter=is_pending)
    )
    shown = [_row(rule, now) for rule in found.order_by("-enabled", "name")[:SHOWN]]
    return {"rows": sorted(shown, key=_urgency), "total": Rule.objects.count()}


def _urgency(row: RuleRow) -> tuple[int, str]:
    """What needs eyes first, then by name."""
    return (*health.ORDER, "disabled").index(row.state), row.rule.name


def _row(rule: Rule, now: datetime) -> RuleRow:
    return RuleRow(
        rule=rule,
        status=getattr(rule, "status", None) or RuleStatus(rule=rule),  # not evaluated yet
        firing=getattr(rule, "firing", 0),
        pending=getattr(rule, "pending", 0),
        blind=health.blindness(rule, now) if rule.enabled else "",
    )
