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
from remediation.repair import around, undo
from remediation.repair.asking import look_at
from remediation.repair.timing import again_at
from remediation.states import RemediationState as R
from remediation.verify.recovery import Judgement, judge


def verify(row: Remediation, *, now: datetime) -> None:
    """One look at the condition, at what else has to hold and at what stands around, then judge all looks so far."""
    source = row.incident.rule.source
    if not again_at(row, timedelta(seconds=source.timeout_s + conf.VERIFY_EVERY_S), now=now):
        return
    if row.effect_ended_at is None or row.effect_ended_at > now + timedelta(seconds=1):
        # A clock that was set back: what is seen from now on is certainly from after the effect.
        row.effect_ended_at = now
        Remediation.objects.filter(pk=row.pk, state=R.VERIFYING).update(effect_ended_at=now)
    asked = row.plan["verify"]
    effect_at = row.effect_ended_at.timestamp() + float(asked["settle_s"])
    further = [look_at(source, one, now=now) for one in asked.get("queries") or []]
    look = ask(row.incident, now=now).joined_by(further).as_row(effect_at=effect_at)
    look |= {"turned": turned} if (turned := around.turned(row, effect_at=effect_at)) else {}
    # A source scrapes about four times within the age at which its samples are stale: each look sees another sample.
    again = now + timedelta(seconds=max(conf.VERIFY_EVERY_S, source.stale_after_s / 4))
    with transaction.atomic():
        seen = Remediation.objects.select_for_update().get(pk=row.pk)
        if seen.state != R.VERIFYING:
            return
        rows = sorted([*seen.checks, look], key=itemgetter("at"))
        judgement = _judge(seen, rows, effect_at=effect_at, now=now)
        if judgement.state is None:
            Remediation.objects.filter(pk=row.pk).update(checks=rows, reason=judgement.reason, due_at=again)
        else:
            _conclude(seen, judgement, rows, now=now)


def _judge(row: Remediation, rows: list[dict[str, Any]], *, effect_at: float, now: datetime) -> Judgement:
    asked = row.plan["verify"]
    turned = around.lasting([one.get("turned", []) for one in rows])
    if turned:
        return Judgement(state=R.WORSENED, good=0, reason=f"turned bad after the effect: {turned}")
    reach_s = max(float(one.get("reach_s", 0.0)) for one in rows)
    return judge(
        rows,
        needed=int(asked["good_samples"]),
        deadline=effect_at + reach_s + float(asked["within_s"]),
        now=now.timestamp(),
        score_before=row.before_effect.get("score"),
    )


def _conclude(row: Remediation, judgement: Judgement, rows: list[dict[str, Any]], *, now: datetime) -> None:
    assert judgement.state is not None  # noqa: S101 - the caller checked it
    facts = {"good": judgement.good, "looks": len(rows)}
    collateral = rows[-1].get("turned", []) if judgement.state == R.WORSENED else []
    seen: dict[str, Any] = {"checks": rows, "collateral": collateral}
    if not change(row, judgement.state, now=now, reason=judgement.reason, facts=facts, **seen):
        return
    if judgement.state == R.WORSENED and undo.begin(row, now=now):
        return
    ring_after_commit("reconcile", incident_id=row.incident_id)
