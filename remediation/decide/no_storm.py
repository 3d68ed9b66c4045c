"""A person says that what looks like a storm is none: so much really broke. Rows only; the guards read them.

Said of the storm that goes on, for a time. When it is over and another begins, that one holds again: nobody looked at
it yet.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation.exceptions import Conflict
from remediation.models import Remediation, Source, Storm, record
from remediation.states import RemediationState

LENGTHS_S = (900, 1800, 3600, 7200)
"""Seconds that a page offers."""
LONGEST_S = 86_400.0


def say(source: Source, *, by: str, reason: str, for_s: float, now: datetime) -> Storm:
    """Let automation act on what this source sees, inside its other limits, for a while. Said once more, from now on.

    Raises ValueError without a reason or for a span beyond LONGEST_S, and Conflict where no storm goes on.
    """
    reason = reason.strip()
    if not reason:
        raise ValueError(_("say why it is no storm: automation will act on your word"))
    if not 0 < for_s <= LONGEST_S:
        said_at_most = _("it has to end by itself, after {hours} hours at the latest")
        raise ValueError(format_lazy(said_at_most, hours=f"{LONGEST_S / 3600:.0f}"))
    with transaction.atomic():
        storm = Storm.objects.select_for_update(of=("self",)).filter(source=source, ended_at=None).first()
        if storm is None:
            raise Conflict(format_lazy(_("There is no storm of {source}: it is over already."), source=source.name))
        until = now + timedelta(seconds=for_s)
        said = {"by": by, "reason": reason, "at": now.timestamp(), "until": until.timestamp()}
        Storm.objects.filter(pk=storm.pk).update(numbers={**storm.numbers, Storm.DISMISSED: said})
        facts = {"source": source.name, "for_s": for_s, "until": until.isoformat(timespec="seconds")}
        record(storm, "dismissed", now=now, reason=reason, actor=by, facts=facts)
        # What waits for the storm alone is asked about seldom: now it is asked at once.
        held = Remediation.objects.filter(state=RemediationState.GATED, incident__rule__source=source)
        held.filter(due_at__gt=now).update(due_at=now)
    storm.refresh_from_db()
    return storm
