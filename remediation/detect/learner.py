"""The core of the adaptive detector: several views of S series, joined to one score, one point at a time."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from remediation.detect.evidence import FAR, JUMP, JUMP_RARITY, MOST, NOVEL, TELL, WILD, Look, Told
from remediation.detect.intake import Arrival, Intake
from remediation.detect.lasting import Lasting, TimeOfWeek
from remediation.detect.rarity import Budget, Tail
from remediation.detect.stream import Judged, Stream
from remediation.detect.views import DAY_S, SIGMA, TINY, Level, Mask, Memory, NextStep, Places, Precedents, TimeOfDay
from remediation.series import Floats
from remediation.states import Code

Direction = Literal["high", "low", "both"]

SLOTS = 96
"""Of a quarter of an hour each."""
PREDICTABLE = 0.4
"""A series is predictable whose mean one-step error is less than this share of its mean deviation."""
SPREAD_SHARE = 0.3
"""A scale is at least this share of the mean deviation."""


class Learner(Stream):
    """State of S series. Whatever a point is judged by was learnt before it."""

    def __init__(self, count: int, *, weekly: float, direction: Direction, minimum_effect: float, warm_up: int) -> None:
        self.count, self.direction, self.minimum_effect, self.warm_up = count, direction, minimum_effect, warm_up
        self.intake = Intake(count)
        self.level = Level(count)
        self.next = NextStep(count, SLOTS)
        self.day = TimeOfDay(count, SLOTS)
        self.week = TimeOfWeek(count)
        self.lasting = Lasting(count)
        self.lasting_today = Lasting(count)
        self.precedents = Precedents(count)
        self.jumps = Tail(count)
        self.tail = Tail(count)
        self.budget = Budget(count, weekly)
        self._memories: tuple[Memory, ...] = (
            *(self.level, self.next, self.day, self.week, self.lasting, self.lasting_today),
            *(self.precedents, self.jumps, self.tail, self.budget),
        )
        self.seen = np.zeros(count)
        self._last: tuple[Floats, Floats, Look, Floats, NDArray[np.int8]] | None = None

    def take(self, rows: Places) -> None:
        """Goes on with these series only, in this order; each knows what it knew."""
        for memory in (self.intake, *self._memories):
            memory.choose(rows)
        self.count, self.seen, self._last = len(rows), self.seen[rows], None

    def grow(self, count: int) -> None:
        """Adds series at the end that have seen nothing."""
        for memory in (self.intake, *self._memories):
            memory.add(count)
        self.count, self.seen, self._last = self.count + count, np.append(self.seen, np.zeros(count)), None

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def update(self, times: Floats, values: Floats) -> Judged:
        """Looks first, by what was learnt from earlier points, and learns then."""
        arrival = self.intake.take(times, values)
        self._forget(arrival.restarted)
        self.seen = self.seen + arrival.live
        fresh = arrival.live & np.isnan(self.level.long)
        self.level.begin(fresh, arrival.values)
        self.next.begin(fresh, arrival.values)
        slot = (np.where(arrival.live, times, 0.0) % DAY_S / DAY_S * SLOTS).astype(np.intp)
        look = self._look(times, arrival, slot)
        ready = arrival.live & (self.seen >= self.warm_up)
        big = np.abs(arrival.values - look.usual) >= self.minimum_effect
        scores = np.where(ready, look.score(big), np.nan)
        lower, upper = self._expected(look.widths, arrival, ready)
        self._learn(times, arrival, look, slot, alarm=ready & (scores >= TELL))
        codes = np.where(scores >= TELL, Code.BAD, Code.OK)
        codes = np.where(ready, codes, Code.UNKNOWN).astype(np.int8)
        self._last = (values, arrival.values, look, scores, codes)
        return Judged(codes=codes, scores=scores, lower=lower, upper=upper)

    def _look(self, times: Floats, arrival: Arrival, slot: Places) -> Look:
        values = arrival.values
        floor = np.maximum(np.nan_to_num(0.01 * np.abs(self.level.long)) + 1e-12, TINY)
        least = np.maximum(SPREAD_SHARE * self.level.spread, floor)
        drift = self.level.look(values, np.maximum(self.seen, 1.0))
        jump = self.next.look(values, slot)
        off = self.day.look(values, slot)
        widths = (
            np.maximum(SIGMA * self.level.scale, least),
            np.maximum(np.maximum(SIGMA * self.day.width, 0.6 * self.level.scale), least),
            np.maximum(SIGMA * self.next.scale, least),
        )
        first, second = self.precedents.look(values)
        unheard = ~self.precedents.ready
        effect = np.maximum(self._sided(drift) / widths[0], self._sided(off) / widths[1]) / FAR
        surprise = np.abs(jump) / arrival.patience / widths[2]
        sudden = np.minimum(
            self._sided(jump) / arrival.patience / widths[2] / JUMP, self.jumps.look(surprise / WILD) / JUMP_RARITY
        )
        demand, rare = self.budget.look(np.where(arrival.live, arrival.gaps, 0.0), arrival.steps)
        return Look(
            floor=floor,
            drift=drift,
            jump=jump,
            widths=widths,
            usual=np.where(self.day.known, self.day.middle, self.level.long),
            effect=effect,
            new=np.where(unheard, MOST, first / widths[2] / NOVEL),
            novelty=np.where(unheard, MOST, second / widths[2] / NOVEL),
            surprise=surprise,
            sudden=np.where(self._predictable() & ((effect > 0.5) | (first > 0)), sudden, 0.0),
            lasting=self._lasting(times, arrival, off, floor),
            rarity=self.tail.look(effect),
            rare=rare,
            usually=self.budget.usual(arrival.steps),
            demand=demand,
        )

    def _lasting(self, times: Floats, arrival: Arrival, off: Floats, floor: Floats) -> Floats:
        """Of the means of what the values are off the level, and off this hour, the one that is farther, signed."""
        gaps = np.where(arrival.live, arrival.gaps, 0.0)
        level = (arrival.values - self.level.long) / np.maximum(SIGMA * self.level.spread, floor)
        today = self.week.look(off, times, floor)
        one = self._towards(self.lasting.look(level, arrival.live, gaps))
        other = self._towards(self.lasting_today.look(today, arrival.live & self.day.known, gaps))
        found: Floats = np.where(np.abs(one) > np.abs(other), one, other)
        return found

    def _learn(self, times: Floats, arrival: Arrival, look: Look, slot: Places, *, alarm: Mask) -> None:
        live, values, floor, steps = arrival.live, arrival.values, look.floor, arrival.steps
        seen = np.maximum(self.seen, 1.0)
        per_slot = np.maximum(DAY_S / SLOTS / steps, 1.0)
        usual_spread = self.level.scale
        self.jumps.learn(live, self.seen, steps)
        self.tail.learn(live, self.seen, steps)
        self.budget.learn(live, alarm)
        self.lasting.learn(live, live, steps)
        self.lasting_today.learn(live, live & self.day.known, steps)
        self.week.learn(live & self.day.known, steps)
        self.precedents.learn(live, times, steps, early=self.seen < self.warm_up)
        self.level.learn(live, values, look.drift, seen, floor)
        self.next.learn(live, look.jump, seen, floor, slot=slot, per_slot=per_slot, patience=arrival.patience)
        self.day.learn(live, values, floor, slot=slot, per_slot=per_slot, usual=usual_spread)
        begins = live & ~self.precedents.ready & (self.seen >= self.warm_up / 2) & (self.level.spread > 0)
        self.precedents.begin(begins, self.level.long, np.maximum(SIGMA * self.next.scale, floor))

    def reasons(self) -> tuple[str, ...]:
        if self._last is None:
            return ("no history yet",) * self.count
        values, judged, look, scores, codes = self._last
        columns = {
            "value": values,
            "judged": judged,
            "usual": look.usual,
            "effect": look.effect,
            "surprise": look.surprise,
            "sudden": look.sudden / look.demand,
            "lasting": look.lasting / look.demand,
            "rarity": look.rarity,
            "score": scores,
            "code": codes.astype(np.float64),
            "nearest": self.precedents.nearest(),
            "seen": self.seen,
            "counter": self.intake.counter,
        }
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return tuple(Told(**dict(zip(columns, row, strict=True))).sentence(self.warm_up) for row in rows)

    def _forget(self, which: Mask) -> None:
        if not which.any():
            return
        for memory in self._memories:
            memory.forget(which)
        self.seen = np.where(which, 0.0, self.seen)

    def _sided(self, away: Floats) -> Floats:
        """The distance in the direction that is watched, never negative."""
        if self.direction == "both":
            return np.abs(away)
        found: Floats = np.maximum(away if self.direction == "high" else -away, 0.0)
        return found

    def _towards(self, away: Floats) -> Floats:
        """The signed distance, 0 where it lies in the direction that is not watched."""
        return np.sign(away) * self._sided(away)

    def _predictable(self) -> Mask:
        found: Mask = self.next.error < PREDICTABLE * self.level.spread
        return found

    def _expected(self, widths: tuple[Floats, ...], arrival: Arrival, ready: Mask) -> tuple[Floats, Floats]:
        """Where no single value is bad: within reach of the level and of the time of day, in the unit of the samples.
        What lasts may be bad within it."""
        half = FAR * widths[0]
        lower, upper = self.level.reach(half)
        middle, wide = self.day.middle, FAR * widths[1]
        low = np.where(self.day.known, np.maximum(lower, middle - wide), lower)
        high = np.where(self.day.known, np.minimum(upper, middle + wide), upper)
        apart = low > high
        low, high = np.where(apart, high, low), np.where(apart, low, high)
        center, jump = self.next.expected, JUMP * widths[2] * arrival.patience
        steady = self._predictable() & (center - jump < high) & (center + jump > low)
        low = np.where(steady, np.maximum(low, center - jump), low)
        high = np.where(steady, np.minimum(high, center + jump), high)
        low = arrival.base + arrival.unit * low
        high = arrival.base + arrival.unit * high
        low = np.full(self.count, -np.inf) if self.direction == "high" else low
        high = np.full(self.count, np.inf) if self.direction == "low" else high
        return np.where(ready, low, np.nan), np.where(ready, high, np.nan)
