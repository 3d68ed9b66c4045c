"""Asking again for what nobody answered in time, or somebody rejected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from remediation.decide.ladder import UNANSWERED
from remediation.doorbell import ring_after_commit
from remediation.exceptions import Conflict, NotAllowed
from remediation.models import Incident, Remediation, Transition, record
from remediation.states import REMEDIATION_LIVE, IncidentState

ASKED = "asked again"


def ask_again(remediation: Remediation, *, user: User, now: datetime) -> Incident:
    """Let the loop plan the same step anew, and ask anew. Takes the right to operate: approving is for others still.

    Raises NotAllowed, and Conflict when it is over, under way, or was asked for already.
    """
    if not (user.is_active and user.has_perm("remediation.operate")):
        raise NotAllowed(_("You may look at this, but not ask for it again."))
    with transaction.atomic():
        incident = Incident.objects.select_for_update(of=("self",)).get(pk=remediation.incident_id)
        _check(incident, remediation)
        Incident.objects.filter(pk=incident.pk).update(needs_person=False, attention="", decide_at=now)
        what = f"{remediation.verb} of {remediation.target_names}, which ended {remediation.state}"
        facts = {"remediation": remediation.pk}
        record(incident, ASKED, now=now, actor=user.username, reason=what, facts=facts)
        ring_after_commit("reconcile", incident_id=incident.pk)
    return incident


def _check(incident: Incident, remediation: Remediation) -> None:
    past = list(incident.remediations.order_by("pk"))
    if incident.state != IncidentState.FIRING:
        raise Conflict(_("Too late: it is over."))
    if any(row.state in REMEDIATION_LIVE for row in past):
        raise Conflict(_("Too late: a repair is under way already."))
    if past[-1] != remediation or past[-1].state not in UNANSWERED:
        raise Conflict(_("Only what ended last, expired or rejected, can be asked for again."))
    if was_asked(past):
        raise Conflict(_("Somebody was quicker: it was asked for again already."))


def was_asked(past: Sequence[Remediation]) -> bool:
    """Whether a person wants the last of these, which expired or was rejected, to be tried anew."""
    if not past or past[-1].state not in UNANSWERED:
        return False
    asked = Transition.objects.filter(incident_id=past[-1].incident_id, kind=Incident.KIND, to_state=ASKED)
    return any(facts.get("remediation") == past[-1].pk for facts in asked.values_list("facts", flat=True))
