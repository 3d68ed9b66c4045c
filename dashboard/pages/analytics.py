"""Analytics: how fast, how well and how noisily, over weeks. The database counts; the page says on how many cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dashboard.pages.columns import Chart, chart, round_count, round_span, trend
from dashboard.pages.playbooks import Bar
from dashboard.pages.words import number, span, state_word
from remediation import analytics as record
from remediation.analytics import Measure, RuleNoise, Scope, ServiceTimes, Spread, Times, VerbRecord
from remediation.elapsed import first_day, week_of
from remediation.models import Incident, Service
from remediation.states import Autonomy

WEEKS = (4, 12, 26, 52)
USUAL = 12
FEW = 10
"""With fewer cases the nine-in-ten is the longest one, and a share may be anything: the page says so."""

MEASURES = {
    Measure.DETECT: (gettext_lazy("Time to detect"), gettext_lazy("from the first bad sample seen to firing")),
    Measure.ACKNOWLEDGE: (gettext_lazy("Time to acknowledge"), gettext_lazy("from firing to “Acknowledge”")),
    Measure.RECOVER: (gettext_lazy("Time to recover"), gettext_lazy("from firing to resolved, by whatever")),
}
TONES = {Autonomy.SHADOW: "is-off", Autonomy.APPROVE: "is-person", Autonomy.AUTO: "is-repairing"}


@dataclass(frozen=True, kw_only=True)
class Told:
    """A spread as the page says it; spread None: there was no case."""

    spread: Spread | None

    @property
    def few(self) -> bool:
        return self.spread is not None and self.spread.n < FEW


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One measure: all of it, its picture by week, and the table behind. rows: (Monday, what it took)."""

    name: str
    label: str
    meaning: str
    told: Told
    chart: Chart
    rows: Sequence[tuple[str, Told]]


@dataclass(frozen=True, kw_only=True)
class ServiceRow:
    of: ServiceTimes
    told: Sequence[Told]


@dataclass(frozen=True, kw_only=True)
class Interval(Bar):
    @property
    def range(self) -> str:
        """Where the true share lies, with 95 % confidence."""
        return _("{low} to {high}").format(low=f"{self.share.low:.0%}", high=f"{self.share.high:.0%}")


@dataclass(frozen=True, kw_only=True)
class VerbRow:
    of: VerbRecord
    ours: Interval
    alone: Interval

    @property
    def few(self) -> bool:
        return min(self.of.lift.ours.n, self.of.lift.alone.n) < FEW


@dataclass(frozen=True, kw_only=True)
class NoiseRow:
    """parts: the bar of what became of it, as (class, place and width in per cent)."""

    of: RuleNoise
    by_itself: Interval
    parts: Sequence[tuple[str, float, float]]


def analytics(request: HttpRequest) -> HttpResponse:
    scope, weeks = scope_of(request, now=timezone.now())
    times, verbs, noise = record.times(scope), record.verbs(scope), record.noise(scope)
    problems, plans = record.repeats(scope), record.plans_by_week(scope)
    empty = not (times.fired or verbs or noise or problems or plans)
    shown = range(week_of(scope.since.date()), week_of(scope.until.date()) + 1)
    context: dict[str, Any] = {
        "page": "analytics",
        "scope": scope,
        "weeks": weeks,
        "now": scope.until,
        "empty": empty,
        "last": Incident.objects.exclude(fired_at=None).order_by("-fired_at").first() if empty else None,
        **_choices(scope, weeks),
    }
    if not empty:
        context |= {
            "times": times,
            "panels": [_panel(measure, times, shown) for measure in Measure],
            "services": [_service_row(one) for one in times.services],
            "verbs": [_verb_row(one) for one in verbs],
            "noise": [noise_row(one) for one in noise],
            "problems": [(one, trend(one.trend), max(one.trend, default=0)) for one in problems],
            "autonomy": _autonomy(plans, shown) if plans else None,
            "changes": [(name, line) for line, name in record.autonomy_changes(scope)],
            "few": FEW,
        }
    return render(request, "analytics/index.html", context)


def scope_of(request: HttpRequest, *, now: datetime) -> tuple[Scope, int]:
    """The period, service and team of the address, and the number of weeks. Nonsense is taken for the usual."""
    asked = request.GET.get("weeks", "")
    weeks = int(asked) if asked in map(str, WEEKS) else USUAL
    service, team = (request.GET.get(name, "").replace("\x00", "")[:100] for name in ("service", "team"))
    return Scope(since=since_of(weeks, now), until=now, service=service, team=team), weeks


def since_of(weeks: int, now: datetime) -> datetime:
    """The Monday on which so many weeks began, the present one counted."""
    monday = first_day(week_of(now.astimezone(UTC).date()) - weeks + 1)
    return datetime.combine(monday, time.min, tzinfo=UTC)


def _choices(scope: Scope, weeks: int) -> dict[str, Any]:
    known = list(Service.objects.values_list("name", "title", "team"))
    return {
        "choices": [(one, one == weeks) for one in WEEKS],
        "known_services": [(name, title or name) for name, title, _team in known],
        "known_teams": sorted({team for _name, _title, team in known if team}),
        "unknown_service": bool(scope.service) and scope.service not in {name for name, *_rest in known},
    }


# --- how fast ---------------------------------------------------------------------------------------------------------


def _panel(measure: Measure, times: Times, shown: range) -> Panel:
    label, meaning = MEASURES[measure]
    by_week = [(first_day(week).isoformat(), times.weeks.get(week, {}).get(measure)) for week in shown]
    most = round_span(max((spread.p90 for _week, spread in by_week if spread), default=1))
    slots = [(day[5:], _title(day, spread), _two(spread)) for day, spread in by_week]
    return Panel(
        name=measure,
        label=str(label),
        meaning=str(meaning),
        told=Told(spread=times.all.get(measure)),
        chart=chart(slots, most=most, say=span, stacked=False),
        rows=[(day, Told(spread=spread)) for day, spread in by_week],
    )


def _two(spread: Spread | None) -> list[tuple[str, float]]:
    return [("is-p90", spread.p90), ("is-p50", spread.p50)] if spread else []


def _title(day: str, spread: Spread | None) -> str:
    if spread is None:
        return _("Week of %(day)s: no case") % {"day": day}
    text = ngettext(
        "Week of %(day)s: half within %(p50)s, nine in ten within %(p90)s, of %(n)d",
        "Week of %(day)s: half within %(p50)s, nine in ten within %(p90)s, of %(n)d",
        spread.n,
    )
    return text % {"day": day, "p50": span(spread.p50), "p90": span(spread.p90), "n": spread.n}


def _service_row(one: ServiceTimes) -> ServiceRow:
    return ServiceRow(of=one, told=[Told(spread=one.times.get(measure)) for measure in Measure])


# --- how well, how noisy ----------------------------------------------------------------------------------------------


def _verb_row(one: VerbRecord) -> VerbRow:
    ours, alone = one.lift.ours, one.lift.alone
    return VerbRow(of=one, ours=Interval(share=ours), alone=Interval(share=alone))


def noise_row(one: RuleNoise) -> NoiseRow:
    """One rule with its bar."""
    counts = (("is-acted", one.acted), ("is-person", one.person), ("is-alone", one.alone), ("is-open", one.still_open))
    parts, at = [], 0.0
    for tone, count in counts:
        width = 100 * count / one.fired if one.fired else 0.0
        parts.append((tone, round(at, 2), round(width, 2)))
        at += width
    by_itself = Interval(share=one.by_itself)
    return NoiseRow(of=one, by_itself=by_itself, parts=[part for part in parts if part[2]])


# --- how much alone ---------------------------------------------------------------------------------------------------


def _autonomy(plans: Mapping[int, Mapping[Autonomy, int]], shown: range) -> dict[str, Any]:
    rows = [(first_day(week).isoformat(), [plans.get(week, {}).get(one, 0) for one in Autonomy]) for week in shown]
    most = round_count(max((sum(counts) for _day, counts in rows), default=1))
    slots = [
        (day[5:], _plans_title(day, counts), list(zip(TONES.values(), map(float, counts), strict=True)))
        for day, counts in rows
    ]
    names = [(state_word(f"autonomy {one}"), TONES[one]) for one in Autonomy]
    return {"chart": chart(slots, most=most, say=number, stacked=True), "rows": rows, "names": names}


def _plans_title(day: str, counts: Sequence[int]) -> str:
    said = ", ".join(f"{state_word(f'autonomy {one}')} {count}" for one, count in zip(Autonomy, counts, strict=True))
    return _("Week of %(day)s: %(counts)s") % {"day": day, "counts": said}
