"""Whether a source answers is written seldom, and rightly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from remediation.models import Source, SourceStatus
from remediation.observe.clients import note_answer, note_failure

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def source() -> Source:
    return Source.objects.create(name="prom", url="http://127.0.0.1:1")


def test_answers_in_a_row_are_written_once_a_second(
    source: Source, django_assert_num_queries: Callable[[int], object]
) -> None:
    note_answer(source, now=at(0))
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        note_answer(source, now=at(0.9))
    note_answer(source, now=at(1))
    assert SourceStatus.objects.get().answered_at == at(1)


@pytest.mark.parametrize("failed", [0.0, 0.2])
def test_an_answer_clears_a_failure_at_once(source: Source, failed: float) -> None:
    note_answer(source, now=at(0))
    note_failure(source, "refused", now=at(failed))
    note_answer(source, now=at(0.4))
    status = SourceStatus.objects.get()
    assert (status.answered_at, status.failing) == (at(0.4), False)
