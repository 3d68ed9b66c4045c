"""One question to one source, and what its detector says of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from remediation import registry
from remediation.detect.base import Detector, Verdicts
from remediation.exceptions import ObserveError, SourceFailed
from remediation.models import Rule, Source, SourceStatus
from remediation.observe import alerts, window
from remediation.observe.base import Question
from remediation.observe.clients import client_for, note_answer, note_failure
from remediation.observe.gate import gate_of
from remediation.registry import Params
from remediation.series import Matrix


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One condition: a query to a source, and the detector that judges the answer."""

    source: Source
    query: str
    detector: Detector
    params: Params

    @classmethod
    def of(cls, source: Source, query: str, detector: str, params: dict[str, Any]) -> Self:
        """Raises ConfigurationError."""
        found = registry.detector(detector)
        return cls(source=source, query=query, detector=found, params=found.parse(params))

    @classmethod
    def of_rule(cls, rule: Rule) -> Self:
        """The rule's first condition. Raises ConfigurationError."""
        return cls.of(rule.source, rule.query, rule.detector, rule.params)

    @property
    def question(self) -> Question:
        return Question(
            query=self.query,
            window_s=self.detector.window_s(self.params),
            step_s=self.detector.step_s(self.params),
            needs_liveness=self.detector.needs_liveness,
        )


def fetch(asked: Asked, *, now: datetime) -> Matrix:
    """The series that are asked for, as they are now. Raises ObserveError, ConfigurationError."""
    if asked.detector.source == "alerts":
        return _fetch_alerts(asked, now=now)
    with asking(asked.source, now=now):
        return window.fetch(client_for(asked.source), asked.question, now=now.timestamp())


def judge(asked: Asked, *, now: datetime) -> tuple[Verdicts, Matrix]:
    """The verdicts on all series, and what they were reached from. Raises ObserveError, ConfigurationError."""
    matrix = fetch(asked, now=now)
    return asked.detector.judge(matrix, asked.params), matrix


@contextmanager
def asking(source: Source, *, now: datetime) -> Iterator[None]:
    """Ask a source within this: through its gate, and with a note of whether it answers. What is wrong with one
    question (bad PromQL, a warning, too much of it) says nothing about the source."""
    try:
        with gate_of(source.pk).question():
            yield
    except SourceFailed as error:
        note_failure(source, str(error), now=now)
        raise
    except ObserveError:
        note_answer(source, now=now)
        raise
    note_answer(source, now=now)


def _fetch_alerts(asked: Asked, *, now: datetime) -> Matrix:
    """The stored alerts of the source. They are as fresh as the last pull, where the source is pulled."""
    status = SourceStatus.objects.filter(source_id=asked.source.pk).first()
    answered = status is not None and not status.failing
    return alerts.as_matrix(asked.source.pk, asked.query, now=now.timestamp(), answered=answered)
