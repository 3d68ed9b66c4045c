"""Where a source names another one that scrapes the same, that one has to say the same right before an effect."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remediation.condition import ask
from remediation.models import Incident, Remediation
from remediation.states import Verdict

GUARD = "disagreement"
LABEL = "Disagreement"


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Why the other source does not confirm; `answers` are the guards' answers with this one."""

    reason: str
    answers: list[dict[str, Any]]


def doubt(row: Remediation, *, now: datetime) -> Doubt | None:
    """What the other source says against it; None when it says the same, or when nobody named one. What it does not
    know confirms nothing. Never raises."""
    second = row.incident.rule.source.confirmed_by
    if second is None:
        return None
    if not second.enabled:
        verdict, said = Verdict.UNKNOWN, "it is switched off"
    else:
        look = ask(_as_seen_by(row.incident), now=now)
        verdict, said = Verdict(look.verdict), look.reason
    if verdict == Verdict.BAD:
        return None
    reason = f"{LABEL}: {row.incident.rule.source} says bad, {second} says {verdict}: {said}"
    answer = {"guard": GUARD, "label": LABEL, "passed": False, "reason": reason.partition(": ")[2]}
    answer |= {"numbers": {"verdict": str(verdict)}, "needs_person": False}
    return Doubt(reason=reason, answers=[*(one for one in row.guards if one["guard"] != GUARD), answer])


def _as_seen_by(incident: Incident) -> Incident:
    """The same incident, of a rule that asks the other source. Copies: nothing of this is to be saved."""
    other = copy(incident)
    other.rule = copy(incident.rule)
    confirmed_by = incident.rule.source.confirmed_by
    assert confirmed_by is not None  # noqa: S101 - the caller looked
    other.rule.source = confirmed_by
    return other
