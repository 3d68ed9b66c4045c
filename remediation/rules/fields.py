"""Fields of files that people write: taken as they should be, or wrong at a line."""

from __future__ import annotations

from typing import Any

from remediation.conf import parse_duration
from remediation.models.base import LABEL_NAME
from remediation.rules import reading
from remediation.rules.reading import Block, Items, Text


class Wrong(Exception):
    """Something in a file, at a line, that cannot be taken."""

    def __init__(self, line: int, text: str) -> None:
        self.line, self.text = line, text
        super().__init__(text)


def block(found: Any, line: int, what: str) -> Block:
    if not isinstance(found, Block):
        raise Wrong(getattr(found, "line", line), f"{what} must be a mapping")
    return found


def items(within: Block, key: str) -> Items | tuple[()]:
    found = within.get(key)
    if found is None and key == "groups":
        raise Wrong(within.line, "there are no groups; a rule file begins with `groups:`")
    if found is None or reading.is_nothing(found):
        return ()
    if not isinstance(found, Items):
        raise Wrong(within.lines[key], f"{key} must be a list")
    return found


def text(within: Block, key: str) -> str:
    found = within.get(key)
    if found is None or reading.is_nothing(found):
        return ""
    if not isinstance(found, Text):
        raise Wrong(within.lines[key], f"{key} must be a text")
    if "\x00" in found:
        raise Wrong(within.lines[key], f"{key} holds a NUL character")
    return str(found)


def pairs(within: Block, key: str) -> dict[str, str]:
    """Labels or annotations. An empty value is none, as in Prometheus."""
    if key not in within or reading.is_nothing(within[key]):
        return {}
    found = block(within[key], within.lines[key], key)
    for name in found:
        if not LABEL_NAME.fullmatch(name):
            raise Wrong(found.lines[name], f"{name!r} is no name for a label: letters, digits and underscores")
    return {name: text(found, name) for name in found if text(found, name)}


def duration(within: Block, key: str) -> float:
    written = text(within, key)
    if written in ("", "0"):
        if key == "interval":
            raise Wrong(within.lines[key], "an interval is longer than nothing")
        return 0.0
    try:
        seconds = round(parse_duration(written), 3)
    except ValueError as error:
        raise Wrong(within.lines[key], f"{key}: {error}") from None
    if key == "interval" and seconds < 1:
        raise Wrong(within.lines[key], "an interval is at least 1s")
    return seconds


def known_keys(within: Block, known: set[str], where: str) -> None:
    unknown = sorted(within.keys() - known)
    if unknown:
        line = min(within.lines[key] for key in unknown)
        raise Wrong(line, f"{', '.join(unknown)} is unknown {where}; known: {', '.join(sorted(known))}")
