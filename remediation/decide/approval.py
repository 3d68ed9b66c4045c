"""A person says yes or no to one plan, once; and whose yes counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation import registry
from remediation.decide.plan import digest_of
from remediation.doorbell import ring_after_commit
from remediation.exceptions import Conflict, HomeostatError, NotAllowed, UnknownPlugin
from remediation.models import Approval, Remediation, Transition, change, names, record
from remediation.states import BEFORE_EFFECT, RemediationState

PERMISSION = "remediation.approve"
REFUSED = "refused"
AUTHOR_END = re.compile(r", | \(")
"""Where the name ends in the author line of a version: `ann, from version 3`, `ann (terminal)`."""


class Unconfirmed(HomeostatError):
    """A risky step, and the names of its targets were not typed. Nothing was kept."""


def approve(remediation: Remediation, *, user: User, digest: str, now: datetime, typed: str = "") -> Remediation:
    """Sign the plan. With enough signatures it becomes ready.

    typed: the names of the targets as the person wrote them, asked for where the verb is risky. Raises NotAllowed,
    Unconfirmed, and Conflict when it was answered, expired, changed or healed in the meantime.
    """
    with transaction.atomic():
        row = _answerable(remediation, user=user, digest=digest, now=now)
        if user.username in (why := barred(row)):
            said = _("This step takes two people who had no part in it, and you {what}.")
            raise NotAllowed(format_lazy(said, what=why[user.username]))
        if not confirms(row, typed):
            said = _("Type the name of what it acts on, {targets}, exactly as it is written.")
            raise Unconfirmed(format_lazy(said, targets=row.target_names))
        _keep(row, user=user, answer=Approval.Answer.APPROVE, digest=digest, reason="", now=now)
        given = len(signatures(row))
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


# --- whose yes counts ---


def signatures(row: Remediation) -> list[Approval]:
    """The approvals that count now: of exactly this plan, by distinct people who are active, may approve at this very
    moment, and had no part in it where the step asks for two."""
    if digest_of(row.plan) != row.digest:
        return []
    given = row.approvals.filter(answer=Approval.Answer.APPROVE, digest=row.digest).select_related("user")
    excluded = barred(row)
    return [one for one in given if one.user.username not in excluded and one.user.has_perm(PERMISSION)]


def enough(row: Remediation) -> bool:
    """Whether enough people signed exactly this plan, and still may."""
    return len(signatures(row)) >= row.approvals_needed


def barred(row: Remediation) -> Mapping[str, Promise]:
    """Who may not approve, by user name, with what they did: on a step for two people, the authors of the versions of
    playbook and rule that it comes from. Empty for a step that takes one person."""
    if row.approvals_needed < 2:
        return {}
    versions = row.playbook.versions.all()
    playbook = next((one.author for one in versions if one.number == row.playbook_version), "")
    authors = {playbook: _("wrote its playbook"), row.incident.rule_version.author: _("wrote the rule that fired")}
    return {AUTHOR_END.split(author)[0]: what for author, what in authors.items() if author}


# --- what a risky step asks for ---


def is_risky(row: Remediation) -> bool:
    """Whether it moves traffic or data. A verb that is not installed any more counts as one that does."""
    try:
        return registry.verb(row.verb).risky
    except UnknownPlugin:
        return True


def confirms(row: Remediation, typed: str) -> bool:
    """Whether what was typed names every target, in any order. Always so where the step is not risky."""
    names = {target["name"] for target in row.plan.get("targets", [])}
    return not is_risky(row) or set(typed.replace(",", " ").split()) == names


def refuse_effect(row: Remediation, *, now: datetime) -> None:
    """Somebody rang for an effect that nobody cleared. A message is only a doorbell, so nothing happens; it leaves one
    line of history a state, since no part of the loop rings so. (Held or done already is a late ring, and is quiet.)"""
    if row.state not in BEFORE_EFFECT or row.state == RemediationState.GATED:
        return
    told = Transition.objects.filter(kind=Remediation.KIND, object_id=row.pk, to_state=REFUSED, from_state=row.state)
    if not told.exists():
        reason = f"an effect was asked for while this is {row.state.replace('_', ' ')}; nothing was done"
        record(row, REFUSED, now=now, reason=reason, from_state=row.state)


def _answerable(remediation: Remediation, *, user: User, digest: str, now: datetime) -> Remediation:
    """The row as it is now, when this person may answer this plan."""
    if not (user.is_active and user.has_perm(PERMISSION)):
        raise NotAllowed(_("You may look at this, but not approve or reject it."))
    rows = Remediation.objects.select_for_update(of=("self",)).select_related(
        "incident__service", "incident__rule", "incident__rule_version", "playbook"
    )
    row = rows.get(pk=remediation.pk)
    if row.state != RemediationState.AWAITING_APPROVAL:
        raise Conflict(_who_was_quicker(row))
    if row.digest != digest or digest_of(row.plan) != digest:
        raise Conflict(_("The plan is no longer the one you were shown. Look at it again."))
    if row.expires_at is not None and row.expires_at <= now:
        raise Conflict(_("The time to answer is over. If the fault is still there, it can be asked for again."))
    return row


def _keep(row: Remediation, *, user: User, answer: str, digest: str, reason: str, now: datetime) -> None:
    try:
        with transaction.atomic():
            Approval.objects.create(remediation=row, user=user, answer=answer, digest=digest, reason=reason, at=now)
    except IntegrityError:
        raise Conflict(_("You have answered already; this step needs another person as well.")) from None


def _who_was_quicker(row: Remediation) -> Promise:
    row.refresh_from_db()
    said = _("Too late: it is {state} already ({reason}).")
    return format_lazy(said, state=names.of_state(row.state), reason=row.reason or _("no reason given"))
