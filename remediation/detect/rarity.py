"""How rare a deviation is for its series, and how many alarms it has left. No plug-in lives here."""

from __future__ import annotations

import numpy as np

from remediation.detect.views import DAY_S, Mask, Memory
from remediation.series import Floats

LN10 = float(np.log(10))
WEEK_S = 7 * DAY_S


def hour(steps: Floats) -> Floats:
    """The points of an hour, at least three: after so many quiet ones something has ended."""
    found: Floats = np.maximum(3, np.round(3600 / steps))
    return found


class Tail(Memory):
    """The tail of a series' own past deviations: a running quantile, and beyond it a Pareto tail (Hill 1975). Sizes
    are shares of what is wild; of what is wild for long only the first point is learnt, for one is one."""

    border: Floats
    shape: Floats
    points: Floats
    quiet: Floats
    SHARE = 0.02

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.keep("border", float(np.log(0.5)))
        self.keep("shape", 0.3)
        self.keep("points", 0.0)
        self.keep("quiet", 1e9)

    def look(self, sizes: Floats) -> Floats:
        """-log10 of the share of the past that was larger; 0 for what is not in the tail."""
        self._beyond = np.log(np.maximum(np.nan_to_num(sizes), 1e-6)) - self.border
        self._wild = (sizes >= 1) & (self._beyond > 0)
        beyond = np.maximum(self._beyond, 0) / self.shape / LN10
        found: Floats = np.where(self._beyond > 0, beyond - np.log10(self.SHARE), 0.0)
        return found

    def learn(self, live: Mask, seen: Floats, steps: Floats) -> None:
        wild = live & self._wild
        repeats = wild & (self.quiet <= hour(steps))
        self.quiet = np.where(live, np.where(wild, 0.0, self.quiet + 1), self.quiet)
        self._learn(live & (seen > 3) & ~repeats)

    def _learn(self, live: Mask) -> None:
        above = self._beyond > 0
        share = 4 * np.maximum(1 / 400, 1 / (self.points + 10))
        moved = self.border + share * np.where(above, 1 - self.SHARE, -self.SHARE)
        self.border = np.where(live, np.maximum(moved, -3.0), self.border)
        enough = live & above & (self.points > 20)
        weight = np.maximum(1 / 60, 1 / (10 + self.SHARE * self.points))
        shape = self.shape + weight * (np.minimum(self._beyond, 3) - self.shape)
        self.shape = np.where(enough, np.maximum(shape, 0.1), self.shape)
        self.points = self.points + live


class Budget(Memory):
    """How many alarms a series has left of so many a week. Each alarm costs one; what is not spent is kept, up to
    MOST. Who is in debt must show more, the more the deeper: so a series that is always odd comes to rest at what was
    asked for. The debt ends at DEEPEST, so that no series falls silent for good. One alarm ends after an hour of quiet,
    or three steps; what it needed stays as it was while it lasts."""

    credit: Floats
    held: Floats
    quiet: Floats
    FIRST, MOST, DEEPEST = 1.0, 4.0, 5.0
    FARTHER = 0.2
    """How much larger a deviation must be for each alarm of debt."""
    AT_FIRST, RARER = -0.65, 0.3
    """How rare a deviation must be, in powers of ten and beside one in the points of a week: at first, and for each
    alarm of debt."""
    LEAST = 0.3

    def __init__(self, count: int, weekly: float) -> None:
        super().__init__(count)
        self.weekly = weekly
        self.keep("credit", self.FIRST)
        self.keep("held", 0.0)
        self.keep("quiet", 1e9)

    def look(self, gaps: Floats, steps: Floats) -> tuple[Floats, Floats]:
        """By what to divide a deviation, and how rare it must be (in powers of ten)."""
        self.credit = np.minimum(self.credit + gaps / WEEK_S * self.weekly, self.MOST)
        self._lasting = self.quiet <= hour(steps)
        debt = np.clip(1 - self.credit, 0, self.DEEPEST)
        self._debt = np.where(self._lasting, np.minimum(debt, self.held), debt)
        rare = self.usual(steps) + self.AT_FIRST + self.RARER * self._debt
        return 1 + self.FARTHER * self._debt, np.maximum(rare, self.LEAST)

    def usual(self, steps: Floats) -> Floats:
        """So rare that chance alone shows it as often as was asked for (in powers of ten)."""
        found: Floats = np.log10(np.maximum(WEEK_S / steps / self.weekly, 1.0))
        return found

    def learn(self, live: Mask, alarm: Mask) -> None:
        opens = live & alarm & ~self._lasting
        self.held = np.where(opens, self._debt, self.held)
        self.credit = np.maximum(self.credit - opens, 1 - self.DEEPEST)
        self.quiet = np.where(live, np.where(alarm, 0.0, self.quiet + 1), self.quiet)
