"""What lasts rather than is large: the hour of the week, and a mean over many points. No plug-in lives here."""

from __future__ import annotations

import numpy as np

from remediation.detect.views import DAY_S, SIGMA, Mask, Memory, Places, mix
from remediation.series import Floats

WEEK_HOURS = 168


class TimeOfWeek(Memory):
    """What each hour of the week adds to the median of its time of day. It is believed while that makes the errors
    smaller by a twentieth, so a series without weekends is judged by the time of day alone."""

    added: Floats
    visits: Floats
    size: Floats
    points: Floats
    plain: Floats
    helped: Floats
    SHARE, SIZE, GAIN, EARLY = 0.3, 1 / 2000, 0.95, 50

    def __init__(self, count: int) -> None:
        super().__init__(count)
        for name in ("added", "visits"):
            self.keep(name, 0.0, WEEK_HOURS, dtype=np.float32)
        for name in ("size", "points", "plain", "helped"):
            self.keep(name, 0.0)

    def look(self, off: Floats, times: Floats, floor: Floats) -> Floats:
        """How many scales the value is off what is usual at this hour; off: its distance from the time of day's."""
        self._hour: Places = (np.where(np.isfinite(times), times, 0.0) // 3600 % WEEK_HOURS).astype(np.intp)
        self._added: Floats = self.added[self.rows, self._hour].astype(np.float64)
        self._visits: Floats = self.visits[self.rows, self._hour].astype(np.float64)
        self._off = off
        self._rest = off - self._added * self._visits / (self._visits + 1)
        self._judged = np.where(self.helped < self.GAIN * self.plain, self._rest, off)
        self._scale = np.maximum(SIGMA * self.size, floor)
        found: Floats = self._judged / self._scale
        return found

    def learn(self, live: Mask, steps: Floats) -> None:
        """live: those whose time of day is known as well."""
        share = 1 / np.maximum(3600 / steps, 1.0)
        self.points = self.points + live
        slow = np.maximum(self.SIZE, 1 / np.maximum(self.points, 1))
        error = self._off - self._added
        limit = np.where(self.points > self.EARLY, 4 * self._scale, np.inf)
        step = np.maximum(self.SHARE * share, 1 / (self._visits / share + 1))
        added = np.where(live, self._added + step * np.clip(error, -limit, limit), self._added)
        visits = np.where(live, self._visits + share, self._visits)
        self.added[self.rows, self._hour], self.visits[self.rows, self._hour] = added, visits
        again = live & (visits > 1)
        most = 6 * self._scale
        self.plain = mix(again, self.plain, slow, np.minimum(np.abs(self._off), most))
        self.helped = mix(again, self.helped, slow, np.minimum(np.abs(self._rest), most))
        self.size = mix(live, self.size, slow, np.abs(self._judged))


class Lasting(Memory):
    """The mean of some fifty deviations, each cut at two scales, so that only what lasts moves it. Compared with how
    far such means of this series have been from their own centre, with the farthest of them, and with where they were
    before: a mean that came near the same place on two visits is not new."""

    mean: Floats
    centre: Floats
    scale: Floats
    points: Floats
    unit: Floats
    visits: Floats
    last: Floats
    farthest: Floats
    current: Floats
    quiet: Floats
    age: Floats
    POINTS, CUT, WARM, SLOW = 48, 2.0, 96, 1 / 1000
    BINS, PER_SCALE = 128, 4
    LIMIT, YOUNG_LIMIT, YOUNG_DAYS = 2.3, 6.0, 7.0
    """Scales of such a mean that are an effect, and at the start, when little is known of how far it wanders."""
    BEYOND, HALF_DAYS = 1.35, 90.0
    """How much farther than the farthest it must be, which is halved in so many days."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        for name in ("mean", "centre", "scale", "points", "farthest", "current", "age"):
            self.keep(name, 0.0)
        self.keep("unit", np.nan)
        self.keep("quiet", 1e9)
        self.keep("visits", 0.0, self.BINS, dtype=np.float32)
        self.keep("last", -1e9, self.BINS, dtype=np.float32)

    def look(self, away: Floats, used: Mask, gaps: Floats) -> Floats:
        """How far the mean would be, signed, as a share of what is allowed. away: this value's deviation in scales;
        used: the series that have one; gaps: seconds since the last value."""
        points = self.points + 1
        cut = np.clip(np.nan_to_num(away), -self.CUT, self.CUT)
        self._mean = self.mean + np.maximum(1 / self.POINTS, 1 / points) * (cut - self.mean)
        self._off = self._mean - self.centre
        self._scale = np.maximum(SIGMA * self.scale, 1e-3)
        begun = ~np.isnan(self.unit)
        place = np.rint(np.where(begun, self._mean / self.unit, 0.0)) + self.BINS // 2
        self._bin: Places = np.clip(place, 0, self.BINS - 1).astype(np.intp)
        new = begun & (self.visits[self.rows, self._bin] < 1.5) & used & (points > self.WARM)
        self._size = np.where(new, self._off / self._scale, 0.0)
        self.age = self.age + gaps / DAY_S
        self.farthest = self.farthest * 0.5 ** (gaps / DAY_S / self.HALF_DAYS)
        youth = np.maximum(1 - self.age / self.YOUNG_DAYS, 0.0)
        self._limit = np.maximum(
            self.LIMIT + (self.YOUNG_LIMIT - self.LIMIT) * youth,
            self.BEYOND * self.farthest,
        )
        found: Floats = self._size / self._limit
        return found

    def learn(self, live: Mask, used: Mask, steps: Floats) -> None:
        self._learn_farthest(live, steps)
        self.points = self.points + used
        points = np.maximum(self.points, 1)
        self._learn_places(used)
        early = points <= 8
        share = np.maximum(self.SLOW, 1 / points)
        bounded = np.where(early, self._off, np.clip(self._off, -6 * self._scale, 6 * self._scale))
        size = np.where(early, np.abs(self._off), np.minimum(np.abs(self._off), 4 * self._scale))
        begins = used & np.isnan(self.unit) & (points >= self.WARM / 2) & (self.scale > 0)
        self.unit = np.where(begins, SIGMA * self.scale / self.PER_SCALE, self.unit)
        self.mean = np.where(used, self._mean, self.mean)
        self.centre = mix(used, self.centre, share, self.centre + bounded)
        self.scale = mix(used, self.scale, share, size)

    def _learn_farthest(self, live: Mask, steps: Floats) -> None:
        """What is going on joins the farthest when it has ended, so that it does not hide itself."""
        away = live & (np.abs(self._size) > self.LIMIT / 2)
        self.current = np.where(away, np.maximum(self.current, np.abs(self._size)), self.current)
        self.quiet = np.where(live, np.where(away, 0.0, self.quiet + 1), self.quiet)
        ended = live & (self.quiet > np.maximum(3, np.round(3600 / steps)))
        self.farthest = np.where(ended, np.maximum(self.farthest, self.current), self.farthest)
        self.current = np.where(ended, 0.0, self.current)

    def _learn_places(self, used: Mask) -> None:
        rows = self.rows[used & ~np.isnan(self.unit)]
        bins, points = self._bin[rows], self.points[rows]
        apart = points - self.last[rows, bins] > 3 * self.POINTS
        self.visits[rows, bins] += np.where(points <= self.WARM, 99.0, apart).astype(np.float32)
        self.last[rows, bins] = points
