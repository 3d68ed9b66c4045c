"""What arrives for a series before anything is learnt: its step, gaps, and whether it counts up. No plug-in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from remediation.detect.views import Mask, Memory
from remediation.series import Floats


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """live: has a usable value now. values: what to judge, 0 where not live; per second for counters. base and unit
    turn such a value back into what was measured: base + unit * value. patience: how much more than usual a value may
    have moved since the last one. restarted: all that was learnt of the series so far was about something else."""

    live: Mask
    values: Floats
    gaps: Floats
    steps: Floats
    patience: Floats
    base: Floats
    unit: Floats
    restarted: Mask


class Intake(Memory):
    """A counter is a series that is never negative and never falls but to less than half (a reset), and rises at most
    steps; the first points decide. One that falls a little later was a gauge after all."""

    last: Floats
    step: Floats
    before: Floats
    points: Floats
    rises: Floats
    falls: Floats
    counter: Floats
    DECIDE = 12

    def __init__(self, count: int) -> None:
        super().__init__(count)
        for name in ("last", "step", "before"):
            self.keep(name, np.nan)
        for name in ("points", "rises", "falls", "counter"):
            self.keep(name, 0.0)

    def take(self, times: Floats, values: Floats) -> Arrival:
        usable = np.isfinite(values) & np.isfinite(times) & ~(times <= self.last)
        follows = usable & ~np.isnan(self.last)
        gaps = np.where(follows, times - self.last, 0.0)
        self._learn_step(follows, gaps)
        restarted = self._learn_kind(usable, follows, values)
        steps = np.where(np.isnan(self.step), 60.0, self.step)
        counts = self.counter > 0
        rise = np.where(values < self.before, values, values - self.before)
        seconds = np.where(gaps > 0, gaps, 1.0)
        live = usable & (self.points > self.DECIDE) & (follows | ~counts)
        arrival = Arrival(
            live=live,
            values=np.where(live, np.where(counts, rise / seconds, values), 0.0),
            gaps=gaps,
            steps=steps,
            patience=np.where(counts, 1.0, np.sqrt(np.clip(np.round(gaps / steps), 1, 100))),
            base=np.where(counts, self.before, 0.0),
            unit=np.where(counts, seconds, 1.0),
            restarted=restarted,
        )
        self.last = np.where(usable, times, self.last)
        self.before = np.where(usable, values, self.before)
        return arrival

    def _learn_step(self, follows: Mask, gaps: Floats) -> None:
        """A running median of the gaps."""
        known = np.where(self.step > 0, self.step, 1.0)
        way = np.sign(np.round(gaps / known, 2) - 1) * 0.1 / (1 + self.points / 50)
        step = np.where(np.isnan(self.step), gaps, known * np.exp(way))
        self.step = np.where(follows, step, self.step)

    def _learn_kind(self, usable: Mask, follows: Mask, values: Floats) -> Mask:
        """Counters and gauges; returns those that turned out not to be what they seemed."""
        self.points = self.points + usable
        falls = usable & ((values < 0) | (follows & (values < self.before) & ~(values < self.before / 2)))
        self.rises = self.rises + (follows & (values > self.before))
        self.falls = self.falls + falls
        wrong = (self.counter > 0) & falls
        decides = usable & (self.points == self.DECIDE)
        self.counter = np.where(decides, (self.falls == 0) & (self.rises >= 0.6 * self.DECIDE), self.counter)
        self.counter = np.where(wrong, 0.0, self.counter)
        return wrong
