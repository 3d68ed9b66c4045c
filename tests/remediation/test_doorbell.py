"""Bells that are answered where they are rung: in order, a bounded number, and none is lost when something breaks."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from remediation import doorbell
from remediation.doorbell import AT_HAND, answered_here, ring_after_commit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    made: list[tuple[str, dict[str, Any]]] = []

    def ring(task: str, *, expires_s: float | None = None, on_queue: str | None = None, **ids: Any) -> bool:
        made.append((task, ids))
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    return made


def test_what_is_rung_for_is_done_here_after_the_commit(sent: list[Any]) -> None:
    done: list[str] = []

    def first() -> None:
        with transaction.atomic():
            ring_after_commit("reconcile", incident_id=1)
            done.append("first")
            assert len(done) == 1
        ring_after_commit("act", remediation_id=9)

    def reconcile(*, incident_id: int) -> None:
        done.append(f"reconcile {incident_id}")
        ring_after_commit("advance", remediation_id=2)

    def advance(*, remediation_id: int) -> None:
        done.append(f"advance {remediation_id}")

    answered_here(first, {"reconcile": reconcile, "advance": advance})
    assert done == ["first", "reconcile 1", "advance 2"]
    assert sent == [("act", {"remediation_id": 9})]
    ring_after_commit("reconcile", incident_id=3)
    assert sent[-1] == ("reconcile", {"incident_id": 3})


def test_a_storm_is_for_all_workers(sent: list[Any]) -> None:
    done: list[int] = []

    def first() -> None:
        for number in range(100):
            ring_after_commit("reconcile", incident_id=number)

    answered_here(first, {"reconcile": lambda *, incident_id: done.append(incident_id)})
    assert done == list(range(AT_HAND))
    assert [ids["incident_id"] for _, ids in sent] == list(range(AT_HAND, 100))


def test_what_was_not_answered_is_rung_for_when_something_breaks(sent: list[Any]) -> None:
    def first() -> None:
        for number in range(3):
            ring_after_commit("reconcile", incident_id=number)

    def breaks(*, incident_id: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        answered_here(first, {"reconcile": breaks})
    assert [ids["incident_id"] for _, ids in sent] == [1, 2]
    ring_after_commit("reconcile", incident_id=5)
    assert sent[-1] == ("reconcile", {"incident_id": 5})


def test_nothing_is_rung_for_a_transaction_that_was_rolled_back(sent: list[Any]) -> None:
    done: list[int] = []

    def first() -> None:
        with pytest.raises(ValueError, match="no"), transaction.atomic():
            ring_after_commit("reconcile", incident_id=1)
            raise ValueError("no")

    answered_here(first, {"reconcile": lambda *, incident_id: done.append(incident_id)})
    assert done == []
    assert sent == []
