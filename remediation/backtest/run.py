"""A backtest from beginning to end: ask, judge, follow, simulate, sum up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from remediation.backtest.asking import Asking
from remediation.backtest.outcome import Episode, Replayed, Result, SeriesSum
from remediation.backtest.record import ServiceRecord
from remediation.backtest.replay import Waits, replay
from remediation.backtest.simulate import Simulation
from remediation.backtest.slots import slots_between
from remediation.decide.match import choose_playbook, service_of
from remediation.models import Incident, Playbook, Rule, Service
from remediation.observe.clients import client_for
from remediation.observe.window import Client

LISTED = 400
"""Episodes in a result; further ones are only counted."""
SERIES_LISTED = 100


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked: a rule (saved, or edited and never saved), a range in seconds since the epoch, a playbook."""

    rule: Rule
    start: float
    end: float
    playbook: Playbook | None = None


def edited(rule: Rule, changes: dict[str, Any]) -> Rule:
    """The rule with these fields instead; not to be saved. Keeps its number, and so its slots."""
    copy = Rule(pk=rule.pk, version=rule.version, enabled=rule.enabled, **(rule.body() | changes))
    copy.source = rule.source if copy.source_id == rule.source_id else copy.source
    return copy


def fitting_playbook(rule: Rule) -> Playbook | None:
    """The playbook that serves the incidents of a rule, as far as its own labels tell."""
    labels = {"alertname": rule.name, **rule.labels, "severity": rule.severity}
    service = rule.service or service_of(labels, Service.objects.all())
    if service is not None:
        labels |= {"service": service.name} | ({"team": service.team} if service.team else {})
    enabled = Playbook.objects.filter(enabled=True).order_by("-priority", "pk")
    return choose_playbook(Incident(labels=labels), enabled).playbook


def run(
    plan: Plan,
    *,
    client: Client | None = None,
    progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Result:
    """Raises ObserveError, ConfigurationError, replay.Cancelled."""
    rule = plan.rule
    asking = Asking(rule)
    slots = slots_between(interval_s=float(rule.interval_s), offset_s=rule.offset_s, start=plan.start, end=plan.end)
    replayed = replay(
        asking.moments(client or client_for(rule.source), slots),
        asking.judge,
        Waits(for_s=float(rule.for_s), keep_firing_for_s=float(rule.keep_firing_for_s)),
        count=slots.count,
        progress=progress,
        cancelled=cancelled,
    )
    return summed(plan, replayed, asking)


def summed(plan: Plan, replayed: Replayed, asking: Asking) -> Result:
    fired = [one for one in replayed.episodes if one.firing_at is not None]
    alone = _ended_alone(plan, fired)
    half, most = _half_and_most(alone)
    simulated = None
    if plan.playbook is not None:
        simulation = Simulation(plan.rule, plan.playbook, start=replayed.start, end=replayed.end)
        simulated = simulation.run(replayed.episodes)
    return Result(
        start=replayed.start,
        end=replayed.end,
        evaluations=replayed.evaluations,
        series=replayed.series,
        fired=len(fired),
        pending=len(replayed.episodes) - len(fired),
        firing_s=sum(one.lasted_s(replayed.end) for one in fired),
        unknown_s=sum(one.unknown_s for one in replayed.sums),
        open_at_end=sum(one.ended_at is None for one in fired),
        ended_alone=len(alone),
        half_within_s=half,
        most_within_s=most,
        episodes=_listed(replayed.episodes),
        sums=_loudest(replayed.sums),
        left_out=max(0, len(replayed.episodes) - LISTED),
        simulated=simulated,
        notes=tuple(_notes(replayed, asking)),
    )


def _listed(episodes: tuple[Episode, ...]) -> tuple[Episode, ...]:
    """Those that fired before those that did not, as many as are listed, in the order of time."""
    chosen = sorted(episodes, key=lambda one: one.firing_at is None)[:LISTED]
    return tuple(sorted(chosen, key=lambda one: (one.pending_at, one.fingerprint)))


def _loudest(sums: tuple[SeriesSum, ...]) -> tuple[SeriesSum, ...]:
    return sums[:SERIES_LISTED]


def _ended_alone(plan: Plan, fired: Iterable[Episode]) -> list[float]:
    """How long the firing episodes lasted that ended although nothing is recorded to have been done meanwhile."""
    services = list(Service.objects.all())
    records: dict[int | None, ServiceRecord] = {}
    found: list[float] = []
    for one in fired:
        if one.ended_at is None or one.firing_at is None:
            continue
        service = plan.rule.service or service_of({**one.labels, **plan.rule.labels}, services)
        key = service.pk if service else None
        record = records.setdefault(key, ServiceRecord(plan.rule, service, start=plan.start, end=plan.end))
        if not record.touched(one.pending_at, one.ended_at):
            found.append(one.ended_at - one.firing_at)
    return found


def _half_and_most(spans: list[float]) -> tuple[float | None, float | None]:
    """Median and ninth decile."""
    if not spans:
        return None, None
    if len(spans) == 1:
        return spans[0], spans[0]
    cuts = quantiles(spans, n=10, method="inclusive")
    return cuts[4], cuts[8]


def _notes(replayed: Replayed, asking: Asking) -> Iterator[str]:
    if any(one.began_before for one in replayed.episodes):
        yield "Some series were bad when the range began: their faults are older than that."
    if not replayed.series:
        yield "No series had a sample in this range."
    if asking.asks_alerts:
        yield (
            "Judged by what Prometheus recorded in ALERTS. Alerts that came by webhook from elsewhere are not in it, "
            "and external labels are missing from the series."
        )
