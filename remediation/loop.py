"""The loop, as a table of contents: observe, detect, decide, act, verify.

Each function rereads the row it is about and may be called at any time, by a doorbell or by the sweep.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from remediation import breakers, conf, deciding, episodes, repair, sealing, storms, trust, turn
from remediation.doorbell import ring
from remediation.exceptions import ConfigurationError, ObserveError
from remediation.judging import asking
from remediation.models import Alert, Heartbeat, Incident, Prepared, Remediation, Rule, RuleStatus, Source
from remediation.models.source import SourceStatus
from remediation.observe import alerts
from remediation.observe.clients import client_for, note_failure
from remediation.states import REMEDIATION_LIVE, IncidentState, RemediationState

log = logging.getLogger(__name__)

_trusted_at = trust.BEGINNING

_fingerprints = Prepared(
    lambda given: Alert.objects.filter(pk__in=given("pks")).order_by().values_list("fingerprint", flat=True)
)
_alert_rules = Prepared(
    lambda given: (
        Rule.objects.select_related("source", "service")
        .filter(source=given("source"), enabled=True, source__enabled=True, detector="firing_alert")
        .order_by("pk")
    )
)
_incident = Prepared(
    lambda given: Incident.objects.select_related("rule__source", "rule_version", "service").filter(pk=given("pk"))
)
_whole_remediation = Prepared(
    lambda given: Remediation.objects.select_related(
        "incident__rule__source", "incident__rule_version", "incident__service", "step", "playbook"
    ).filter(pk=given("pk"))
)


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
        lease = turn.lease(now)
        due = turn.claim_slot(group, slot, lease, now=now)
        done += len(due)
        turn.evaluate(due, lease, now=began)
        for one in due:
            if one.rule.detector == "firing_alert" and RuleStatus.objects.filter(rule=one.rule, waiting=True).exists():
                turn.alerts_came(one.rule, None)
    return done


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


def alerts_arrived(source_id: int, alert_ids: Sequence[int] = ()) -> None:
    """Detect at once: these alerts of a source (none named: all) are judged out of the rules' turn."""
    names: frozenset[str] | None = None
    if alert_ids:
        names = frozenset(_fingerprints.all(pks=list(alert_ids)))
    for rule in _alert_rules.all(source=source_id):
        turn.alerts_came(rule, names)


def reconcile(incident_id: int, *, now: datetime | None = None) -> None:
    """Decide: look at one incident as it is and do the next thing, whatever rang."""
    now = now or timezone.now()
    incident = _incident.first(pk=incident_id)
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
    return _whole_remediation.first(pk=pk)


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


def _hold(now: datetime) -> None:
    """What holds automation moves on before anything is rung for. Whatever breaks here stops nothing else: a storm or
    a breaker that is not ended in time holds, and the guard against storms says no when nobody looks for them."""
    for move in (storms.look, breakers.rest):
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
