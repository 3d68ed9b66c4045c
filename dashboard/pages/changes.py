"""What a call would change on its target: before and after, property by property."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from dashboard.pages.words import NOTHING, fact_word


@dataclass(frozen=True, kw_only=True)
class Change:
    """One property of a target, before and after. Nested ones have the names on the way to them in theirs."""

    name: str
    before: str
    after: str

    @property
    def differs(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, kw_only=True)
class CallView:
    """One call of a plan on one target. changes: what it is meant to change; kept: what was read of the target besides,
    which the plan says nothing about."""

    target: str
    text: str
    changes: Sequence[Change]
    kept: Sequence[Change]
    undo: str


def call_view(call: Mapping[str, Any]) -> CallView:
    before, after = dict(_leaves(call.get("before") or {})), dict(_leaves(call.get("after") or {}))
    found = [
        Change(name=_name(path), before=said(before.get(path)), after=said(after.get(path, before.get(path))))
        for path in [*before, *(path for path in after if path not in before)]
    ]
    return CallView(
        target=str(call.get("target", "")),
        text=str(call.get("text", "")),
        changes=[one for one in found if one.differs],
        kept=[one for one in found if not one.differs],
        undo=str(call.get("undo") or ""),
    )


def _leaves(facts: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in facts.items():
        path = (*above, str(name))
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, path)
        else:
            yield path, value


def _name(path: tuple[str, ...]) -> str:
    """The first as a word; below it are names of members, which stay as they are written."""
    first = fact_word(path[0])
    return " · ".join([first[:1].upper() + first[1:], *path[1:]])


def said(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list | tuple):
        return ", ".join(said(item) for item in value) or NOTHING
    return _("a new one") if value == "a new one" else str(value) or NOTHING
