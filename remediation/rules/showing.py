"""Plans as people read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from remediation.rules.conditions import Further
from remediation.rules.export import span
from remediation.rules.plan import BY_HAND, Change, Difference, Plan

_MARKS = {"add": "+", "change": "~", "remove": "-", "disable": "-"}
_SPANS = {"interval_s": "interval", "for_s": "for", "keep_firing_for_s": "keep_firing_for"}


def as_text(plan: Plan) -> str:
    return "\n".join(_printable(line) for line in _lines(plan))


def summary(plan: Plan) -> str:
    """One line: what would be done, and what is left alone."""
    counts = [(plan.count("add"), "to add"), (plan.count("change"), "to change")]
    counts += [(plan.count("remove"), "to remove"), (plan.count("disable"), "to disable")]
    words = [f"{count} {what}" for count, what in counts if count]
    return f"{', '.join(words) or 'Nothing to do'}; {plan.unchanged} unchanged."


def _lines(plan: Plan) -> Iterator[str]:
    for change in plan.changes:
        yield from _change(change)
    for name in plan.left:
        yield f"  {name} is not in these files any more; --prune removes it"
    for text in plan.refused:
        yield f"! {text}; --take-over puts it under this owner"
    yield summary(plan)


def _change(change: Change) -> Iterator[str]:
    why = "  (disabled only: its incidents still name it)" if change.kind == "disable" else ""
    place = f"  ({change.place})" if change.place else ""
    yield f"{_MARKS[change.kind]} {change.name}{place}{why}"
    if change.declared is not None and change.kind == "add":
        yield f"    {change.declared.meaning.detector}: {_one_line(change.declared.expression)}"
        yield from _further(change.declared.further)
    for difference in change.differences:
        yield from _difference(difference)


def _further(found: Further) -> Iterator[str]:
    for at, one in enumerate(found.conditions, start=2):
        yield f"    {one.name or f'condition {at}'}: {one.meaning.detector}: {_one_line(one.meaning.query)}"
    if found.conditions:
        yield f"    need: {found.need}"
    if found.traffic:
        yield f"    traffic of at least {found.minimum_traffic:g}: {_one_line(found.traffic)}"


def _difference(difference: Difference) -> Iterator[str]:
    old, new = _value(difference.field, difference.old), _value(difference.field, difference.new)
    name = _SPANS.get(difference.field, difference.field)
    if "\n" not in old + new and len(old) + len(new) < 80:
        yield f"    {name}: {old} → {new}"
        return
    yield f"    {name}:"
    yield from (f"      - {line}" for line in old.splitlines())
    yield from (f"      + {line}" for line in new.splitlines())


def _value(field: str, value: Any) -> str:
    if field in _SPANS:
        return span(value)
    if field == "managed_by":
        return str(value) or BY_HAND
    if value is None or value == "":
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:99]}…"


def _printable(text: str) -> str:
    """Files come from outside: no escape sequence of theirs may reach the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
