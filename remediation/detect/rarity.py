"""How rare a deviation is for its series, and how used to alarms one has become. No plug-in lives here."""

from __future__ import annotations

import numpy as np

from remediation.detect.views import DAY_S, Mask, Memory
from remediation.series import Floats

LN10 = float(np.log(10))


class Tail(Memory):
    """The tail of a series' own past deviations: a running quantile, and beyond it a Pareto tail (Hill 1975)."""

    border: Floats
    shape: Floats
    points: Floats
    SHARE = 0.02

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.keep("border", float(np.log(0.5)))
        self.keep("shape", 0.3)
        self.keep("points", 0.0)

    def look(self, sizes: Floats) -> Floats:
        """-log10 of the share of the past that was larger; 0 for what is not in the tail."""
        self._beyond = np.log(np.maximum(sizes, 1e-6)) - self.border
        beyond = np.maximum(self._beyond, 0) / self.shape / LN10
        found: Floats = np.where(self._beyond > 0, beyond - np.log10(self.SHARE), 0.0)
        return found

    def learn(self, live: Mask) -> None:
        above = self._beyond > 0
        share = 4 * np.maximum(1 / 400, 1 / (self.points + 10))
        moved = self.border + share * np.where(above, 1 - self.SHARE, -self.SHARE)
        self.border = np.where(live, np.maximum(moved, -3.0), self.border)
        enough = live & above & (self.points > 20)
        weight = np.maximum(1 / 60, 1 / (10 + self.SHARE * self.points))
        shape = self.shape + weight * (np.minimum(self._beyond, 3) - self.shape)
        self.shape = np.where(enough, np.maximum(shape, 0.1), self.shape)
        self.points = self.points + live


class Habit(Memory):
    """What recurs stops alarming: each alarm raises a bar, which sinks again over days, and raises it more the farther
    the alarms of the last week are beyond what was asked for. One alarm ends after an hour of quiet, or three steps;
    the bar stays as it was while one lasts."""

    bar: Floats
    held: Floats
    quiet: Floats
    week: Floats
    RISE, DAYS, MOST = 0.3, 3.0, 10.0

    def __init__(self, count: int, weekly: float) -> None:
        super().__init__(count)
        self.weekly = weekly
        self.keep("week", 0.0)
        self.keep("bar", 1.0)
        self.keep("held", 1.0)
        self.keep("quiet", 1e9)

    def lasting(self, steps: Floats) -> Mask:
        found: Mask = self.quiet <= np.maximum(3, np.round(3600 / steps))
        return found

    def look(self, steps: Floats) -> Floats:
        """By what to divide."""
        found: Floats = np.where(self.lasting(steps), self.held, self.bar)
        return found

    def learn(self, live: Mask, alarm: Mask, gaps: Floats, steps: Floats) -> None:
        opens = live & alarm & ~self.lasting(steps)
        self.held = np.where(opens, self.bar, self.held)
        sunk = np.where(live, 1 + (self.bar - 1) * np.exp(-gaps / (self.DAYS * DAY_S)), self.bar)
        week = np.where(live, self.week * np.exp(-gaps / (7 * DAY_S)), self.week)
        self.week = week + opens
        rise = 1 + self.RISE * np.maximum(week / self.weekly, 0.5)
        self.bar = np.where(opens, np.minimum(self.bar * rise, self.MOST), sunk)
        self.quiet = np.where(live, np.where(alarm, 0.0, self.quiet + 1), self.quiet)
