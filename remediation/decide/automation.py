"""Automation off for one target, and on again by a person."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation.exceptions import Conflict
from remediation.models import Target, record


def switch_on(target: Target, *, by: str, now: datetime) -> None:
    """Let automation touch the target again. Raises Conflict when it may already."""
    with transaction.atomic():
        off = Target.objects.filter(pk=target.pk).exclude(automation_off="")
        if not off.update(automation_off="", automation_off_at=None):
            raise Conflict(format_lazy(_("Automation is on for {target} already."), target=target.name))
        facts = {"target": target.name, "service": target.service.name}
        record(target, "automation on", now=now, reason=f"it was off: {target.automation_off}", actor=by, facts=facts)
