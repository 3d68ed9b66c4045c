"""Faults that are repaired again and again, so that nobody mends them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from remediation.exceptions import Conflict
from remediation.models import Problem, Remediation, record
from remediation.states import RemediationState as R

TREND_DAYS = 14


def note_masking(row: Remediation, *, now: datetime) -> Problem | None:
    """After a verified repair: the same one so often that the fault behind it has an owner to be told."""
    incident, playbook = row.incident, row.playbook
    since = now - timedelta(seconds=float(playbook.masking_window_s))
    same = Remediation.objects.filter(
        playbook=playbook,
        position=row.position,
        state=R.VERIFIED,
        ended_at__gt=since,
        incident__rule=incident.rule,
        incident__service=incident.service,
    )
    count = same.count()
    if count < playbook.masking_after:
        return None
    seen = {"last_at": now, "repairs": count, "trend": _trend(same, now=now)}
    key = {"rule": incident.rule, "service": incident.service, "playbook": playbook, "position": row.position}
    with transaction.atomic():
        problem, created = Problem.objects.update_or_create(
            **key, closed_at=None, defaults=seen, create_defaults={**seen, "verb": row.verb, "opened_at": now}
        )
        if created:
            days = float(playbook.masking_window_s) / 86400
            reason = f"{row.verb} repaired {incident.rule} {count} times in {days:.0f} days: it is masked, not mended"
            record(problem, "opened", now=now, reason=reason)
    return problem


def _trend(same: QuerySet[Remediation], *, now: datetime) -> list[int]:
    """Repairs per day, the newest last."""
    days = [0] * TREND_DAYS
    for at in same.values_list("ended_at", flat=True):
        ago = (now - at).days if at else -1
        if 0 <= ago < TREND_DAYS:
            days[TREND_DAYS - 1 - ago] += 1
    return days


def close_problem(problem: Problem, *, by: str, reason: str, now: datetime) -> None:
    """The owner has mended it, or lives with it. Raises Conflict."""
    with transaction.atomic():
        if not Problem.objects.filter(pk=problem.pk, closed_at=None).update(closed_at=now, closed_by=by):
            raise Conflict(_("It is closed already."))
        record(problem, "closed", now=now, actor=by, reason=reason)
