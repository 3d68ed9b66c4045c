"""What each version of a rule or playbook changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

SHOWN = 20
MISSING = object()
LINK = "font-medium text-primary-600 underline whitespace-nowrap dark:text-primary-500"
RESTORE = f'<a href="{{}}" class="{LINK}">{{}}</a>'


class Version(Protocol):
    number: int
    body: dict[str, Any]
    author: str
    at: datetime


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Every changed place with its old and new value; empty where there is none."""
    old, new = dict(_flat(before)), dict(_flat(after))
    places = [*old, *(place for place in new if place not in old)]
    changed = [place for place in places if old.get(place, MISSING) != new.get(place, MISSING)]
    return [(place, _text(old.get(place, MISSING)), _text(new.get(place, MISSING))) for place in changed]


def as_html(versions: Iterable[Version], *, restore_url: Callable[[int], str] | None = None) -> SafeString:
    """The newest first, each with what it changed; with a way back to the earlier ones for those who may."""
    rows = list(versions)
    if not rows:
        return format_html("{}", gettext("None yet: the first is written when you save."))
    older = [*rows[1:], None]
    items = [
        (row, differences(before.body, row.body) if before else []) for row, before in zip(rows, older, strict=True)
    ]
    newest = rows[0].number
    shown = (
        (_version(row, changed, restore_url(row.number) if restore_url and row.number != newest else ""),)
        for row, changed in items[:SHOWN]
    )
    return format_html_join("", "{}", shown)


def _version(row: Version, changed: list[tuple[str, str, str]], restore_url: str) -> SafeString:
    restore = gettext("Restore version %(n)s") % {"n": row.number}
    head = format_html(
        '<p class="mt-3"><strong>{}</strong> <time datetime="{}">{}</time> {} {}</p>',
        gettext("Version %(n)d") % {"n": row.number},
        row.at.isoformat(),
        timezone.localtime(row.at).strftime("%Y-%m-%d %H:%M:%S"),
        gettext("by %(author)s") % {"author": row.author},
        format_html(RESTORE, restore_url, restore) if restore_url else "",
    )
    if not changed:
        return format_html("{}<p>{}</p>", head, gettext("The first version.") if row.number == 1 else "")
    lines = format_html_join("", "<li><code>{}</code>: <del>{}</del> → <ins>{}</ins></li>", changed)
    return format_html('{}<ul class="hs-list">{}</ul>', head, lines)


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value, start=1):
            yield from _flat(item, f"{place} {number}")
    else:
        yield place, value


def _text(value: Any) -> str:
    if value is MISSING:
        return gettext("nothing")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
