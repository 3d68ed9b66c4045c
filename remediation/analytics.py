"""What the record says about the past weeks: how fast, how well, how noisy. Reads only; the database does the counting,
so that what comes back is as small with a million incidents as with ten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Value, Window
from django.db.models.expressions import Combinable
from django.db.models.functions import Greatest, RowNumber

from remediation.chances import Lift, Share
from remediation.elapsed import Elapsed, Week
from remediation.models import Incident, Playbook, Problem, Remediation, Service, Transition
from remediation.shadow import LASTED, UNTOUCHED
from remediation.states import Autonomy, IncidentState
from remediation.states import RemediationState as R

SHOWN = 30
"""Rows of a table: the services and rules with the most, the problems repaired last."""
CHANGES = 10


class Measure(StrEnum):
    DETECT = "detect"  # from the first bad sample that was seen to firing
    ACKNOWLEDGE = "acknowledge"  # from firing to the first person who said that they look
    RECOVER = "recover"  # from firing to resolved, whoever brought it about


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is looked at: incidents that fired, and attempts that began, from `since` until before `until`; of one
    service, of one team's services, or of all. A service or team that is not there has nothing."""

    since: datetime
    until: datetime
    service: str = ""
    team: str = ""

    def of(self, rows: QuerySet[Any], moment: str, *, service: str) -> QuerySet[Any]:
        """The rows whose `moment` lies in the period. service: the path from them to their service."""
        found = rows.filter(**{f"{moment}__gte": self.since, f"{moment}__lt": self.until}).order_by()
        if self.service:
            found = found.filter(**{f"{service}__name": self.service})
        return found.filter(**{f"{service}__team": self.team}) if self.team else found


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Of n spans of time, in seconds: half took no longer than p50, nine in ten no longer than p90 (nearest rank)."""

    n: int
    p50: float
    p90: float


Spreads = Mapping[Measure, Spread]
"""Without a measure of which there is no case."""


@dataclass(frozen=True, kw_only=True)
class ServiceTimes:
    """service None: incidents that belong to none."""

    service: Service | None
    fired: int
    times: Spreads


@dataclass(frozen=True, kw_only=True)
class Times:
    """weeks: by number (remediation/elapsed.py), those in which something fired. more: services that are left out."""

    fired: int
    still_open: int
    all: Spreads
    weeks: Mapping[int, Spreads]
    services: Sequence[ServiceTimes]
    more: int


# --- how fast ---------------------------------------------------------------------------------------------------------


def times(scope: Scope) -> Times:
    fired = scope.of(Incident.objects.all(), "fired_at", service="service")
    counts = fired.aggregate(fired=Count("pk"), still_open=Count("pk", filter=~Q(state=IncidentState.RESOLVED)))
    by_service = list(fired.values_list("service").annotate(n=Count("pk")).order_by("-n", "service")[: SHOWN + 1])
    shown = by_service[:SHOWN]
    services = Service.objects.in_bulk([pk for pk, _ in shown if pk is not None])
    of_service = _times_by(fired.filter(_one_of("service", [pk for pk, _ in shown])), "service")
    return Times(
        **counts,
        all=_times_by(fired).get(None, {}),
        weeks=_times_by(fired.annotate(week=Week("fired_at")), "week"),
        services=[
            ServiceTimes(service=services.get(pk), fired=count, times=of_service.get(pk, {})) for pk, count in shown
        ],
        more=fired.values("service").distinct().count() - len(shown) if len(by_service) > SHOWN else 0,
    )


def _one_of(field: str, wanted: Sequence[int | None]) -> Q:
    known = Q(**{f"{field}__in": [one for one in wanted if one is not None]})
    return known | Q(**{f"{field}__isnull": True}) if None in wanted else known


def _times_by(fired: QuerySet[Incident], group: str = "") -> dict[Any, dict[Measure, Spread]]:
    """By what `group` says; None is the only group without it."""
    cases: dict[Measure, tuple[QuerySet[Incident], Combinable]] = {
        Measure.DETECT: (fired, Elapsed("fired_at", "opened_at")),
        # Who acknowledged it while it was pending was quicker than the rule.
        Measure.ACKNOWLEDGE: (
            fired.filter(acknowledged_at__isnull=False),
            Greatest(Elapsed("acknowledged_at", "fired_at"), Value(0.0)),
        ),
        Measure.RECOVER: (fired.filter(resolved_at__isnull=False), Elapsed("resolved_at", "fired_at")),
    }
    found: dict[Any, dict[Measure, Spread]] = {}
    for measure, (rows, took) in cases.items():
        for key, spread in _spreads(rows, took, group).items():
            found.setdefault(key, {})[measure] = spread
    return found


def _spreads(rows: QuerySet[Incident], took: Combinable, group: str) -> dict[Any, Spread]:
    """The database puts the spans of each group in order and returns the two that stand at the percentiles."""
    partition = [F(group)] if group else None
    ordered = rows.annotate(took=took).annotate(
        place=Window(RowNumber(), partition_by=partition, order_by=[F("took"), F("pk")]),
        n=Window(Count("pk"), partition_by=partition),
    )
    at_percentile = ordered.filter(Q(place=(F("n") + 1) / 2) | Q(place=(F("n") * 9 + 9) / 10))
    found: dict[Any, dict[int, float]] = {}
    sizes: dict[Any, int] = {}
    for *key, n, place, seconds in at_percentile.values_list(*([group] if group else []), "n", "place", "took"):
        name = key[0] if key else None
        sizes[name] = n
        found.setdefault(name, {})[place] = seconds
    return {
        name: Spread(n=sizes[name], p50=places[(sizes[name] + 1) // 2], p90=places[(sizes[name] * 9 + 9) // 10])
        for name, places in found.items()
    }


# --- how well ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class VerbRecord:
    """What came of the attempts with one verb, of all playbooks. lift: verified and lasting, against what ended by
    itself where shadow watched the same verb."""

    verb: str
    attempts: int
    relapsed: int
    ineffective: int
    worsened: int
    inconclusive: int
    failed: int
    lift: Lift


def verbs(scope: Scope) -> list[VerbRecord]:
    """The most used first. Those that were only watched are here as well, without an attempt."""
    tried = scope.of(
        Remediation.objects.filter(ended_at__isnull=False), "effect_started_at", service="incident__service"
    )
    worse = Q(state__in=(R.WORSENED, R.ROLLED_BACK)) | ~Q(undone={}) | ~Q(collateral=[])
    rows = tried.values("verb").annotate(
        attempts=Count("pk"),
        lasting=Count("pk", filter=Q(state=R.VERIFIED, relapsed_at=None)),
        relapsed=Count("pk", filter=Q(relapsed_at__isnull=False)),
        worsened=Count("pk", filter=worse),
        **{str(state): Count("pk", filter=Q(state=state)) for state in (R.INEFFECTIVE, R.INCONCLUSIVE, R.FAILED)},
    )
    alone = _healed_alone(scope)
    found = [_verb_record(row, alone) for row in rows.order_by("-attempts", "verb")]
    known = {one.verb for one in found}
    return found + [_verb_record({"verb": verb}, alone) for verb in sorted(alone.keys() - known)]


def _verb_record(row: dict[str, Any], alone: Mapping[str, Share]) -> VerbRecord:
    names = ("attempts", "relapsed", "ineffective", "worsened", "inconclusive", "failed")
    counts = {name: row.get(name, 0) for name in names}
    ours = Share(hits=row.get("lasting", 0), n=counts["attempts"])
    lift = Lift(ours=ours, alone=alone.get(row["verb"], Share(hits=0, n=0)))
    return VerbRecord(verb=row["verb"], lift=lift, **counts)


def _healed_alone(scope: Scope) -> dict[str, Share]:
    """By the verb that shadow would have used."""
    watched = scope.of(Remediation.objects.filter(**UNTOUCHED), "created_at", service="incident__service")
    rows = watched.values_list("verb").annotate(
        healed=Count("pk", filter=Q(healed_at__isnull=False)), lasting=Count("pk", filter=LASTED & Q(healed_at=None))
    )
    return {verb: Share(hits=healed, n=healed + lasting) for verb, healed, lasting in rows if healed + lasting}


# --- how noisy --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RuleNoise:
    """What became of what one rule opened. Each that fired is counted once: acted (something was done to a target),
    person (somebody acknowledged or took it), alone (it ended without either), still_open. flickered: never fired."""

    rule_id: int
    name: str
    fired: int
    acted: int
    person: int
    alone: int
    still_open: int
    flickered: int

    @property
    def by_itself(self) -> Share:
        """Of those that are over."""
        return Share(hits=self.alone, n=self.fired - self.still_open)


def noise(scope: Scope, *, rule_id: int | None = None) -> list[RuleNoise]:
    """The rules that fired most; or one of them, if it opened anything."""
    effects = Remediation.objects.filter(incident=OuterRef("pk"), effect_started_at__isnull=False)
    opened = scope.of(Incident.objects.annotate(was_acted=Exists(effects)), "opened_at", service="service")
    opened = opened if rule_id is None else opened.filter(rule_id=rule_id)
    fired = Q(fired_at__isnull=False)
    over, person = Q(state=IncidentState.RESOLVED), Q(acknowledged_at__isnull=False) | Q(taken_by__isnull=False)
    rows = opened.values("rule_id", name=F("rule__name")).annotate(
        fired=Count("pk", filter=fired),
        acted=Count("pk", filter=fired & over & Q(was_acted=True)),
        person=Count("pk", filter=fired & over & Q(was_acted=False) & person),
        alone=Count("pk", filter=fired & over & Q(was_acted=False) & ~person),
        still_open=Count("pk", filter=fired & ~over),
        flickered=Count("pk", filter=~fired & over),
    )
    return [RuleNoise(**row) for row in rows.order_by("-fired", "-flickered", "name")[:SHOWN]]


def repeats(scope: Scope) -> list[Problem]:
    """Faults that one repair hides: those that are open, and those repaired in the period."""
    rows = Problem.objects.filter(Q(closed_at=None) | Q(last_at__gte=scope.since), opened_at__lt=scope.until)
    if scope.service:
        rows = rows.filter(service__name=scope.service)
    if scope.team:
        rows = rows.filter(service__team=scope.team)
    return list(rows.select_related("rule", "service", "playbook").order_by("-last_at", "-pk")[:SHOWN])


# --- how much alone ---------------------------------------------------------------------------------------------------


def plans_by_week(scope: Scope) -> dict[int, dict[Autonomy, int]]:
    """How many plans were made with which autonomy, by the number of the week."""
    made = scope.of(Remediation.objects.annotate(week=Week("created_at")), "created_at", service="incident__service")
    found: dict[int, dict[Autonomy, int]] = {}
    for week, autonomy, count in made.values_list("week", "autonomy").annotate(count=Count("pk")):
        found.setdefault(week, {})[Autonomy(autonomy)] = count
    return found


def autonomy_changes(scope: Scope) -> list[tuple[Transition, str]]:
    """The last times that a playbook was trusted more or less, with its name. Of all services: it belongs to none."""
    rows = Transition.objects.filter(
        kind="playbook", to_state__startswith="autonomy ", at__gte=scope.since, at__lt=scope.until
    )
    last = list(rows.order_by("-pk")[:CHANGES])
    names = dict(Playbook.objects.filter(pk__in=[row.object_id for row in last]).values_list("pk", "name"))
    return [(row, names.get(row.object_id, f"playbook {row.object_id}")) for row in last]
