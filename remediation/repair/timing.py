"""When a remediation is looked at again, by whoever comes first."""

from __future__ import annotations

from datetime import datetime, timedelta

from remediation import conf
from remediation.models import Place, Prepared, PreparedUpdate, Remediation, Target
from remediation.states import RemediationState as R

LONGEST_WAIT = timedelta(minutes=2)
"""The longest that a remediation which is not waiting for a person or an effect lets itself be left alone."""
SHORT_WAITS = (R.PLANNED, R.GATED, R.READY, R.UNKNOWN, R.VERIFYING, R.ROLLING_BACK)


_targets = Prepared(lambda given: Target.objects.select_related("service").filter(pk__in=given("pks")).order_by("pk"))
_next_look = PreparedUpdate(
    lambda given: Remediation.objects.filter(pk=given("pk"), state=given("state"), due_at=given("due")),
    due_at=Place("again"),
)


def again_at(row: Remediation, after: timedelta, *, now: datetime) -> bool:
    """Claim this look: of two that come at once, one moves `due_at` and goes on.

    A `due_at` further ahead than any wait here was written by a clock that has since been set back: it counts as due.
    """
    if row.due_at is not None and now < row.due_at <= now + LONGEST_WAIT:
        return False
    return bool(_next_look.run(pk=row.pk, state=row.state, due=row.due_at, again=now + after))


def targets_of(row: Remediation) -> list[Target]:
    """The plan's targets that still exist, in its order."""
    ids = [target["id"] for target in row.plan["targets"]]
    rows = {target.pk: target for target in _targets.all(pks=ids)}
    return [rows[one] for one in ids if one in rows]


def lease_from(now: datetime, *, timeout_s: float) -> datetime:
    """Until when a claim holds that is not renewed: see lease.py."""
    return now + timedelta(seconds=min(timeout_s + conf.LEASE_MARGIN_S, conf.LEASE_S))


def may_still_act(row: Remediation, *, now: datetime) -> bool:
    """Whether a worker that never reported may be in the middle of a call: it looks at its lease right before it
    begins one, and then has the step's time."""
    if row.lease_until is None:
        return False
    return now < row.lease_until + timedelta(seconds=float(row.plan["step"]["timeout_s"]))
