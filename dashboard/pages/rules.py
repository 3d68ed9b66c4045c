"""Rules: what is watched, and how each of them does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Count, F, Q, QuerySet, TextField
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from dashboard.live.fragments import Context, fragment
from dashboard.pages import health, matching, saved_views
from dashboard.pages.answers import person
from remediation.exceptions import MatcherError
from remediation.matchers import Matcher
from remediation.models import Incident, Rule, RuleStatus
from remediation.states import IncidentState

PER_PAGE = 50
STATES: dict[str, str | Promise] = {
    "": gettext_lazy("All"),
    "firing": gettext_lazy("Firing"),
    "unknown": gettext_lazy("Unknown"),
    "ok": gettext_lazy("OK"),
    "disabled": gettext_lazy("Switched off"),
}
LABELS = matching.Labelled(
    rows=Rule.objects.all,
    json="labels",
    columns={
        "alertname": F("name"),
        "severity": F("severity"),
        "service": Coalesce(F("service__name"), matching.text_of("labels", "service"), output_field=TextField()),
        "team": Coalesce(F("service__team"), matching.text_of("labels", "team"), output_field=TextField()),
        "detector": F("detector"),
        "source": F("source__name"),
    },
)
JUDGED_BY = ("name", "enabled", "interval_s", "status__evaluated_at", "status__error", "status__unknown")
"""What the state of a rule follows from; the rest is read for the rules of one page only."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What the address asks for, as for incidents."""

    state: str = ""
    match: str = ""
    page: int = 1

    @classmethod
    def read(cls, query: str) -> Filter:
        asked = QueryDict(query)
        state, page = asked.get("state", ""), asked.get("page", "1")
        return cls(
            state=state if state in STATES else "",
            match=asked.get("match", "")[: 2 * matching.LENGTH],
            page=int(page) if page.isdecimal() and len(page) < 7 else 1,
        )

    def query(self, **changes: str | int) -> str:
        asked = {"state": self.state, "match": self.match, "page": self.page} | changes
        return urlencode({name: value for name, value in asked.items() if value not in ("", 1)})

    @property
    def wanted(self) -> matching.Wanted:
        return matching.read(self.match, address=len(self.query()))

    def with_matcher(self, matcher: Matcher) -> str:
        return self.query(match=self.wanted.joined(matcher), page=1)


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


@lru_cache(maxsize=256)
def chosen_of(query: str) -> Filter:
    return Filter.read(query)


@require_GET
def rules(request: HttpRequest) -> HttpResponse:
    chosen = chosen_of(request.META.get("QUERY_STRING", ""))
    wanted = chosen.wanted
    context = {
        "page": "rules",
        "key": "" if wanted.error else chosen.query(),
        "chosen": chosen,
        "error": wanted.error or matching.complaint(lambda: _matching(chosen)),
        "states": [(name, word, chosen.query(state=name, page=1)) for name, word in STATES.items()],
        "views": saved_views.of(person(request), "rules"),
        "saving": chosen.query(page=1),
    }
    return render(request, "rules/index.html", context)


@fragment("rules", "rules/_table.html", topics=("rule", "incident"), every_s=5)
def listed(argument: str) -> Context:
    chosen, now = chosen_of(argument), timezone.now()
    try:
        found = _matching(chosen)
    except MatcherError as error:
        return {"chosen": chosen, "error": str(error)}
    ordered = _ordered(found, chosen.state, now)
    pages = Paginator(ordered, PER_PAGE)
    shown = pages.get_page(chosen.page)
    wanted = [row.rule.pk for row in shown.object_list]
    full = Rule.objects.select_related("status", "service", "source").in_bulk(wanted)
    return {
        "rows": [_row(full[row.rule.pk], row.firing, row.pending, now) for row in shown.object_list],
        "shown": shown,
        "pages": pages,
        "chosen": chosen,
        "later": chosen.query(page=shown.number + 1),
        "earlier": chosen.query(page=shown.number - 1),
        "any": bool(ordered) or Rule.objects.exists(),
    }


def _matching(chosen: Filter) -> QuerySet[Rule]:
    wanted = chosen.wanted
    if wanted.error:
        raise MatcherError(wanted.error)
    return matching.narrowed(Rule.objects.all(), wanted, LABELS)


def _ordered(found: QuerySet[Rule], state: str, now: datetime) -> list[RuleRow]:
    """All that fit, what needs eyes first, then by name; with no more read of each than its state follows from."""
    firing, pending = Q(state=IncidentState.FIRING), Q(state=IncidentState.PENDING)
    counted = Incident.objects.filter(firing | pending).values("rule_id").order_by()
    opened = {row["rule_id"]: row for row in counted.annotate(f=Count("pk", firing), p=Count("pk", pending))}
    none = {"f": 0, "p": 0}
    read = found.select_related("status").only(*JUDGED_BY)
    rows = [_row(rule, opened.get(rule.pk, none)["f"], opened.get(rule.pk, none)["p"], now) for rule in read]
    return sorted((row for row in rows if state in ("", row.state)), key=_urgency)


def standing(rule: Rule, now: datetime) -> RuleRow:
    """One rule as its line in the list."""
    firing, pending = Q(state=IncidentState.FIRING), Q(state=IncidentState.PENDING)
    opened = Incident.objects.filter(firing | pending, rule=rule).order_by()
    counts = opened.aggregate(f=Count("pk", firing), p=Count("pk", pending))
    return _row(rule, counts["f"], counts["p"], now)


def _urgency(row: RuleRow) -> tuple[int, str]:
    """What needs eyes first, then by name."""
    return (*health.ORDER, "disabled").index(row.state), row.rule.name


def _row(rule: Rule, firing: int, pending: int, now: datetime) -> RuleRow:
    return RuleRow(
        rule=rule,
        status=getattr(rule, "status", None) or RuleStatus(rule=rule),  # not evaluated yet
        firing=firing,
        pending=pending,
        blind=health.blindness(rule, now) if rule.enabled else "",
    )
