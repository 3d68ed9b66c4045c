"""A source whose samples a test writes down: it answers questions about any time, as Prometheus does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from remediation.observe.answers import Answer, Samples
from remediation.observe.base import Access
from remediation.series import Labels

LIVENESS = "count(up) and count(up offset"

Value = Callable[[float], float | None]


@dataclass
class RecordedClient:
    """Each series is its labels and a function of time, None where there is no sample. NaN is a sample."""

    series: list[tuple[Labels, Value]] = field(default_factory=list)
    alive: Value = lambda at: 1.0
    access: Access = field(default_factory=lambda: Access(url="http://recorded.example", stale_after_s=5))
    asked: list[str] = field(default_factory=list)

    def instant(self, query: str, *, at: float) -> Answer:
        return self._answer(query, np.array([at]))

    def range(self, query: str, *, start: float, end: float, step_s: float) -> Answer:
        self.asked.append(query)
        step = round(step_s * 1000)
        return self._answer(query, np.arange(round(start * 1000), round(end * 1000) + 1, step) / 1000)

    def _answer(self, query: str, times: np.ndarray) -> Answer:
        told: list[tuple[Labels, Value]] = [({}, self.alive)] if query.startswith(LIVENESS) else self.series
        found: list[Samples] = []
        for labels, value in told:
            pairs = [(at, value(float(at))) for at in times]
            there = [(at, number) for at, number in pairs if number is not None]
            if there:
                kept, values = zip(*there, strict=True)
                found.append(Samples(labels=labels, times=np.array(kept), values=np.array(values, dtype=float)))
        return Answer(kind="matrix", series=tuple(found))


def listed(values: list[float | None], *, start: float, step_s: float) -> Value:
    """A value for each step from start on; none before and after."""

    def at(moment: float) -> float | None:
        place = int(np.floor((moment - start) / step_s + 1e-6))
        return values[place] if 0 <= place < len(values) else None

    return at
