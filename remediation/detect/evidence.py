"""What speaks for an alarm: the limits of the adaptive detector, one score of all evidence, and words for it.

No plug-in lives here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from remediation.detect.lasting import Lasting
from remediation.detect.views import Mask
from remediation.detect.wording import NO_SAMPLE, number
from remediation.series import Floats
from remediation.states import Code

FAR = 6.1
"""Scales from what is usual that are an effect."""
NOVEL = 0.7
"""Scales from the nearest precedent that make a value new."""
JUMP, JUMP_RARITY = 10.0, 4.0
"""A one-step error alarms at JUMP scales and at one in 10**JUMP_RARITY."""
WILD = 8.0
"""Scales of a one-step error that count as one jump, however long they last."""
ACT_FAR, ACT_RARER = 1.23, 0.35
"""How much farther, and how many powers of ten rarer than chance shows once a week, a value must be to reach ACT."""
TELL, ACT, MOST = 1.0, 1.2, 10.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the views say of one point of S series.

    In the unit of the series: floor (no scale is smaller), drift, jump (from the level and from the next step), widths
    (the scales of the level, of the time of day, of the next step), usual. As shares of what is allowed: effect, new
    (no precedent), novelty (hardly any), sudden, and lasting (signed). In scales: surprise. In powers of ten: rarity
    (of the effect); rare, what it must be by the budget; usually, what chance shows as often as was asked for.
    demand: by what all but novelty is divided.
    """

    floor: Floats
    drift: Floats
    jump: Floats
    widths: tuple[Floats, Floats, Floats]
    usual: Floats
    effect: Floats
    new: Floats
    novelty: Floats
    surprise: Floats
    sudden: Floats
    lasting: Floats
    rarity: Floats
    rare: Floats
    usually: Floats
    demand: Floats

    def score(self, big: Mask) -> Floats:
        """One score of all evidence; 0 where the value is not big."""
        odd = np.minimum(self.effect / self.demand, np.minimum(self.novelty, self.rarity / self.rare))
        raw = np.maximum(odd, np.maximum(self.sudden, np.abs(self.lasting)) / self.demand)
        strict = np.minimum(self.effect / ACT_FAR, np.minimum(self.new, self.rarity / (self.usually + ACT_RARER)))
        return _tiers(np.where(big, raw, 0.0), np.where(big, strict, 0.0))


def _tiers(raw: Floats, strict: Floats) -> Floats:
    """One score: below TELL as it is, then slowly up to ACT, which only strict evidence reaches."""
    raw = np.minimum(np.nan_to_num(raw, nan=0.0, posinf=MOST), MOST)
    strict = np.minimum(np.nan_to_num(strict, nan=0.0, posinf=MOST), MOST)
    told = np.minimum(TELL + 0.05 * np.log2(np.maximum(raw, 1.0)), ACT - 0.01)
    act = ACT + 0.1 * np.log2(np.maximum(strict, 1.0))
    found: Floats = np.where(raw < 1, raw, np.where(strict < 1, told, act))
    return found


@dataclass(frozen=True, kw_only=True)
class Told:
    """One verdict on one series, as far as a person wants to know it; judged: per second for counters."""

    value: float
    judged: float
    usual: float
    effect: float
    surprise: float
    sudden: float
    lasting: float
    rarity: float
    score: float
    code: float
    nearest: float
    seen: float
    counter: float

    def sentence(self, warm_up: int) -> str:
        if not np.isfinite(self.value):
            return NO_SAMPLE
        if self.code == Code.UNKNOWN:
            seen = f"{number(self.value)} after {self.seen:,.0f} usable points"
            return f"{seen}; {warm_up} are needed to know what is usual"
        what = f"{number(self.judged)}{' per second' if self.counter else ''}"
        if self.code == Code.OK:
            return f"{what} is usual: {number(self.usual)} is expected"
        return f"{what}{self._why()}{', clear enough to act' if self.score >= ACT else ''}"

    def _why(self) -> str:
        """The strongest evidence; nothing but a large effect is clear enough to act."""
        least = np.inf if self.score >= ACT else max(TELL, self.effect)
        if self.sudden >= least:
            return (
                f" differs by {number(round(self.surprise, 1))} scales from what the points before led to expect, "
                f"less than one in {10**JUMP_RARITY:,.0f} for this series"
            )
        if abs(self.lasting) >= least:
            way = "above" if self.lasting > 0 else "below"
            return (
                f", where {number(self.usual)} is usual: the mean of about {Lasting.POINTS} points has hardly been "
                f"so far {way} it in {self.seen:,.0f} points"
            )
        return self._size()

    def _size(self) -> str:
        way = "above" if self.judged > self.usual else "below"
        size = f" is {number(round(self.effect * FAR, 1))} scales {way} the usual {number(self.usual)}"
        rare = f", one in {_rounded(self.rarity)} for this series" if self.rarity > 0 else ""
        near = "" if np.isnan(self.nearest) else f"; nearest before: {number(self.nearest)}"
        return f"{size}{rare}{near}, in {self.seen:,.0f} points"


def _rounded(rarity: float) -> str:
    """One digit is as much as such a tail knows, and a million as far as it reaches."""
    times = 10 ** min(rarity, 6.0)
    digits = 10 ** int(np.floor(np.log10(times)))
    return f"{round(times / digits) * digits:,.0f}"
