"""From what was seen at each slot to episodes: the detector and the phases of live evaluation, on a recorded clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from remediation.backtest.outcome import Episode, Replayed, SeriesSum, Stretch
from remediation.combination import OPEN
from remediation.detect.base import Verdicts
from remediation.detect.phase import Standing, advance
from remediation.exceptions import HomeostatError
from remediation.series import Labels, Matrix, fingerprint
from remediation.standings import REFRESH_S
from remediation.states import Code, Phase

MAX_STRETCHES = 200
"""Changes of verdict that are kept of one episode; what flaps more often is told by its numbers."""
LOOK_UP_EVERY = 50
"""Slots between two looks at whether it was cancelled."""

Moment = tuple[Matrix, ...]
"""What was seen at one slot; all of it at one time."""

_NONE = np.empty(0)
NOTHING = Verdicts(
    labels=(),
    codes=np.empty(0, dtype=np.int8),
    values=_NONE,
    scores=_NONE,
    lower=_NONE,
    upper=_NONE,
    times=_NONE,
    reasons=(),
)
"""No series, so no verdict; those known before are unknown."""


class Cancelled(HomeostatError):
    """Somebody stopped it."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One verdict on one series."""

    at: float
    code: int
    value: float
    reason: str


@dataclass
class Running:
    """An episode under way."""

    pending_at: float
    began_before: bool
    reason: str = ""
    firing_at: float | None = None
    unknown_s: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    runs: list[list[float]] = field(default_factory=list)  # start, end, code


@dataclass
class Track:
    """One series so far. `standing` is what the database would hold: see `_kept`."""

    fingerprint: str
    labels: dict[str, str]
    standing: Standing
    code: int
    running: Running | None = None
    fired: int = 0
    firing_s: float = 0.0
    unknown_s: float = 0.0
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class Waits:
    for_s: float
    keep_firing_for_s: float


def replay(
    moments: Iterable[Moment],
    judge: Callable[[Moment, Callable[[], Sequence[Labels]]], Verdicts],
    waits: Waits,
    *,
    count: int,
    progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Replayed:
    """Judge every moment (count of them, oldest first) and keep what live evaluation would have kept. `judge` is given
    the moment and a way to ask which series are open. Raises Cancelled, and whatever fetching the moments raises."""
    judged = Judge(waits)
    for number, moment in enumerate(moments):
        if number % LOOK_UP_EVERY == 0:
            if cancelled():
                raise Cancelled("the backtest was cancelled")
            progress(number / count)
        judged.take(judge(moment, judged.open_series), at=moment[0].now)
    progress(1.0)
    return judged.result()


class Judge:
    """Takes in the verdicts of one slot after the other, as episodes.take_in does."""

    def __init__(self, waits: Waits) -> None:
        self.waits = waits
        self.tracks: dict[str, Track] = {}
        self.episodes: list[Episode] = []
        self.first_at = self.last_at = 0.0
        self.slots = 0
        self._names: dict[frozenset[tuple[str, str]], str] = {}

    def take(self, verdicts: Verdicts, *, at: float) -> None:
        if not self.slots:
            self.first_at = self.last_at = at
        seen: set[str] = set()
        codes = verdicts.codes.tolist()
        for row, labels in enumerate(verdicts.labels):
            name = self._name(labels)
            seen.add(name)
            track = self.tracks.get(name)
            if track is not None and track.quiet and codes[row] == Code.OK:
                continue  # good as before: nothing that is kept of it would change
            one = Seen(at=at, code=codes[row], value=float(verdicts.values[row]), reason=verdicts.reasons[row])
            self._advance(name, labels, one)
        if len(seen) < len(self.tracks):
            missing = Seen(at=at, code=int(verdicts.missing), value=math.nan, reason=verdicts.missing_reason)
            for name in self.tracks.keys() - seen:
                if not (self.tracks[name].quiet and missing.code == Code.OK):
                    self._advance(name, self.tracks[name].labels, missing)
        self.slots += 1
        self.last_at = at

    def open_series(self) -> list[Labels]:
        return [track.labels for track in self.tracks.values() if track.standing.phase in OPEN]

    def _name(self, labels: Labels) -> str:
        key = frozenset(labels.items())
        found = self._names.get(key)
        if found is None:
            found = self._names[key] = fingerprint(labels)
        return found

    def _advance(self, name: str, labels: Labels, seen: Seen) -> None:
        track = self.tracks.get(name)
        waits = self.waits
        after = advance(
            track.standing if track else None,
            Code(seen.code).verdict,
            now=seen.at,
            for_s=waits.for_s,
            keep_firing_for_s=waits.keep_firing_for_s,
        )
        if track is None:
            track = self.tracks[name] = Track(fingerprint=name, labels=dict(labels), standing=after, code=seen.code)
        else:
            self._pass_time(track, seen.at - self.last_at)
            track.standing = _kept(track.standing, after, track.code, seen.code)
        track.code = seen.code
        phase = track.standing.phase
        track.quiet = phase == Phase.OK and seen.code == Code.OK
        if track.running is None and phase in (Phase.PENDING, Phase.FIRING) and seen.code == Code.BAD:
            track.running = Running(pending_at=seen.at, began_before=self.slots == 0)
        if track.running is not None:
            _follow(track.running, phase, seen)
            if phase == Phase.OK:
                self._close(track, track.running, seen.at)

    def _pass_time(self, track: Track, since_s: float) -> None:
        """What the verdict before this slot meant for the time until it."""
        if track.code == Code.UNKNOWN:
            track.unknown_s += since_s
            if track.running is not None:
                track.running.unknown_s += since_s

    def _close(self, track: Track, running: Running, ended_at: float | None) -> None:
        until = self.last_at if ended_at is None else ended_at
        track.running = None
        if running.firing_at is not None:
            track.fired += 1
            track.firing_s += until - running.firing_at
        self.episodes.append(
            Episode(
                fingerprint=track.fingerprint,
                labels=track.labels,
                pending_at=running.pending_at,
                firing_at=running.firing_at,
                ended_at=ended_at,
                began_before=running.began_before,
                unknown_s=running.unknown_s,
                low=running.low if math.isfinite(running.low) else None,
                high=running.high if math.isfinite(running.high) else None,
                reason=running.reason,
                stretches=tuple(
                    Stretch(start=start, end=end, verdict=Code(int(code)).verdict)
                    for start, end, code in running.runs[:MAX_STRETCHES]
                ),
            )
        )

    def result(self) -> Replayed:
        for track in self.tracks.values():
            if track.running is not None:
                self._close(track, track.running, None)
        sums = [
            SeriesSum(
                fingerprint=track.fingerprint,
                labels=track.labels,
                fired=track.fired,
                firing_s=track.firing_s,
                unknown_s=track.unknown_s,
            )
            for track in self.tracks.values()
        ]
        return Replayed(
            start=self.first_at,
            end=self.last_at,
            evaluations=self.slots,
            series=len(self.tracks),
            episodes=tuple(sorted(self.episodes, key=lambda one: (one.pending_at, one.fingerprint))),
            sums=tuple(sorted(sums, key=lambda one: (-one.firing_s, -one.fired, one.fingerprint))),
        )


def _follow(running: Running, phase: Phase, seen: Seen) -> None:
    if seen.code == Code.BAD:
        running.reason = seen.reason
        if math.isfinite(seen.value):
            running.low, running.high = min(running.low, seen.value), max(running.high, seen.value)
    if running.runs:
        running.runs[-1][1] = seen.at
    if not running.runs or running.runs[-1][2] != seen.code:
        running.runs.append([seen.at, seen.at, seen.code])
    if phase == Phase.FIRING and running.firing_at is None:
        running.firing_at = seen.at


def _kept(before: Standing, after: Standing, code_before: int, code: int) -> Standing:
    """What the row of the series says afterwards: an unchanged good verdict is written every REFRESH_S only, and the
    next one is measured from what was written."""
    moved = after.phase != before.phase or code != code_before
    if moved or code != Code.OK or after.judged_at - before.judged_at >= REFRESH_S:
        return after
    return before
