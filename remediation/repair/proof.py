"""After the effect: only the metrics can say that the fault is gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from django.db import transaction

from remediation import conf
from remediation.condition import ask
from remediation.doorbell import ring_after_commit
from remediation.models import Remediation, change
from remediation.repair.timing import again_at
from remediation.states import RemediationState as R
from remediation.verify.recovery import Judgement, judge


def verify(row: Remediation, *, now: datetime) -> None:
    """One look at the condition, then judge all looks so far."""
    source = row.incident.rule.source
    if not again_at(row, timedelta(seconds=source.timeout_s + conf.VERIFY_EVERY_S), now=now):
        return
    if row.effect_ended_at is None or row.effect_ended_at > now + timedelta(seconds=1):
        # A clock that was set back: what is seen from now on is certainly from after the effect.
        row.effect_ended_at = now
        Remediation.objects.filter(pk=row.pk, state=R.VERIFYING).update(effect_ended_at=now)
    asked = row.plan["verify"]
    effect_at = row.effect_ended_at.timestamp() + float(asked["settle_s"])
    look = ask(row.incident, now=now)
    # A source scrapes about four times within the age at which its samples are stale: each look sees another sample.
    again = now + timedelta(seconds=max(conf.VERIFY_EVERY_S, source.stale_after_s / 4))
    with transaction.atomic():
        seen = Remediation.objects.select_for_update().get(pk=row.pk)
        if seen.state != R.VERIFYING:
            return
        rows = sorted([*seen.checks, look.as_row(effect_at=effect_at)], key=itemgetter("at"))
        reach_s = max(float(one.get("reach_s", 0.0)) for one in rows)
        deadline = effect_at + reach_s + float(asked["within_s"])
        judgement = judge(rows, needed=int(asked["good_samples"]), deadline=deadline, now=now.timestamp())
        if judgement.state is None:
            Remediation.objects.filter(pk=row.pk).update(checks=rows, reason=judgement.reason, due_at=again)
        else:
            _conclude(seen, judgement, rows, now=now)


def _conclude(row: Remediation, judgement: Judgement, rows: list[dict[str, Any]], *, now: datetime) -> None:
    assert judgement.state is not None  # noqa: S101 - the caller checked it
    facts = {"good": judgement.good, "looks": len(rows)}
    if change(row, judgement.state, now=now, reason=judgement.reason, facts=facts, checks=rows):
        ring_after_commit("reconcile", incident_id=row.incident_id)
