"""One question to one source, and what its detector says of the answer."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

import numpy as np

from remediation import registry
from remediation.detect import following
from remediation.detect.base import Detector, Verdicts
from remediation.detect.following import Eras, Follower
from remediation.exceptions import ObserveError, SourceFailed
from remediation.models import Prepared, Rule, Source, SourceStatus
from remediation.observe import alerts, kept, promql, window
from remediation.observe.base import Access, Question
from remediation.observe.clients import client_for, note_answer, note_failure
from remediation.observe.gate import gate_of
from remediation.observe.shelf import shelf
from remediation.registry import Params
from remediation.series import Matrix

_status_of = Prepared(lambda given: SourceStatus.objects.filter(source=given("source")).order_by())
_noted: ContextVar[set[int] | None] = ContextVar("noted", default=None)
"""The sources whose answer was noted already, where once is enough."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One condition: a query to a source, and the detector that judges the answer. only: of alerts, the fingerprints
    that are asked for, where it is not all that fit."""

    source: Source
    query: str
    detector: Detector
    params: Params
    only: frozenset[str] | None = None

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


def fetch(asked: Asked, *, now: datetime, at_slot: bool = False) -> Matrix:
    """The series that are asked for, as they are now: see judge. Raises ObserveError, ConfigurationError."""
    if asked.detector.source == "alerts":
        return _fetch_alerts(asked, now=now)
    source, at = asked.source, now.timestamp()
    with asking(source, now=now):
        if at_slot:
            return kept.fetch(client_for(source), source.pk, asked.question, now=at)
        return window.fetch(client_for(source), asked.question, now=at)


def judge(asked: Asked, *, now: datetime, at_slot: bool = False) -> tuple[Verdicts, Matrix]:
    """The verdicts on all series, and what they were reached from: of a detector with a stream, its newest column.
    Raises ObserveError, ConfigurationError.

    at_slot: `now` is when a slot of a rule began. Then what earlier looks have fetched and learnt is gone on with, and
    the answer is shared with whoever asks the same at that time. Otherwise everything is asked for anew.
    """
    if following.follows(asked.detector, asked.params):
        return _follow(asked, now=now, at_slot=at_slot)
    matrix = fetch(asked, now=now, at_slot=at_slot)
    return asked.detector.judge(matrix, asked.params), matrix


@contextmanager
def asking(source: Source, *, now: datetime) -> Iterator[None]:
    """Ask a source within this: through its gate, and with a note of whether it answers. What is wrong with one
    question (bad PromQL, a warning, too much of it) says nothing about the source."""
    try:
        with gate_of(source.pk).question():
            yield
    except SourceFailed as error:
        (_noted.get() or set()).discard(source.pk)
        note_failure(source, str(error), now=now)
        raise
    except ObserveError:
        _note(source, now=now)
        raise
    _note(source, now=now)


@contextmanager
def noting_once() -> Iterator[None]:
    """Within this, of many questions that a source answers only the first is noted: they are all of one moment."""
    token = _noted.set(set())
    try:
        yield
    finally:
        _noted.reset(token)


def _note(source: Source, *, now: datetime) -> None:
    noted = _noted.get()
    if noted is None or source.pk not in noted:
        note_answer(source, now=now)
    if noted is not None:
        noted.add(source.pk)


def _fetch_alerts(asked: Asked, *, now: datetime) -> Matrix:
    """The stored alerts of the source. They are as fresh as the last pull, where the source is pulled."""
    status = _status_of.first(source=asked.source.pk)
    answered = status is not None and not status.failing
    return alerts.as_matrix(asked.source.pk, asked.query, now=now.timestamp(), answered=answered, only=asked.only)


# --- detectors with a stream ------------------------------------------------------------------------------------------


class _Followed:
    """A follower, of the source as it was described when it began."""

    def __init__(self, access: Access, follower: Follower) -> None:
        self.lock = threading.Lock()
        self.access, self.follower = access, follower

    @property
    def nbytes(self) -> int:
        return self.follower.nbytes


def _follow(asked: Asked, *, now: datetime, at_slot: bool) -> tuple[Verdicts, Matrix]:
    client, at = client_for(asked.source), window.whole_ms(now.timestamp()) / 1000
    if not at_slot:  # a stream of its own, which nobody goes on with
        found = _look(asked, client, _follower(asked), at=at, now=now)
    else:
        phase = round(at * 1000) % window.step_ms(asked.question)
        params = asked.params.model_dump_json()
        key = (asked.source.pk, asked.query, asked.detector.name, params, phase)
        made = lambda: _Followed(client.access, _follower(asked))  # noqa: E731
        with shelf.held(key, made, wait_s=client.access.timeout_s) as followed:
            if followed.access != client.access:  # another address, or another notion of stale
                followed.access, followed.follower = client.access, _follower(asked)
            found = _look(asked, client, followed.follower, at=at, now=now)
    found = replace(found, labels=window.without_names(found.labels))
    reach_s = promql.reach_s(asked.query, lookback_s=client.access.stale_after_s)
    newest = Matrix(
        labels=found.labels, times=np.array([at]), values=found.values[:, None], now=now.timestamp(), reach_s=reach_s
    )
    return found, newest


def _follower(asked: Asked) -> Follower:
    return Follower(asked.detector, asked.params, Eras.of(asked.detector, asked.params, asked.query))


def _look(asked: Asked, client: window.Client, follower: Follower, *, at: float, now: datetime) -> Verdicts:
    """Asks within the gate, and replays outside: that may take a second."""
    step_s = window.step_ms(asked.question) / 1000
    steps = math.floor((at - follower.needs_from(at)) / step_s + 0.01)
    question = replace(asked.question, window_s=(steps + 0.5) * step_s)
    with asking(asked.source, now=now):
        if follower.begins_anew(at):  # too much to keep beside the stream
            found = window.columns(client, question, window.times_of(question, at))
        else:
            found = kept.columns(client, asked.source.pk, question, now=at)
    matrix = Matrix(labels=found.raw, times=found.times, values=found.values, now=at)
    return follower.look(matrix, complete_until=at - client.access.stale_after_s)
