"""How sure a share of successes is, and a difference of two. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Share:
    """hits of n, with the interval in which the true share lies with 95 % confidence: Wilson's score interval (1927),
    which stays sensible for few cases and for shares of 0 and 1. n 0: anything is possible."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else math.nan

    @property
    def low(self) -> float:
        return self._ends()[0]

    @property
    def high(self) -> float:
        return self._ends()[1]

    def _ends(self) -> tuple[float, float]:
        if not self.n:
            return 0.0, 1.0
        z2 = Z95 * Z95
        middle = (self.hits + z2 / 2) / (self.n + z2)
        half = Z95 / (self.n + z2) * math.sqrt(self.hits * (self.n - self.hits) / self.n + z2 / 4)
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, kw_only=True)
class Lift:
    """How much likelier a recovery is with us than without: the difference of two shares, with Newcombe's hybrid score
    interval (1998, method 10) at 95 %. Without a case on one side it is unknown: the interval is -1 to 1."""

    ours: Share
    alone: Share

    @property
    def known(self) -> bool:
        return bool(self.ours.n and self.alone.n)

    @property
    def value(self) -> float:
        return self.ours.value - self.alone.value

    @property
    def low(self) -> float:
        if not self.known:
            return -1.0
        return self.value - math.hypot(self.ours.value - self.ours.low, self.alone.high - self.alone.value)

    @property
    def high(self) -> float:
        if not self.known:
            return 1.0
        return self.value + math.hypot(self.ours.high - self.ours.value, self.alone.value - self.alone.low)
