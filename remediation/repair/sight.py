"""Whether a source that nobody asks while all is calm answers now: the guard against stale telemetry wants to know.

Rules on samples ask their source at each turn. A rule on alerts reads what was stored, and where alerts are only
posted, or seldom pulled, nothing else asks: so it is asked here, before the guards are.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from remediation import registry
from remediation.exceptions import ConfigurationError, ObserveError
from remediation.judging import asking
from remediation.models import Remediation, Rule, SourceStatus
from remediation.observe.clients import client_for, note_failure

QUESTION = "vector(1)"
"""Costs nothing, and needs no series to be there."""


def freshen(row: Remediation, *, now: datetime) -> None:
    """Ask the source of a rule on alerts when its last answer is older than a turn of the rule. Never raises: what it
    came to is in the source's status, and a source that failed or was not heard of holds the remediation."""
    rule = row.incident.rule
    if not _reads_alerts(rule) or _answered(rule, now=now):
        return
    try:
        client = client_for(rule.source)
        with asking(rule.source, now=now):
            client.instant(QUESTION, at=now.timestamp())
    except ObserveError:
        return
    except ConfigurationError as error:  # its secret is missing, say
        note_failure(rule.source, str(error), now=now)


def _reads_alerts(rule: Rule) -> bool:
    found = registry.detectors().get(rule.detector)
    return found is not None and found.source == "alerts"


def _answered(rule: Rule, *, now: datetime) -> bool:
    after = now - timedelta(seconds=float(rule.interval_s))
    status = SourceStatus.objects.filter(source=rule.source_id, answered_at__gt=after, answered_at__lte=now).first()
    return status is not None and not status.failing
