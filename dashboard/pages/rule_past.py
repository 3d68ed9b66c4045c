"""What became of a rule: its versions with what each changed, and what happened to it, in one line of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.pages import story
from dashboard.pages.words import tone
from remediation.admin.doubting import ASKED
from remediation.admin.versions import differences
from remediation.models import Rule, RuleVersion, Transition

SHOWN = 10
VERSIONS = 20
"""Versions that are read: far enough back to know since when the present question is asked."""
CHANGES = 8
"""Changed places that are shown of a version."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A version (then `version` is its number), or something that happened to the rule."""

    at: datetime
    tone: str
    title: str
    by: str
    reason: str = ""
    version: int = 0
    first: bool = False
    newest: bool = False
    changed: Sequence[tuple[str, str, str]] = ()
    more: int = 0


def lines(rule: Rule) -> list[Line]:
    """The newest first."""
    versions = list(rule.versions.all()[:VERSIONS])
    happened = list(Transition.objects.filter(kind="rule", object_id=rule.pk).order_by("-pk")[:SHOWN])
    pairs = zip(versions, [*versions[1:], None], strict=True)  # the oldest that was read is too old to be shown
    found = [*(_version(row, before) for row, before in pairs), *map(_event, happened)]
    found.sort(key=lambda line: (line.at, line.version), reverse=True)
    return found[:SHOWN]


def _version(row: RuleVersion, before: RuleVersion | None) -> Line:
    changed = differences(before.body, row.body) if before is not None else []
    return Line(
        at=row.at,
        tone="note",
        title="",
        by=row.author,
        version=row.number,
        first=row.number == 1,
        newest=row.number == row.rule.version,
        changed=changed[:CHANGES],
        more=max(0, len(changed) - CHANGES),
    )


def _event(row: Transition) -> Line:
    return Line(at=row.at, tone=tone(row.to_state), title=story.sentence(row, None), by=row.actor, reason=row.reason)


def insisted(rule: Rule) -> Transition | None:
    """What the source said against the rule when the present question was saved all the same; None where nothing
    was said, or it asks something else by now."""
    versions = list(rule.versions.all()[:VERSIONS])
    if not versions:
        return None
    since, present = versions[0].at, _question(versions[0].body)
    for row in versions[1:]:
        if _question(row.body) != present:
            break
        since = row.at
    known = Transition.objects.filter(kind="rule", object_id=rule.pk, to_state="saved_anyway", at__gte=since)
    return known.order_by("-pk").first()


def _question(body: Mapping[str, Any]) -> list[Any]:
    """What the source was asked about when it was saved; a version leaves out what is not used."""
    return [body.get(name) for name in ASKED]
