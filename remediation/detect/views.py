"""The views that the adaptive detector takes of a series; each learns from what it has seen. No plug-in lives here.

All work on S series at once. `look` compares the values with what was learnt before and changes nothing;
`learn` takes them in. `live` says which series have a value; the others stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from remediation.series import Floats

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

SIGMA = 1.25
"""A mean absolute deviation times this is a standard deviation under normality."""
TINY = 1e-9
DAY_S = 86_400.0


class Memory:
    """Arrays with one row per series; rows can be forgotten, chosen and added."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.rows = np.arange(count)
        self._initial: dict[str, float] = {}
        """What each array begins with."""

    def keep(self, name: str, initial: float, *shape: int, dtype: Any = np.float64) -> None:
        self._initial[name] = initial
        setattr(self, name, np.full((self.count, *shape), initial, dtype=dtype))

    def forget(self, which: Mask) -> None:
        for name, initial in self._initial.items():
            getattr(self, name)[which] = initial

    def choose(self, rows: Places) -> None:
        """Keeps these rows, in this order."""
        self._rows(len(rows))
        for name in self._initial:
            setattr(self, name, getattr(self, name)[rows])

    def add(self, count: int) -> None:
        """Adds rows at the end which have seen nothing."""
        self._rows(self.count + count)
        for name, initial in self._initial.items():
            old = getattr(self, name)
            fresh = np.full((count, *old.shape[1:]), initial, dtype=old.dtype)
            setattr(self, name, np.concatenate([old, fresh]))

    def _rows(self, count: int) -> None:
        self.count, self.rows = count, np.arange(count)


def mix(live: Mask, old: Floats, share: Floats | float, new: Floats) -> Floats:
    """A running mean moved towards the new value by a share, where live."""
    found: Floats = np.where(live, old + share * (new - old), old)
    return found


class Level(Memory):
    """A short mean against the long level: what lasts, or is large. From: EWMA charts (Roberts 1959), clipped."""

    long: Floats
    short: Floats
    scale: Floats
    spread: Floats
    SHORT, LONG, SCALE, SPREAD = 0.5, 1 / 120, 1 / 400, 1 / 5000

    def __init__(self, count: int) -> None:
        super().__init__(count)
        for name in ("long", "short"):
            self.keep(name, np.nan)
        for name in ("scale", "spread"):
            self.keep(name, 0.0)

    def begin(self, fresh: Mask, values: Floats) -> None:
        self.long = np.where(fresh, values, self.long)
        self.short = np.where(fresh, values, self.short)

    def look(self, values: Floats, seen: Floats) -> Floats:
        """How far the short mean would be from the level, signed."""
        self._share = np.maximum(self.SHORT, 1 / seen)
        self._next = self.short + self._share * (values - self.short)
        away: Floats = self._next - self.long
        return away

    def reach(self, half: Floats) -> tuple[Floats, Floats]:
        """The values that keep the short mean within half of the level."""
        rest = self.short * (1 - self._share)
        return (self.long - half - rest) / self._share, (self.long + half - rest) / self._share

    def learn(self, live: Mask, values: Floats, away: Floats, seen: Floats, floor: Floats) -> None:
        scale = np.maximum(SIGMA * self.scale, floor)
        off = values - self.long
        early = seen < 8
        clipped = np.where(early, off, np.clip(off, -6 * scale, 6 * scale))
        bounded = np.where(early, np.abs(away), np.minimum(np.abs(away), 4 * scale))
        self.long = mix(live, self.long, np.maximum(self.LONG, 1 / seen), self.long + clipped)
        self.short = np.where(live, self._next, self.short)
        self.scale = mix(live, self.scale, np.maximum(self.SCALE, 1 / seen), bounded)
        self.spread = mix(live, self.spread, np.maximum(self.SPREAD, 1 / seen), np.abs(off))


class NextStep(Memory):
    """The next value, from a quick level and the time of day. From: Holt (1957) and Winters (1960), clipped updates."""

    level: Floats
    season: Floats
    scale: Floats
    error: Floats
    LEVEL, SEASON, SCALE, ERROR = 0.25, 0.3, 1 / 400, 1 / 5000

    def __init__(self, count: int, slots: int) -> None:
        super().__init__(count)
        self.keep("level", np.nan)
        self.keep("season", 0.0, slots)
        for name in ("scale", "error"):
            self.keep(name, 0.0)

    def begin(self, fresh: Mask, values: Floats) -> None:
        self.level = np.where(fresh, values, self.level)

    def look(self, values: Floats, slot: Places) -> Floats:
        self.expected: Floats = self.level + self.season[self.rows, slot]
        away: Floats = values - self.expected
        return away

    def learn(
        self, live: Mask, away: Floats, seen: Floats, floor: Floats, *, slot: Places, per_slot: Floats, patience: Floats
    ) -> None:
        """patience: how much wider an error may be after a gap; per_slot: points in one slot of a day."""
        scale = np.maximum(SIGMA * self.scale, floor)
        early = seen < 8
        clipped = np.where(early, away, np.clip(away, -8 * scale, 8 * scale))
        size = np.abs(away) / patience
        self.level = mix(live, self.level, np.maximum(self.LEVEL, 1 / seen), self.level + clipped)
        self.season[self.rows, slot] += np.where(live, self.SEASON / per_slot * clipped * (1 - self.LEVEL), 0.0)
        self.scale = mix(
            live, self.scale, np.maximum(self.SCALE, 1 / seen), np.where(early, size, np.minimum(size, 4 * scale))
        )
        self.error = mix(live, self.error, np.maximum(self.ERROR, 1 / seen), np.abs(away))


class TimeOfDay(Memory):
    """The median and spread of each slot of the day, both moved by clipped steps; known after four days."""

    median: Floats
    scale: Floats
    visits: Floats
    SHARE, VISITS = 0.15, 4

    def __init__(self, count: int, slots: int) -> None:
        super().__init__(count)
        self.keep("median", np.nan, slots)
        self.keep("scale", np.nan, slots)
        self.keep("visits", 0.0, slots)

    def look(self, values: Floats, slot: Places) -> Floats:
        """How far from the slot's median, signed; 0 where it is not known yet."""
        self.middle: Floats = self.median[self.rows, slot]
        self.width: Floats = np.nan_to_num(self.scale[self.rows, slot])
        self._seen = self.visits[self.rows, slot]
        self.known: Mask = self._seen >= self.VISITS
        found: Floats = np.where(self.known, values - self.middle, 0.0)
        return found

    def learn(
        self, live: Mask, values: Floats, floor: Floats, *, slot: Places, per_slot: Floats, usual: Floats
    ) -> None:
        """usual: the spread to begin a slot with."""
        fresh = live & np.isnan(self.middle)
        away = np.where(np.isnan(self.middle), 0.0, values - self.middle)
        wide = np.maximum(self.width, floor)
        share = np.maximum(self.SHARE / per_slot, 1 / (self._seen * per_slot + 1))
        early = self._seen < 2
        step = np.where(early, away, np.clip(away, -2 * wide, 2 * wide))
        size = np.where(early, np.abs(away), np.minimum(np.abs(away), 4 * SIGMA * wide))
        middle = np.where(fresh, values, self.middle + share * step)
        width = np.where(fresh, usual, self.width + share * (size - self.width))
        old_width = self.scale[self.rows, slot]
        self.median[self.rows, slot] = np.where(live, middle, self.middle)
        self.scale[self.rows, slot] = np.where(live, width, old_width)
        self.visits[self.rows, slot] = self._seen + np.where(live, 1 / per_slot, 0.0)


class Precedents(Memory):
    """Which values a series has had before, and how often: visits per bin on an asinh scale around its early level.

    Values in one bin within an hour of each other, or within three steps, are one visit.
    """

    visits: Floats
    last: Floats
    centre: Floats
    unit: Floats
    BINS, PER_UNIT = 128, 6.0

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.keep("visits", 0.0, self.BINS, dtype=np.float32)
        self.keep("last", -np.inf, self.BINS)
        self.keep("centre", np.nan)
        self.keep("unit", np.nan)
        self._bins = np.arange(self.BINS, dtype=np.float32)

    def begin(self, fresh: Mask, centre: Floats, unit: Floats) -> None:
        self.centre = np.where(fresh, centre, self.centre)
        self.unit = np.where(fresh, unit, self.unit)

    def look(self, values: Floats) -> tuple[Floats, Floats]:
        """The distance to the nearest value seen before, and to the nearest seen on two visits; 0 while none is."""
        self.ready = ~np.isnan(self.unit)
        unit = np.where(self.ready, self.unit, 1.0)
        place = np.where(self.ready, (values - self.centre) / unit, 0.0)
        scaled = np.clip(np.rint(self.PER_UNIT * np.arcsinh(place / 2)) + self.BINS // 2, 0, self.BINS - 1)
        self._bin: Places = scaled.astype(np.intp)
        bin_width = 2 * np.sqrt(place * place / 4 + 1) / self.PER_UNIT * unit
        away = np.abs(self._bins - scaled[:, None].astype(np.float32))
        distances = []
        for visits in (0.5, 1.5):
            nearest = np.where(self.visits > visits, away, np.float32(1e4)).min(axis=1)
            distances.append(np.where(self.ready & (nearest < 1e4), nearest * bin_width, 0.0))
        return distances[0], distances[1]

    def nearest(self) -> Floats:
        """The value seen before that is nearest to the one looked at last; NaN where none is."""
        away = np.where(self.visits > 0.5, np.abs(self._bins - self._bin[:, None]), 1e4)
        found = np.argmin(away, axis=1)
        value = self.centre + self.unit * 2 * np.sinh((found - self.BINS // 2) / self.PER_UNIT)
        return np.where(away.min(axis=1) < 1e4, value, np.nan)

    def learn(self, live: Mask, times: Floats, steps: Floats, *, early: Mask) -> None:
        """early: what is seen now counts as usual at once."""
        rows = self.rows[live & self.ready]
        bins = self._bin[rows]
        apart = times[rows] - self.last[rows, bins] >= np.maximum(3600.0, 3 * steps[rows])
        self.visits[rows, bins] += np.where(early[rows], np.float32(99), apart.astype(np.float32))
        self.last[rows, bins] = times[rows]
