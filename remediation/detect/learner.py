"""The core of the adaptive detector: several views of S series, joined to one score, one point at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from remediation.detect.intake import Arrival, Intake
from remediation.detect.rarity import Habit, Tail
from remediation.detect.stream import Judged, Stream
from remediation.detect.views import DAY_S, SIGMA, TINY, Level, Mask, NextStep, Places, Precedents, TimeOfDay
from remediation.detect.wording import NO_SAMPLE, number
from remediation.series import Floats
from remediation.states import Code

Direction = Literal["high", "low", "both"]

SLOTS = 96
"""Of a quarter of an hour each."""
FAR = 6.0
"""Scales from what is usual that are an effect."""
NOVEL = 0.7
"""Scales from the nearest precedent that make a value new."""
JUMP, JUMP_RARITY, PREDICTABLE = 10.0, 4.0, 0.4
"""A one-step error alarms at JUMP scales and at one in 10**JUMP_RARITY, where the mean error is less than
PREDICTABLE of the mean deviation."""
WILD = 8.0
"""Scales of a one-step error that count as one jump, however long they last."""
SPREAD_SHARE = 0.3
"""A scale is at least this share of the mean deviation."""
ACT_FAR = 1.5
"""How much farther a value must be for the score to reach ACT."""
TELL, ACT, MOST = 1.0, 1.2, 10.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the views say of one point of S series, in their own unit or as shares of what is allowed."""

    floor: Floats
    drift: Floats
    jump: Floats
    widths: tuple[Floats, Floats, Floats]
    usual: Floats
    effect: Floats
    new: Floats
    novelty: Floats
    surprise: Floats
    rarity: Floats
    sudden: Floats


class Learner(Stream):
    """State of S series. Whatever a point is judged by was learnt before it."""

    def __init__(self, count: int, *, weekly: float, direction: Direction, minimum_effect: float, warm_up: int) -> None:
        self.count, self.direction, self.minimum_effect, self.warm_up = count, direction, minimum_effect, warm_up
        self.intake = Intake(count)
        self.level = Level(count)
        self.next = NextStep(count, SLOTS)
        self.day = TimeOfDay(count, SLOTS)
        self.precedents = Precedents(count)
        self.tail = Tail(count)
        self.habit = Habit(count, weekly)
        self.seen = np.zeros(count)
        self.jumping = np.full(count, 1e9)
        self._last: tuple[Floats, Floats, Look, Floats, NDArray[np.int8]] | None = None

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
        look = self._look(arrival, slot)
        ready = arrival.live & (self.seen >= self.warm_up)
        scores = np.where(ready, self._score(arrival, look), np.nan)
        lower, upper = self._expected(look.widths, arrival, ready)
        self._learn(times, arrival, look, slot, alarm=ready & (scores >= TELL))
        infinite = np.isinf(values) & (self.seen >= self.warm_up)
        watched = infinite & (self._sided(np.where(infinite, values, 0.0)) > 0)
        scores = np.where(infinite, np.where(watched, MOST, 0.0), scores)
        codes = np.where(scores >= TELL, Code.BAD, Code.OK)
        codes = np.where(ready | infinite, codes, Code.UNKNOWN).astype(np.int8)
        self._last = (values, arrival.values, look, scores, codes)
        return Judged(codes=codes, scores=scores, lower=lower, upper=upper)

    def _look(self, arrival: Arrival, slot: Places) -> Look:
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
        rarity = self.tail.look(surprise / WILD)
        sudden = np.minimum(self._sided(jump) / arrival.patience / widths[2] / JUMP, rarity / JUMP_RARITY)
        return Look(
            floor=floor,
            drift=drift,
            jump=jump,
            widths=widths,
            usual=np.where(self.day.known, self.day.middle, self.level.long),
            effect=effect,
            new=np.where(unheard, MOST, first / widths[2] / NOVEL),
            novelty=np.where(unheard, MOST, second / widths[2] / NOVEL) / self.habit.look(arrival.steps),
            surprise=surprise,
            rarity=rarity,
            sudden=np.where(self._predictable() & ((effect > 0.5) | (first > 0)), sudden, 0.0),
        )

    def _score(self, arrival: Arrival, look: Look) -> Floats:
        big = np.abs(arrival.values - look.usual) >= self.minimum_effect
        raw = np.where(big, np.maximum(np.minimum(look.effect, look.novelty), look.sudden), 0.0)
        strict = np.where(big, np.minimum(look.effect / ACT_FAR, look.new), 0.0)
        return _tiers(raw, strict)

    def _learn(self, times: Floats, arrival: Arrival, look: Look, slot: Places, *, alarm: Mask) -> None:
        live, values, floor = arrival.live, arrival.values, look.floor
        seen = np.maximum(self.seen, 1.0)
        per_slot = np.maximum(DAY_S / SLOTS / arrival.steps, 1.0)
        usual_spread = self.level.scale
        self.tail.learn(live & (self.seen > 3) & ~self._repeats(live, look, arrival))
        self.habit.learn(live, alarm, arrival.gaps, arrival.steps)
        self.precedents.learn(live, times, arrival.steps, early=self.seen < self.warm_up)
        self.level.learn(live, values, look.drift, seen, floor)
        self.next.learn(live, look.jump, seen, floor, slot=slot, per_slot=per_slot, patience=arrival.patience)
        self.day.learn(live, values, floor, slot=slot, per_slot=per_slot, usual=usual_spread)
        begins = live & ~self.precedents.ready & (self.seen >= self.warm_up / 2) & (self.level.spread > 0)
        self.precedents.begin(begins, self.level.long, np.maximum(SIGMA * self.next.scale, floor))

    def reasons(self) -> tuple[str, ...]:
        if self._last is None:
            return ("no history yet",) * self.count
        nearest = self.precedents.nearest()
        values, judged, look, scores, codes = self._last
        parts = (values, judged, look.usual, look.effect * FAR, look.surprise, scores, look.sudden, codes, nearest)
        columns = np.array(parts, dtype=np.float64)
        return tuple(self._reason(row, *columns[:, row].tolist()) for row in range(self.count))

    def _reason(  # noqa: PLR0917 - a column of numbers, and one sentence per case
        self,
        row: int,
        value: float,
        judged: float,
        usual: float,
        effect: float,
        surprise: float,
        score: float,
        sudden: float,
        code: float,
        nearest: float,
    ) -> str:
        seen = self.seen[row]
        if np.isnan(value):
            return NO_SAMPLE
        if code == Code.UNKNOWN:
            return f"{number(value)} after {seen:,.0f} usable points; {self.warm_up} are needed to know what is usual"
        if np.isinf(value):
            return f"{number(value)} is nothing that was ever usual"
        rate = " per second" if self.intake.counter[row] else ""
        what = f"{number(judged)}{rate}"
        if code == Code.OK:
            return f"{what} is usual: {number(usual)} is expected"
        way = "above" if judged > usual else "below"
        if sudden >= TELL:
            return (
                f"{what} differs by {number(round(surprise, 1))} scales from what the points before led to expect, "
                f"less than one in {10**JUMP_RARITY:,.0f} for this series"
            )
        near = "" if np.isnan(nearest) else f"; nearest before: {number(nearest)}"
        tier = ", clear enough to act" if score >= ACT else ""
        size = f"{number(round(effect, 1))} scales {way} the usual {number(usual)}"
        return f"{what} is {size}{near}, in {seen:,.0f} points{tier}"

    def _forget(self, which: Mask) -> None:
        if not which.any():
            return
        for memory in (self.level, self.next, self.day, self.precedents, self.tail, self.habit):
            memory.forget(which)
        self.seen = np.where(which, 0.0, self.seen)

    def _sided(self, away: Floats) -> Floats:
        """The distance in the direction that is watched, never negative."""
        if self.direction == "both":
            return np.abs(away)
        found: Floats = np.maximum(away if self.direction == "high" else -away, 0.0)
        return found

    def _predictable(self) -> Mask:
        found: Mask = self.next.error < PREDICTABLE * self.level.spread
        return found

    def _repeats(self, live: Mask, look: Look, arrival: Arrival) -> Mask:
        """Points of a jump that was learnt already: one is one, however long."""
        wild = live & (look.surprise >= WILD) & (look.rarity > 0)
        lasting = self.jumping <= np.maximum(3, np.round(3600 / arrival.steps))
        self.jumping = np.where(live, np.where(wild, 0.0, self.jumping + 1), self.jumping)
        found: Mask = wild & lasting
        return found

    def _expected(self, widths: tuple[Floats, ...], arrival: Arrival, ready: Mask) -> tuple[Floats, Floats]:
        """Where no alarm is possible: within reach of the level and of the time of day, in the unit of the samples."""
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


def _tiers(raw: Floats, strict: Floats) -> Floats:
    """One score: below TELL as it is, then slowly up to ACT, which only strict evidence reaches."""
    raw = np.minimum(np.nan_to_num(raw, nan=0.0, posinf=MOST), MOST)
    strict = np.minimum(np.nan_to_num(strict, nan=0.0, posinf=MOST), MOST)
    told = np.minimum(TELL + 0.05 * np.log2(np.maximum(raw, 1.0)), ACT - 0.01)
    act = ACT + 0.1 * np.log2(np.maximum(strict, 1.0))
    found: Floats = np.where(raw < 1, raw, np.where(strict < 1, told, act))
    return found
