"""Invariant 13: each of the five, by itself, feeds the breaker of its step."""

from __future__ import annotations

import pytest

from remediation.models import Breaker, change
from tests.remediation.decide.situations import NOW, a_remediation, a_rule, an_incident
from tests.remediation.world import make_service

pytestmark = pytest.mark.django_db

WAYS = {
    "ineffective": ("verifying", "ineffective"),
    "worsened": ("verifying", "worsened"),
    "inconclusive": ("verifying", "inconclusive"),
    "failed": ("failed",),
    "unknown": ("unknown",),
}


@pytest.mark.parametrize("state", WAYS)
def test_what_feeds_the_breaker(state: str) -> None:
    service = make_service()
    row = a_remediation(an_incident(a_rule(service), service), [], state="executing")
    for to in WAYS[state]:
        assert change(row, to, now=NOW, reason=f"is {to}")
    opens = "open" if state == "worsened" else "closed"
    assert list(Breaker.objects.values_list("state", "bad")) == [(opens, 1)]
