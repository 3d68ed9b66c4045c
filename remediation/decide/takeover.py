"""A person repairs it by hand, and automation waits: "I am on it". Rows only; the guard `taken` reads them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation.exceptions import Conflict, NotAllowed
from remediation.models import Incident, record
from remediation.states import IncidentState

LENGTHS_S = (900, 1800, 3600, 7200)
"""Seconds that one can take it for; it can be prolonged."""


def holder(incident: Incident, *, now: datetime) -> str:
    """Who is on it now; nobody once the time is over."""
    held = incident.taken_by is not None and incident.taken_until is not None and incident.taken_until > now
    return incident.taken_by.username if held and incident.taken_by else ""


def take(incident: Incident, *, user: User, for_s: int, now: datetime) -> Incident:
    """Hold automation for this person, or hold it for longer. A second person is told who was first.

    for_s: one of LENGTHS_S. Raises NotAllowed, Conflict, ValueError.
    """
    if for_s not in LENGTHS_S:
        raise ValueError(f"{for_s} s is no length to choose")
    until = now + timedelta(seconds=for_s)
    with transaction.atomic():
        row = _open(incident, user=user)
        by = holder(row, now=now)
        if by and by != user.username:
            said = _("Somebody was quicker: {name} is on it until {time} UTC.")
            raise Conflict(format_lazy(said, name=by, time=f"{row.taken_until:%H:%M}"))
        Incident.objects.filter(pk=row.pk).update(taken_by=user, taken_until=until)
        facts = {"for_s": for_s, "until": until.isoformat(timespec="seconds")}
        record(row, "prolonged" if by else "taken", now=now, actor=user.username, facts=facts)
    return row


def hand_back(incident: Incident, *, user: User, now: datetime) -> Incident:
    """Let automation go on before the time is over. Anybody who may operate can: the one who took it may be asleep.

    Raises NotAllowed, and Conflict when nobody is on it.
    """
    with transaction.atomic():
        row = _open(incident, user=user)
        by = holder(row, now=now)
        if not by:
            raise Conflict(_("Nobody is on it any more: automation goes on already."))
        Incident.objects.filter(pk=row.pk).update(taken_by=None, taken_until=None)
        record(row, "handed back", now=now, actor=user.username, facts={"taken_by": by})
    return row


def _open(incident: Incident, *, user: User) -> Incident:
    if not (user.is_active and user.has_perm("remediation.operate")):
        raise NotAllowed(_("You may look at this, but not take it over."))
    rows = Incident.objects.select_for_update(of=("self",)).select_related("taken_by")
    row = rows.get(pk=incident.pk)
    if row.state == IncidentState.RESOLVED:
        raise Conflict(_("It is over already."))
    return row
