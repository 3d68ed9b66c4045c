"""A person says yes or no to one plan, once."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from remediation.doorbell import ring_after_commit
from remediation.exceptions import Conflict, NotAllowed
from remediation.models import Approval, Remediation, change, record
from remediation.states import RemediationState


def approve(remediation: Remediation, *, user: User, digest: str, now: datetime) -> Remediation:
    """Sign the plan. With enough signatures it becomes ready.

    Raises NotAllowed, and Conflict when it was answered, expired, changed or healed in the meantime.
    """
    with transaction.atomic():
        row = _answerable(remediation, user=user, digest=digest, now=now)
        _keep(row, user=user, answer=Approval.Answer.APPROVE, digest=digest, reason="", now=now)
        given = row.approvals.filter(answer=Approval.Answer.APPROVE, digest=digest).count()
        facts = {"digest": digest, "given": given, "needed": row.approvals_needed}
        if given < row.approvals_needed:
            record(
                row, row.state, now=now, actor=user.username, reason="approved; another person is needed", facts=facts
            )
            return row
        reason = f"approved by {user.username}"
        if not change(
            row, RemediationState.READY, now=now, reason=reason, actor=user.username, facts=facts, due_at=now
        ):
            raise Conflict(_who_was_quicker(row))
        ring_after_commit("act", remediation_id=row.pk)
    return row


def reject(remediation: Remediation, *, user: User, digest: str, reason: str, now: datetime) -> Remediation:
    """Say no. The incident goes to a person. Raises as approve does."""
    with transaction.atomic():
        row = _answerable(remediation, user=user, digest=digest, now=now)
        _keep(row, user=user, answer=Approval.Answer.REJECT, digest=digest, reason=reason, now=now)
        said = f"rejected by {user.username}" + (f": {reason}" if reason else "")
        if not change(row, RemediationState.REJECTED, now=now, reason=said, actor=user.username):
            raise Conflict(_who_was_quicker(row))
        ring_after_commit("reconcile", incident_id=row.incident_id)
    return row


def _answerable(remediation: Remediation, *, user: User, digest: str, now: datetime) -> Remediation:
    """The row as it is now, when this person may answer this plan."""
    if not (user.is_active and user.has_perm("remediation.approve")):
        raise NotAllowed("You may look at this, but not approve or reject it.")
    row = Remediation.objects.select_for_update().select_related("incident").get(pk=remediation.pk)
    if row.state != RemediationState.AWAITING_APPROVAL:
        raise Conflict(_who_was_quicker(row))
    if row.digest != digest:
        raise Conflict("The plan is no longer the one you were shown. Look at it again.")
    if row.expires_at is not None and row.expires_at <= now:
        raise Conflict("The time to answer is over. If the fault is still there, a new request follows.")
    return row


def _keep(row: Remediation, *, user: User, answer: str, digest: str, reason: str, now: datetime) -> None:
    try:
        with transaction.atomic():
            Approval.objects.create(remediation=row, user=user, answer=answer, digest=digest, reason=reason, at=now)
    except IntegrityError:
        raise Conflict("You have answered already; this step needs another person as well.") from None


def _who_was_quicker(row: Remediation) -> str:
    row.refresh_from_db()
    state = row.state.replace("_", " ")
    return f"Too late: it is {state} already ({row.reason or 'no reason given'})."
