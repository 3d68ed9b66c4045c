"""The ladder of an incident: every step of its playbook in order, what came of those that were tried, what is next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from dashboard.pages.words import state_word, tone, verb_word
from remediation.models import Incident, Playbook, Remediation
from remediation.states import NEXT_RUNG, REMEDIATION_LIVE


@dataclass(frozen=True, kw_only=True)
class RungView:
    """One step. here: whether the ladder stands on it."""

    position: int
    verb: str
    select: str
    tone: str
    said: str
    here: bool
    attempts: Sequence[Remediation]


@dataclass(frozen=True, kw_only=True)
class LadderView:
    playbook: Playbook
    autonomy: str
    rungs: Sequence[RungView]
    person: bool
    """Whether it has come to its end: a person."""


def of_incident(incident: Incident) -> LadderView | None:
    """None where no playbook took it on."""
    past = list(incident.remediations.select_related("playbook").order_by("pk"))
    if not past:
        return None
    last = past[-1]
    mine = [row for row in past if row.playbook_id == last.playbook_id]
    steps = _steps(last)
    stands = _stands_on(steps, last, incident)
    rungs = [_rung(step, [row for row in mine if row.position == step["position"]], stands) for step in steps]
    return LadderView(
        playbook=last.playbook, autonomy=last.autonomy, rungs=rungs, person=incident.open and incident.needs_person
    )


def _steps(last: Remediation) -> list[Mapping[str, Any]]:
    """As the version had them that was followed; as they are now where that was not kept."""
    version = last.playbook.versions.filter(number=last.playbook_version).first()
    if version is not None and version.body.get("steps"):
        return sorted(version.body["steps"], key=lambda step: int(step.get("position", 1)))
    return [step.body() for step in last.playbook.steps.order_by("position")]


def _stands_on(steps: Sequence[Mapping[str, Any]], last: Remediation, incident: Incident) -> int | None:
    """The position of the step that is at work or comes next; None when nothing more comes."""
    if last.state in REMEDIATION_LIVE:
        return last.position
    if not incident.open or incident.needs_person or last.state not in NEXT_RUNG:
        return None
    return next((int(step["position"]) for step in steps if step["position"] > last.position), None)


def _rung(step: Mapping[str, Any], tried: Sequence[Remediation], stands: int | None) -> RungView:
    position = int(step.get("position", 1))
    here = position == stands
    if tried:
        kind, said = tone(tried[-1].state), state_word(tried[-1].state)
    elif here:
        kind, said = "pending", _("Next")
    else:
        kind, said = "off", _("Not tried")
    return RungView(
        position=position,
        verb=verb_word(str(step.get("verb", ""))),
        select=str(step.get("select", "")),
        tone=kind,
        said=said,
        here=here,
        attempts=tried,
    )
