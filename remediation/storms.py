"""Storms: so much went bad at once that the observer is the likelier fault. Found and ended here; the guard reads the
row, and holds.

Looked for by the sweep, a few statements every LOOK_EVERY_S whatever the number of series: the rules' own counts say
how much is not well, and only where that rose since the last look, far enough for a storm, are series counted. What was
not well before a storm is no part of it, so one ends when its source has been about as well as before for a while.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, Sum

from remediation import conf
from remediation.models import Heartbeat, Incident, Rule, RuleStatus, SeriesState, Service, Source, Storm, record
from remediation.states import IncidentState, Phase, Verdict

LOOK_EVERY_S = 5.0
STAGE = "storms"


@dataclass(frozen=True, kw_only=True)
class Weather:
    """How a source is. series and ill (bad or unknown): by its rules' own counts; hit: its services with an incident
    that fires, fresh: those of them where one began to within the window."""

    source_id: int
    series: int = 0
    ill: int = 0
    services: int = 0
    hit: int = 0
    fresh: int = 0

    def much(self, *, ill_before: int = 0, hit_before: int = 0) -> bool:
        """Whether far more is ill than was before."""
        return _much(self.ill - ill_before, self.series, least=conf.STORM_LEAST) or _much(
            self.hit - hit_before, self.services, least=conf.STORM_SERVICES
        )


def _much(count: int, of: int, *, least: int) -> bool:
    return count >= least and count > conf.STORM_SHARE * of


def look(*, now: datetime, at_once: bool = False) -> None:
    """Begin, prolong and end storms. Called at every sweep; looks when it is time to, whoever calls. at_once: so much
    was just seen to go bad that this cannot wait."""
    last = _seen() if at_once else _claim(now)
    if last is None:
        return
    seen: dict[str, int] = last.get("not_well", {})
    open_ones = {storm.source_id: storm for storm in Storm.objects.filter(ended_at=None).select_related("source")}
    found = _weather(now)
    for weather in found:
        storm = open_ones.get(weather.source_id)
        if storm is not None:
            _follow(storm, weather, now=now)
        elif weather.much():
            _perhaps(weather, rose=weather.ill > seen.get(str(weather.source_id), 0), now=now)
    for storm in open_ones.values():
        if storm.source_id not in {weather.source_id for weather in found}:
            _follow(storm, Weather(source_id=storm.source_id), now=now)
    ill = {str(weather.source_id): weather.ill for weather in found if weather.ill}
    Heartbeat.objects.filter(stage=STAGE).update(detail={"not_well": ill} if ill else {})


def _claim(now: datetime) -> dict[str, Any] | None:
    """What the last look saw; None when it is not time yet. A row says so, for there may be many who sweep; a last look
    that lies ahead was written by a clock that has since been set back."""
    row, new = Heartbeat.objects.get_or_create(stage=STAGE, defaults={"at": now, "every_s": LOOK_EVERY_S})
    if new:
        return {}
    due = Q(at__lte=now - timedelta(seconds=LOOK_EVERY_S)) | Q(at__gt=now)
    if not Heartbeat.objects.filter(due, stage=STAGE).update(at=now, every_s=LOOK_EVERY_S):
        return None
    return dict(row.detail)


def _seen() -> dict[str, Any]:
    return dict(Heartbeat.objects.filter(stage=STAGE).values_list("detail", flat=True).first() or {})


def _weather(now: datetime) -> list[Weather]:
    """Of every source that has rules."""
    counts = RuleStatus.objects.filter(rule__enabled=True, rule__source__enabled=True).values("rule__source")
    sums = counts.annotate(total=Sum("series"), ill=Sum("bad") + Sum("unknown")).order_by()
    found = {
        row["rule__source"]: Weather(source_id=row["rule__source"], series=row["total"] or 0, ill=row["ill"] or 0)
        for row in sums
    }
    fired_after = now - timedelta(seconds=conf.STORM_WITHIN_S)
    firing = Incident.objects.filter(state=IncidentState.FIRING, service__isnull=False).values("rule__source")
    services = Count("service", distinct=True)
    hits = firing.annotate(hit=services, fresh=Count("service", distinct=True, filter=Q(fired_at__gt=fired_after)))
    for row in hits.order_by():
        one = found.get(row["rule__source"])
        if one is not None and row["hit"] >= conf.STORM_SERVICES:
            watched = _services_of(one.source_id)
            found[one.source_id] = replace(one, services=watched, hit=row["hit"], fresh=row["fresh"])
    return list(found.values())


def _services_of(source_id: int) -> int:
    """How many services a source watches. A rule without one may be about any of them."""
    rules = Rule.objects.filter(source=source_id, enabled=True)
    if rules.filter(service=None).exists():
        return Service.objects.count()
    return rules.values("service").distinct().count()


def _perhaps(weather: Weather, *, rose: bool, now: datetime) -> None:
    """Much is ill: a storm when it became so within the window."""
    if _much(weather.fresh, weather.services, least=conf.STORM_SERVICES):
        reason = f"{weather.fresh} of {weather.services} services began to fire within {conf.STORM_WITHIN_S:.0f} s"
        _begin(weather, reason, turned=0, now=now)
        return
    if not (rose and _much(weather.ill, weather.series, least=conf.STORM_LEAST)):
        return
    turned, known = _turned(weather.source_id, now=now)
    if _much(turned, known, least=conf.STORM_LEAST):
        reason = f"{turned} of {known} series went bad or unknown within {conf.STORM_WITHIN_S:.0f} s"
        _begin(weather, reason, turned=turned, now=now)


def _turned(source_id: int, *, now: datetime) -> tuple[int, int]:
    """How many of a source's series went bad or unknown within the window, and how many there are that were ever
    judged: one that was not has not turned either."""
    rows = SeriesState.objects.filter(rule__source=source_id, rule__enabled=True).exclude(phase=Phase.UNKNOWN)
    after = now.timestamp() - conf.STORM_WITHIN_S
    ill = Q(verdict__in=(Verdict.BAD, Verdict.UNKNOWN), verdict_since__gt=after)
    counts = rows.aggregate(known=Count("pk"), turned=Count("pk", filter=ill))
    return counts["turned"], counts["known"]


def _begin(weather: Weather, reason: str, *, turned: int, now: datetime) -> None:
    numbers = {
        "series": weather.series,
        "turned": turned,
        "services": weather.services,
        "ill_before": weather.ill - turned,
        "hit_before": weather.hit - weather.fresh,
    }
    try:
        with transaction.atomic():
            source = Source.objects.get(pk=weather.source_id)
            storm = Storm.objects.create(source=source, began_at=now, last_at=now, reason=reason, numbers=numbers)
            record(storm, "began", now=now, reason=f"{source}: {reason}; automation holds", facts=numbers)
    except IntegrityError:
        return  # another sweep was quicker


def _follow(storm: Storm, weather: Weather, *, now: datetime) -> None:
    """Note that it goes on, or that it has been calm for long enough."""
    before = {name: int(storm.numbers.get(name, 0)) for name in ("ill_before", "hit_before")}
    mine = Storm.objects.filter(pk=storm.pk, ended_at=None)
    if weather.much(**before) or storm.last_at > now:  # the latter: by a clock that has since been set back
        mine.update(last_at=now)
    elif now - storm.last_at >= timedelta(seconds=conf.STORM_CALM_S):
        with transaction.atomic():
            if mine.update(ended_at=now):
                reason = f"calm for {(now - storm.last_at).total_seconds():.0f} s; automation goes on"
                record(storm, "ended", now=now, reason=reason)
