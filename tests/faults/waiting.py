"""Waiting for conditions, never for time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Unmet(AssertionError):
    """What a scenario waited for did not happen."""


def eventually(what: str, look: Callable[[], T], *, within_s: float = 60, every_s: float = 0.2) -> T:
    """The first truthy answer of `look`. Raises Unmet with what was waited for and the last answer."""
    deadline = time.monotonic() + within_s
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Unmet(f"not within {within_s:.0f} s: {what}; last seen: {answer!r}")
        time.sleep(every_s)


def stays(what: str, look: Callable[[], object], *, for_s: float) -> None:
    """Raises Unmet when `look` turns false within the time."""
    ends = time.monotonic() + for_s
    while time.monotonic() < ends:
        expect(what, look())
        time.sleep(0.2)


def expect(what: str, holds: object) -> None:
    """Raises Unmet unless it holds."""
    if not holds:
        raise Unmet(what)
