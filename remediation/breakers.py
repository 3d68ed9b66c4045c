"""The circuit breakers: fed by how attempts end, opened, rested and closed. The guard only reads the row.

A breaker must never know less than the record does: an attempt that ended badly while the process that would have told
the breaker died is an attempt too many later on. So it is fed by `moving`, which `transition.change` sends inside its
transaction: the end and the breaker are committed together, or neither is. (`transitioned` comes after the commit.)
That also is the one place that every end passes, whichever part of the loop ends an attempt: nobody has to remember it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from remediation import conf
from remediation.exceptions import Conflict
from remediation.models import HOMEOSTAT, Breaker, Remediation, Transition, record
from remediation.signals import moving
from remediation.states import BAD_ENDS
from remediation.states import RemediationState as R

FEEDING = BAD_ENDS | {R.UNKNOWN}
"""What counts against a step: it did not help, or nobody can tell what it did."""
State = Breaker.State


def connect() -> None:
    moving.connect(_on_move, dispatch_uid="remediation.breakers")


def _on_move(sender: object, *, row: Any, to: str, now: datetime, reason: str, **_: object) -> None:
    if isinstance(row, Remediation) and (to == R.VERIFIED or to in FEEDING):
        feed(row, to, now=now, reason=reason)


def feed(row: Remediation, to: str, *, now: datetime, reason: str) -> None:
    """Tell the breaker of a step how an attempt goes. To be called in the transaction that writes the end, before its
    line of history is written."""
    if to == R.VERIFIED:
        for breaker in _of(row).select_for_update().filter(Q(bad__gt=0) | ~Q(state=State.CLOSED)):
            _move(breaker, State.CLOSED, now=now, reason=f"{row} was verified", bad=0)
        return
    if to != R.WORSENED and _counted_before(row):
        return
    Breaker.objects.get_or_create(**_key(row), defaults={"changed_at": now})
    breaker = _of(row).select_for_update().get()
    bad = breaker.bad + 1
    why = f"{bad} bad in a row, the last {row}: {to.replace('_', ' ')}, {reason}"
    enough = bad >= conf.BREAKER_OPENS_AFTER or to == R.WORSENED or breaker.state == State.HALF_OPEN
    if enough:
        _move(breaker, State.OPEN, now=now, reason=why, bad=bad)
    else:
        Breaker.objects.filter(pk=breaker.pk).update(bad=bad, reason=why)


def _key(row: Remediation) -> dict[str, Any]:
    return {"playbook_id": row.playbook_id, "position": row.position, "service_id": row.incident.service_id}


def _of(row: Remediation) -> Any:
    return Breaker.objects.filter(**_key(row))


def _counted_before(row: Remediation) -> bool:
    """Whether this attempt has been counted: one that was unknown and then failed, or worsened and was then undone, is
    one attempt."""
    lines = Transition.objects.filter(kind=Remediation.KIND, object_id=row.pk, to_state__in=FEEDING)
    return lines.exists()


def rest(*, now: datetime) -> int:
    """Half-open those that rested long enough. Returns how many."""
    rested = Breaker.objects.filter(
        state=State.OPEN, changed_at__lte=now - timedelta(seconds=conf.BREAKER_REST_S)
    ).select_related("playbook", "service")
    opened = 0
    for breaker in rested[:100]:
        opened += _move(breaker, State.HALF_OPEN, now=now, reason=f"rested; it was {breaker.reason}")
    return opened


def close(breaker: Breaker, *, by: str, reason: str, now: datetime) -> None:
    """A person vouches for the step. Raises Conflict when it moved meanwhile, or is closed already."""
    if breaker.state == State.CLOSED:
        raise Conflict(_("It is closed already."))
    said = f"closed by {by}" + (f": {reason}" if reason else "")
    if not _move(breaker, State.CLOSED, now=now, reason=said, actor=by, bad=0):
        raise Conflict(_("It has moved meanwhile. Look at it again."))


def _move(breaker: Breaker, to: str, *, now: datetime, reason: str, actor: str = HOMEOSTAT, **fields: Any) -> bool:
    """Compare-and-set from the state that was read, with its line of history. One that is open already, and hears of
    another bad end, rests from then on."""
    fields |= {"state": str(to), "reason": reason, "changed_at": now}
    before = breaker.state
    with transaction.atomic():
        if not Breaker.objects.filter(pk=breaker.pk, state=before).update(**fields):
            return False
        breaker.refresh_from_db()
        facts = {"bad": breaker.bad, "service": str(breaker.service or ""), "playbook": str(breaker.playbook)}
        record(breaker, to, now=now, reason=reason, actor=actor, from_state=before, facts=facts)
    return True
