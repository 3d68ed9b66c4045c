"""The loop, as a table of contents: observe, detect, decide, act, verify.

Each function rereads the row it is about and may be called at any time, by a doorbell or by the sweep.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from remediation import condition, conf, deciding, episodes, repair
from remediation.detect.base import Verdicts
from remediation.doorbell import ring
from remediation.exceptions import ConfigurationError, ObserveError
from remediation.judging import asking
from remediation.models import Heartbeat, Incident, Remediation, Rule, RuleStatus, Source, record
from remediation.models.source import SourceStatus
from remediation.observe import alerts
from remediation.observe.clients import client_for, note_failure
from remediation.signals import evaluated
from remediation.standings import Tally
from remediation.states import REMEDIATION_LIVE, IncidentState, RemediationState

log = logging.getLogger(__name__)


def evaluate(rule_id: int, *, now: datetime | None = None) -> bool:
    """Observe and detect: ask one rule's question once in its slot. False when the slot was taken already."""
    now = now or timezone.now()
    rule = (
        Rule.objects.select_related("source", "service").filter(pk=rule_id, enabled=True, source__enabled=True).first()
    )
    lease = now + timedelta(seconds=conf.EVALUATION_LEASE_S)
    if rule is None or not _claim_slot(rule, lease, now=now):
        return False
    # Judged at the slot's own time, as Prometheus does: a message that came some milliseconds earlier than the one
    # before must not make `for` last an interval longer.
    _evaluate(rule, lease, now=rule.slot_began(now))
    return True


def _claim_slot(rule: Rule, lease: datetime, *, now: datetime) -> bool:
    """Take the current slot by compare-and-set. A slot whose predecessor still runs is an overrun."""
    slot = rule.slot(now.timestamp())
    # A slot far ahead is one that a clock, since set back, once saw: it must not keep the rule waiting until then.
    mine = RuleStatus.objects.filter(Q(slot__lt=slot) | Q(slot__gt=slot + 2), rule=rule)
    free = _free(now)
    if mine.filter(free).update(slot=slot, running_until=lease):
        return True
    if mine.exclude(free).update(overruns=F("overruns") + 1, slot=slot):
        return False
    if RuleStatus.objects.filter(rule=rule).exists():
        return False
    _, created = RuleStatus.objects.get_or_create(rule=rule, defaults={"slot": slot, "running_until": lease})
    return created


def _free(now: datetime) -> Q:
    """Nobody is at the rule: never, no longer, or by a lease that reaches further ahead than leases do."""
    lease = timedelta(seconds=conf.EVALUATION_LEASE_S)
    return Q(running_until=None) | Q(running_until__lte=now) | Q(running_until__gt=now + 2 * lease)


def _evaluate(rule: Rule, lease: datetime, *, now: datetime) -> None:
    """Judge, take in, and write how it went. Whatever breaks is the rule's error, and its lease ends with this."""
    started = time.perf_counter()
    verdicts, error = _judge(rule, now=now)
    mine = RuleStatus.objects.filter(rule=rule, running_until=lease)
    before = mine.first()
    if before is None:  # it took longer than its lease: somebody else has newer verdicts
        return
    tally = Tally(series=before.series, bad=before.bad, unknown=before.unknown, changed=False)
    try:
        tally = episodes.take_in(rule, verdicts, why_not=error, now=now)
    except Exception as problem:
        log.exception("what rule %s saw cannot be stored", rule)
        error = f"what it saw cannot be stored ({type(problem).__name__})"
    mine.update(
        running_until=None,
        evaluated_at=before.evaluated_at if error else now,
        took_ms=(time.perf_counter() - started) * 1000,
        error=error,
        error_at=now if error else None,
        series=tally.series,
        bad=tally.bad,
        unknown=tally.unknown,
    )
    _note_unknown(rule, before, tally, error=error, now=now)
    evaluated.send(Rule, rule_id=rule.pk, changed=tally.changed or error != before.error)


def _judge(rule: Rule, *, now: datetime) -> tuple[Verdicts | None, str]:
    """The verdicts, or why there are none."""
    try:
        return condition.judge(rule, now=now), ""
    except (ObserveError, ConfigurationError) as problem:
        return None, str(problem)
    except Exception as problem:
        log.exception("rule %s cannot be evaluated", rule)
        return None, condition.plain(problem)


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
        lease = now + timedelta(seconds=conf.EVALUATION_LEASE_S)
        if _claim_now(rule, lease, now=now):
            _evaluate(rule, lease, now=now)


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
    with transaction.atomic():
        Heartbeat.beat("reconcile", now=now, every_s=conf.SWEEP_S, detail={"rung": rung})
    return rung
