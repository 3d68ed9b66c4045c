"""The world fixture: see world.py."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from django.db import transaction

from remediation import condition, doorbell, evaluation, judging, loop, registry
from remediation.observe import kept, window
from remediation.repair import effect, rollout, undo
from tests.remediation.threaded import threaded_database  # noqa: F401 - a fixture
from tests.remediation.told import told, written_by_hand  # noqa: F401 - fixtures
from tests.remediation.world import LedgerBackend, World


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Time, samples, targets and doorbells under the test's control."""
    made = World(ledger=LedgerBackend())
    monkeypatch.setitem(registry.backends(), "ledger", made.ledger)
    monkeypatch.setattr(window, "fetch", made.fetch)
    monkeypatch.setattr(kept, "fetch", lambda client, source_id, question, now: window.fetch(client, question, now=now))
    for module in (condition, judging):
        monkeypatch.setattr(module, "client_for", lambda source: None)
    # The world answers with samples and cannot count; that is for a real Prometheus, in test_evaluation.
    monkeypatch.setattr(evaluation, "COUNTED_FROM", 10**9)
    monkeypatch.setattr(loop, "ring", made.ring)
    monkeypatch.setattr(doorbell, "ring", made.ring)
    monkeypatch.setattr(transaction, "on_commit", lambda callback: callback())

    class Clock:
        @staticmethod
        def now() -> datetime:
            return made.now

    for module in (effect, undo):
        monkeypatch.setattr(module, "timezone", Clock)
    monkeypatch.setattr(rollout, "sleep", made.sleep)
    yield made
