"""The moments at which a rule is evaluated, and the grid of samples that all of them together look at. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from remediation.exceptions import ConfigurationError

MAX_SLOTS = 700_000
"""A week at one evaluation a second, and some more."""
MAX_COLUMNS = 2_000_000
"""Points in time that are fetched at most."""


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Moments `first_ms`, `first_ms + every_ms`, ...: whole milliseconds, as the source counts them."""

    first_ms: int
    every_ms: int
    count: int

    def at(self, number: int) -> float:
        return (self.first_ms + number * self.every_ms) / 1000

    @property
    def last_ms(self) -> int:
        return self.first_ms + max(self.count - 1, 0) * self.every_ms


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Columns that hold every point any slot looks at. A slot n is column `lead + n * stride`, and its history the
    `points - 1` columns before it that lie `hop` apart."""

    first_ms: int
    step_ms: int
    lead: int
    stride: int
    hop: int
    points: int


def slots_between(*, interval_s: float, offset_s: float, start: float, end: float) -> Slots:
    """The slots of a rule from start to end, both included. Raises ConfigurationError for none and for too many."""
    every = max(round(interval_s * 1000), 1)
    number = math.ceil((start - offset_s) / interval_s - 1e-9)
    first = math.floor((number * interval_s + offset_s) * 1000)
    count = math.floor((end * 1000 - first) / every) + 1
    if count < 1:
        raise ConfigurationError("the rule is not evaluated once in this range; choose a longer one")
    if count > MAX_SLOTS:
        raise ConfigurationError(
            f"the rule is evaluated {count:,} times in this range, more than {MAX_SLOTS:,}; choose a shorter one"
        )
    return Slots(first_ms=first, every_ms=every, count=count)


def grid_of(slots: Slots, *, window_s: float, step_s: float) -> Grid:
    """The coarsest grid that has every slot and every point of its window in it. Raises ConfigurationError."""
    if window_s <= 0 or step_s <= 0:
        return Grid(first_ms=slots.first_ms, step_ms=slots.every_ms, lead=0, stride=1, hop=1, points=1)
    hop_ms = max(round(step_s * 1000), 1)
    before = int(window_s * 1000 // hop_ms)  # as observe.window counts them
    step = math.gcd(hop_ms, slots.every_ms)
    hop, stride = hop_ms // step, slots.every_ms // step
    lead = before * hop
    if lead + slots.count * stride > MAX_COLUMNS:
        raise ConfigurationError(
            f"a step of {step_s:g} s and an interval of {slots.every_ms / 1000:g} s share only {step / 1000:g} s, too "
            "fine for this range; choose a shorter range, or a step that is a multiple of the interval"
        )
    first = slots.first_ms - lead * step
    return Grid(first_ms=first, step_ms=step, lead=lead, stride=stride, hop=hop, points=before + 1)
