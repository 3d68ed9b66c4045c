"""How a series stood over time, as charts show it beside its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext as _

from dashboard.pages import gaps
from dashboard.pages.words import span, state_word
from remediation.models import Incident, Transition
from remediation.states import IncidentState, Verdict

EPISODES = 100


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A state that held from `start` to `end`."""

    state: str
    start: float
    end: float

    @property
    def said(self) -> str:
        return _("%(state)s for %(span)s") % {"state": state_word(self.state), "span": span(self.end - self.start)}


def stretches_of(rule_id: int, fingerprint: str, start: float, end: float, *, now: datetime) -> list[Stretch]:
    """How the series stood in that range, by the incidents it had: what lies between them was ok, or not judged.
    While the rule was not evaluated nobody knows how it stood."""
    since, until = datetime.fromtimestamp(start, now.tzinfo), datetime.fromtimestamp(end, now.tzinfo)
    rows = Incident.objects.filter(Q(resolved_at=None) | Q(resolved_at__gt=since))
    rows = rows.filter(rule_id=rule_id, fingerprint=fingerprint, opened_at__lt=until).order_by("-opened_at")[:EPISODES]
    turns = Transition.objects.filter(incident__in=[row.pk for row in rows], kind="incident").order_by("pk")
    by_incident: dict[int | None, list[Transition]] = {}
    for turn in turns:
        by_incident.setdefault(turn.incident_id, []).append(turn)
    found: list[Stretch] = []
    for row in rows:
        found += _stretches(row, by_incident.get(row.pk, []), until=row.until(now).timestamp())
    blind = gaps.of_rule(rule_id, start, end)
    clipped = [Stretch(state="unwatched", start=a, end=b) for a, b in blind]
    for one in found:
        inside = (max(one.start, start), min(one.end, end))
        clipped += [Stretch(state=one.state, start=a, end=b) for a, b in gaps.without(inside, blind)]
    return sorted(clipped, key=lambda one: one.start)


def _stretches(row: Incident, turns: Sequence[Transition], *, until: float) -> list[Stretch]:
    """Pending, firing, and unknown where nobody could see it."""
    state, blind, since = str(IncidentState.PENDING), False, row.opened_at.timestamp()
    found: list[Stretch] = []
    for turn in turns:
        seen = turn.to_state.removeprefix("verdict ") if turn.to_state.startswith("verdict ") else ""
        if not seen and turn.to_state not in set(IncidentState):
            continue
        at = turn.at.timestamp()
        found.append(Stretch(state="unknown" if blind else state, start=since, end=at))
        since, blind = at, seen == Verdict.UNKNOWN
        state = state if seen else turn.to_state
    if state != IncidentState.RESOLVED:
        found.append(Stretch(state="unknown" if blind else state, start=since, end=until))
    return [one for one in found if one.end > one.start and one.state != IncidentState.RESOLVED]
