"""The loop, as a table of contents: observe, detect, decide, act, verify.

Each function rereads the row it is about and may be called at any time, by a doorbell or by the sweep.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone

from remediation import breakers, conf, deciding, episodes, evaluation, repair, sealing, storms, trust
from remediation.doorbell import ring
from remediation.exceptions import ConfigurationError, ObserveError
from remediation.judging import asking
from remediation.models import Heartbeat, Incident, Remediation, Rule, RuleStatus, Source, record
from remediation.models.source import SourceStatus
from remediation.observe import alerts
from remediation.observe.clients import client_for, note_failure
from remediation.signals import evaluated
from remediation.standings import Tally, refresh_s
from remediation.states import REMEDIATION_LIVE, IncidentState, RemediationState

log = logging.getLogger(__name__)

AT_LEAST_S = 5.0
"""Seconds that an evaluation may take whatever the interval is."""
_trusted_at = trust.BEGINNING
COUNT_EVERY_S = 10.0
_counted: tuple[float, int] = (float("-inf"), 0)
"""When the series of all rules were counted, and how many there were."""


def evaluate(rule_id: int, *, now: datetime | None = None) -> bool:
    """Observe and detect: ask one rule's question once in its slot. False when the slot was taken already."""
    return evaluate_many([rule_id], now=now) == 1


def evaluate_many(rule_ids: Sequence[int], *, now: datetime | None = None) -> int:
    """As evaluate, for many rules, in as few questions and statements as possible. Returns for how many the slot was
    still free."""
    now = now or timezone.now()
    rules = Rule.objects.select_related("source", "service")
    alike: dict[tuple[int, datetime, int], list[Rule]] = {}
    for rule in rules.filter(pk__in=rule_ids, enabled=True, source__enabled=True):
        # Judged at the slot's own time, as Prometheus does: a message that came some milliseconds earlier than the one
        # before must not make `for` last an interval longer.
        key = (rule.source_id, rule.slot_began(now), rule.slot(now.timestamp()))
        alike.setdefault(key, []).append(rule)
    done = 0
    for (_, began, slot), group in alike.items():
        lease = _lease(now)
        due = _claim_slot(group, slot, lease, now=now)
        done += len(due)
        _evaluate(due, lease, now=began)
    return done


def _lease(now: datetime) -> datetime:
    """Until when the rules taken now are ours. No two are the same, so that this also says whose they are."""
    return now + timedelta(seconds=conf.EVALUATION_LEASE_S, microseconds=secrets.randbelow(1_000_000))


def _claim_slot(rules: list[Rule], slot: int, lease: datetime, *, now: datetime) -> list[evaluation.Due]:
    """Take the current slot of rules by compare-and-set. A slot whose predecessor still runs is an overrun."""
    known = RuleStatus.objects.filter(rule__in=[rule.pk for rule in rules])
    # A slot far ahead is one that a clock, since set back, once saw: it must not keep the rule waiting until then.
    open_ones = known.filter(Q(slot__lt=slot) | Q(slot__gt=slot + 2))
    free = _free(now)
    taken = open_ones.filter(free).update(slot=slot, running_until=lease)
    if taken < len(rules):
        open_ones.exclude(free).update(overruns=F("overruns") + 1, slot=slot)
        have = set(known.values_list("rule_id", flat=True))
        for rule in rules:
            if rule.pk not in have:
                RuleStatus.objects.get_or_create(rule=rule, defaults={"slot": slot, "running_until": lease})
    return _ours(rules, lease, now=now)


def _ours(rules: list[Rule], lease: datetime, *, now: datetime) -> list[evaluation.Due]:
    """Those of the rules that this lease holds, with what their last evaluation came to."""
    rows = {row.rule_id: row for row in RuleStatus.objects.filter(rule__in=rules, running_until=lease)}
    before = now - timedelta(seconds=_refresh_s())
    return [
        evaluation.Due(rule=rule, status=row, look=row.looked_at is None or not before < row.looked_at <= now)
        for rule in rules
        if (row := rows.get(rule.pk)) is not None
    ]


def _refresh_s() -> float:
    """How often series that stay well are written; counted anew once in a while."""
    global _counted  # noqa: PLW0603 - one number of this process, and whichever thread writes it last is right
    at, series = _counted
    if not 0 <= time.monotonic() - at < COUNT_EVERY_S:
        series = RuleStatus.objects.filter(rule__enabled=True).aggregate(Sum("series"))["series__sum"] or 0
        _counted = (time.monotonic(), series)
    return refresh_s(series)


def _free(now: datetime) -> Q:
    """Nobody is at the rule: never, no longer, or by a lease that reaches further ahead than leases do."""
    lease = timedelta(seconds=conf.EVALUATION_LEASE_S)
    return Q(running_until=None) | Q(running_until__lte=now) | Q(running_until__gt=now + 2 * lease)


def _evaluate(due: list[evaluation.Due], lease: datetime, *, now: datetime) -> None:
    """Judge, take in, and write how it went. Whatever breaks is the rule's error, and its lease ends with this."""
    if not due:
        return
    started = time.perf_counter()
    # What does not fit into an interval is an overrun: the next slot is soon, and others wait for this thread.
    seen = evaluation.look(due, now=now, within_s=max(due[0].rule.period_s, AT_LEAST_S))
    took_ms = (time.perf_counter() - started) * 1000 / len(due)
    mine = RuleStatus.objects.filter(running_until=lease)
    unchanged = [one.rule.pk for one in due if _is_quiet(one, seen.get(one.rule.pk))]
    mine.filter(rule__in=unchanged).update(running_until=None, evaluated_at=now, took_ms=took_ms)
    missed = [one.rule.pk for one in due if one.rule.pk not in seen]
    mine.filter(rule__in=missed).update(running_until=None, overruns=F("overruns") + 1)
    for one in due:
        if one.rule.pk in seen and one.rule.pk not in unchanged:
            _take_in(one, seen[one.rule.pk], mine.filter(rule=one.rule), took_ms, now=now)


def _is_quiet(one: evaluation.Due, seen: evaluation.Seen | None) -> bool:
    return seen is not None and seen.unchanged and not one.status.error


def _take_in(
    one: evaluation.Due, seen: evaluation.Seen, mine: QuerySet[RuleStatus], took_ms: float, *, now: datetime
) -> None:
    rule, before, error = one.rule, one.status, seen.error
    if not mine.exists():  # it took longer than its lease: somebody else has newer verdicts
        return
    started = time.perf_counter()
    tally = Tally(series=before.series, bad=before.bad, unknown=before.unknown, changed=False)
    try:
        tally = episodes.take_in(rule, seen.verdicts, why_not=error, now=now, every_s=_refresh_s())
    except Exception as problem:
        log.exception("what rule %s saw cannot be stored", rule)
        error = f"what it saw cannot be stored ({type(problem).__name__})"
    mine.update(
        running_until=None,
        evaluated_at=before.evaluated_at if error else now,
        took_ms=took_ms + (time.perf_counter() - started) * 1000,
        error=error,
        error_at=now if error else None,
        series=tally.series,
        bad=tally.bad,
        unknown=tally.unknown,
        settled="" if error else tally.settled,
        looked_at=now,
    )
    _note_unknown(rule, before, tally, error=error, now=now)
    if tally.bad + tally.unknown - before.bad - before.unknown >= conf.STORM_LEAST:
        _hold(now, at_once=True)
    evaluated.send(Rule, rule_id=rule.pk, changed=tally.changed or error != before.error)


def _note_unknown(rule: Rule, before: RuleStatus, tally: Tally, *, error: str, now: datetime) -> None:
    """A line of history when a rule loses sight of its series, and when it sees them again: unknown is no fault, and
    nothing is done about it, so somebody must be able to read that."""
    if tally.unknown and not before.unknown:
        why = error or f"{tally.unknown} of {tally.series} series have no fresh sample"
        record(rule, "unknown", now=now, reason=f"{why}; unknown is not a fault, so nothing is done")
    elif before.unknown and not tally.unknown:
        record(rule, "known again", now=now, reason="fresh samples again")


def pull_alerts(source_id: int, *, now: datetime | None = None) -> None:
    """Observe: read what Prometheus says is firing."""
    now = now or timezone.now()
    source = Source.objects.filter(pk=source_id, enabled=True).first()
    if source is None:
        return
    try:
        with asking(source, now=now):
            changed = alerts.pull(source, client_for(source), now=now)
    except ObserveError:
        return  # it is in the source's status
    except ConfigurationError as error:
        note_failure(source, str(error), now=now)
        return
    SourceStatus.objects.filter(source=source).update(alerts_pulled_at=now)
    if changed:
        alerts_arrived(source_id)


def alerts_arrived(source_id: int) -> None:
    """Detect at once: the alert rules of a source are evaluated out of their turn. One that is being evaluated this
    moment sees what came in at its next slot."""
    now = timezone.now()
    rules = Rule.objects.select_related("source", "service").filter(
        source_id=source_id, enabled=True, source__enabled=True, detector="firing_alert"
    )
    for rule in rules:
        lease = _lease(now)
        if _claim_now(rule, lease, now=now):
            _evaluate(_ours([rule], lease, now=now), lease, now=now)


def _claim_now(rule: Rule, lease: datetime, *, now: datetime) -> bool:
    """Take the rule outside its slots, unless somebody is at it this moment."""
    RuleStatus.objects.get_or_create(rule=rule)
    return bool(RuleStatus.objects.filter(_free(now), rule=rule).update(running_until=lease))


def reconcile(incident_id: int, *, now: datetime | None = None) -> None:
    """Decide: look at one incident as it is and do the next thing, whatever rang."""
    now = now or timezone.now()
    incident = Incident.objects.select_related("rule__source", "rule_version", "service").filter(pk=incident_id).first()
    if incident is None:
        return
    live = deciding.live_remediation(incident)
    if live is not None:
        advance(live.pk, now=now)
    elif incident.state == IncidentState.FIRING and not incident.needs_person:
        deciding.decide(incident, now=now)
    elif incident.state == IncidentState.RESOLVED:
        episodes.close_decision(incident, now=now)


def advance(remediation_id: int, *, now: datetime | None = None) -> None:
    """Decide and verify: move one remediation on."""
    row = _remediation(remediation_id)
    if row is not None:
        repair.advance(row, now=now or timezone.now())


def act(remediation_id: int, *, now: datetime | None = None) -> None:
    """Act: carry out one remediation that is ready."""
    row = _remediation(remediation_id)
    if row is not None:
        repair.act(row, now=now or timezone.now())


def _remediation(pk: int) -> Remediation | None:
    rows = Remediation.objects.select_related(
        "incident__rule__source", "incident__rule_version", "incident__service", "step", "playbook"
    )
    return rows.filter(pk=pk).first()


def sweep(*, now: datetime | None = None) -> int:
    """Find what no doorbell announced, or whose time has come. Returns how many were rung for."""
    now = now or timezone.now()
    _hold(now)
    # What is due further ahead than anything here ever waits was written by a clock that has since been set back.
    astray = Q(due_at__gt=now + repair.LONGEST_WAIT, state__in=repair.SHORT_WAITS)
    due = Remediation.objects.filter(Q(due_at__lte=now) | astray, state__in=REMEDIATION_LIVE).order_by("due_at")[:500]
    rung = 0
    for row in due.only("pk", "state"):
        rung += ring("advance", remediation_id=row.pk, expires_s=30)
    healed = Remediation.objects.filter(
        state__in=[RemediationState.GATED, RemediationState.AWAITING_APPROVAL], incident__state=IncidentState.RESOLVED
    )
    for pk in healed.values_list("pk", flat=True)[:500]:
        rung += ring("advance", remediation_id=pk, expires_s=30)
    waiting = Incident.objects.filter(state=IncidentState.FIRING, needs_person=False)
    waiting = waiting.filter(Q(decide_at__lte=now) | Q(decide_at__gt=now + deciding.LONGEST_WAIT))
    for pk in waiting.values_list("pk", flat=True)[:500]:
        rung += ring("reconcile", incident_id=pk, expires_s=30)
    _now_and_then(now)
    sealing.seal(now)
    with transaction.atomic():
        Heartbeat.beat("reconcile", now=now, every_s=conf.SWEEP_S, detail={"rung": rung})
    return rung


def _hold(now: datetime, *, at_once: bool = False) -> None:
    """What holds automation moves on before anything is rung for. Whatever breaks here stops nothing else: a storm or
    a breaker that is not ended in time holds, and the guard against storms says no when nobody looks for them."""
    for move in (partial(storms.look, at_once=at_once), breakers.rest):
        try:
            move(now=now)
        except Exception:
            log.exception("what holds automation cannot move on")


def _now_and_then(now: datetime) -> None:
    """What the sweep does less often. Each is safe at any time, so two workers need not agree on whose turn it is."""
    global _trusted_at  # noqa: PLW0603 - a moment of this process
    if not timedelta() <= now - _trusted_at < trust.SWEEP_EVERY:
        _trusted_at = now
        trust.sweep(now=now)
