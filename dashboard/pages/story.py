"""History as sentences: what the rows of transitions, approvals and notes say, in one order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import override

from dashboard.pages.plans import Look, looks_of
from dashboard.pages.sentences import SAYS
from dashboard.pages.words import state_word, tone, verb_word
from remediation.models import HOMEOSTAT, Incident, Note, Remediation, Rule, Transition
from remediation.states import RemediationState as R

EFFECT_SEEN = frozenset({R.VERIFYING, R.FAILED, R.UNKNOWN})
"""The first of these after an effect carries its output."""

ELSEWHERE = frozenset({"digest", "key", "output", "good", "looks"})
"""Facts of a transition that say nothing to people, or that the story shows in a better form."""

ASKED = frozenset({R.GATED, R.AWAITING_APPROVAL, R.READY, R.EXECUTING})
"""Guards are asked on the way into these; their last answers are told at the last of them."""

PLACE = re.compile(r"\{[a-z]+\}")

PROVED = frozenset({R.VERIFIED, R.INEFFECTIVE, R.WORSENED, R.INCONCLUSIVE})


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a story."""

    id: str
    at: datetime
    tone: str
    title: str
    text: str = ""
    actor: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""
    looks: Sequence[Look] = ()
    href: str = ""
    subject: str = ""
    note: bool = False
    guards: Sequence[Mapping[str, Any]] = ()
    """What each guard said last, at the line where it was asked."""
    considered: Sequence[str] = ()
    """The playbooks that a decision looked at."""


def sentence(row: Transition, remediation: Remediation | None) -> str:
    """What happened, in words that need no knowledge of the state machine."""
    if row.kind == "remediation":
        return _of_remediation(row, remediation)
    known = SAYS.get(row.kind, {}).get(row.to_state)
    said = _(known) if known else f"{row.kind.capitalize()}: {state_word(row.to_state).lower()}"
    where, target = row.facts.get("service") or _("everywhere"), row.facts.get("target") or _("a target")
    return said.replace("{where}", str(where)).replace("{target}", str(target))


def _of_remediation(row: Transition, remediation: Remediation | None) -> str:
    verb = verb_word(remediation.verb) if remediation else _("act on")
    targets = (remediation.target_names if remediation else "") or _("its targets")
    filled = {"{verb}": verb, "{targets}": targets}
    by_person = row.actor != HOMEOSTAT
    if by_person and row.to_state == R.READY:
        return _filled(_("Approved: {verb} {targets}"), filled)
    if by_person and row.to_state == R.AWAITING_APPROVAL and "given" in row.facts:
        votes = {"{given}": str(row.facts["given"]), "{needed}": str(row.facts.get("needed", "?"))}
        return _filled(_("Approved by {given} of {needed}: {verb} {targets}"), votes | filled)
    known = SAYS["remediation"].get(row.to_state)
    return _filled(_(known) if known else f"{state_word(row.to_state)}: {{verb}} {{targets}}", filled)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Names may hold braces themselves: each place is filled once, from the left."""
    return PLACE.sub(lambda place: values.get(place[0], place[0]), text)


def of_incident(incident: Incident) -> list[Entry]:
    """The whole story of an incident, oldest first."""
    remediations = {row.pk: row for row in incident.remediations.all()}
    decision = getattr(incident, "decision", None)
    entries: list[Entry] = []
    shown: set[int] = set()
    rows = list(incident.transitions.all())
    asked = {row.object_id: row.pk for row in rows if row.kind == "remediation" and row.to_state in ASKED}
    decided = next((row.pk for row in reversed(rows) if row.to_state.startswith("decided:")), None)
    for row in rows:
        remediation = remediations.get(row.object_id) if row.kind == "remediation" else None
        entry = _entry(row, remediation, shown)
        if remediation and asked.get(remediation.pk) == row.pk:
            entry = replace(entry, guards=[one for one in remediation.guards if isinstance(one, Mapping)])
        if decision and row.pk == decided:
            entry = replace(entry, considered=[str(line) for line in decision.body.get("playbooks") or ()])
        entries.append(entry)
    entries += [_of_note(note) for note in incident.notes.all()]
    return sorted(entries, key=lambda entry: entry.at)


def _entry(row: Transition, remediation: Remediation | None, shown: set[int]) -> Entry:
    output = ""
    if remediation and row.to_state in EFFECT_SEEN and remediation.output and remediation.pk not in shown:
        output = remediation.output
        shown.add(remediation.pk)
    title = sentence(row, remediation)
    return Entry(
        id=f"t{row.pk}",
        at=row.at,
        tone="note" if row.to_state == row.from_state else tone(row.to_state),
        title=title,
        text="" if _is_said(row, remediation) else row.reason,
        actor="" if row.actor == HOMEOSTAT else row.actor,
        facts={
            name: value
            for name, value in row.facts.items()
            if name not in ELSEWHERE and value not in ("", None, [], {})
        },
        output=output,
        looks=looks_of(remediation) if remediation and row.to_state in PROVED else (),
    )


def _is_said(row: Transition, remediation: Remediation | None) -> bool:
    """Whether the reason only repeats the sentence. What is stored is English."""
    with override("en"):
        said = sentence(row, remediation)
    return row.reason.lower() in (said.lower(), f"approved by {row.actor}".lower())


def _of_note(note: Note) -> Entry:
    return Entry(
        id=f"n{note.pk}", at=note.at, tone="note", title=_("Note"), text=note.text, actor=note.author, note=True
    )


def latest(limit: int) -> list[Entry]:
    """The last things that happened anywhere, newest first."""
    rows = list(
        Transition.objects.exclude(kind="login")
        .select_related("incident__rule", "incident__service")
        .order_by("-pk")[:limit]
    )
    remediations = Remediation.objects.in_bulk([row.object_id for row in rows if row.kind == "remediation"])
    rules = Rule.objects.in_bulk([row.object_id for row in rows if row.kind == "rule"])
    return [_event(row, remediations, rules) for row in rows]


def _event(row: Transition, remediations: Mapping[int, Remediation], rules: Mapping[int, Rule]) -> Entry:
    incident = row.incident
    rule = rules.get(row.object_id) if row.kind == "rule" else None
    return Entry(
        id=f"e{row.pk}",
        at=row.at,
        tone=tone(row.to_state),
        title=sentence(row, remediations.get(row.object_id) if row.kind == "remediation" else None),
        text=row.reason,
        actor="" if row.actor == HOMEOSTAT else row.actor,
        href=f"/incidents/{incident.pk}/" if incident else (f"/rules/{rule.pk}/" if rule else ""),
        subject=incident.title if incident else (f"{rule.name}: {row.reason}" if rule else ""),
    )


def markers(rows: Iterable[Transition], remediations: Mapping[int, Remediation]) -> list[dict[str, Any]]:
    """The same history as points in time, for the chart."""
    return [
        {
            "at": row.at.timestamp(),
            "tone": tone(row.to_state),
            "state": state_word(row.to_state),
            "text": sentence(row, remediations.get(row.object_id) if row.kind == "remediation" else None),
        }
        for row in rows
    ]
