"""Whose a series is."""

from __future__ import annotations

from functools import lru_cache

from remediation import matchers
from remediation.exceptions import MatcherError


@lru_cache(maxsize=20000)
def owner_of(labels: tuple[tuple[str, str], ...], services: tuple[tuple[int, str], ...]) -> int | None:
    """The first service whose matchers fit, as the loop assigns incidents."""
    found = dict(labels)
    for service_id, text in services:
        try:
            if matchers.matches(text, found):
                return service_id
        except MatcherError:
            continue
    return None
