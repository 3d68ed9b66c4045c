"""The world fixture: see world.py."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from django.utils import timezone

from remediation import condition, doorbell, loop, registry, repair
from tests.remediation.world import LedgerBackend, World


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object) -> Iterator[World]:
    """Time, samples, targets and doorbells under the test's control."""
    made = World(ledger=LedgerBackend())
    monkeypatch.setitem(registry.backends(), "ledger", made.ledger)  # type: ignore[arg-type]
    monkeypatch.setattr(condition.window, "fetch", made.fetch)
    monkeypatch.setattr(condition, "client_for", lambda source: None)
    monkeypatch.setattr(loop, "ring", made.ring)
    monkeypatch.setattr(doorbell, "ring", made.ring)
    monkeypatch.setattr(doorbell.transaction, "on_commit", lambda callback: callback())

    class Clock:
        @staticmethod
        def now() -> datetime:
            return made.now

    monkeypatch.setattr(repair, "timezone", Clock)
    assert timezone is not None
    yield made
