"""Following series with a detector's stream from look to look, feeding it what is new only. Pure; no plug-in.

What a verdict rests on follows from the time of the look and the rule alone, never from what happens to be kept: a
stream begins with an *era*, a fixed time, with a whole window before it, and anew half a window later, with the next.
So between one and one and a half windows of history are behind each verdict, in every process, after every restart, and
in a backtest; and what is lost is had again by replaying the points from the same beginning.
"""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from remediation.detect.base import Detector, Verdicts
from remediation.detect.stream import Judged, Stream, stream_of, unknown
from remediation.series import Floats, Labels, Matrix

if TYPE_CHECKING:
    from remediation.registry import Params

ERA_SHARE = 0.5
"""Of a window, until a stream begins anew: forgets what is older, and takes in what came too late."""
MOST_POINTS = 10_900
"""Points of one question: somewhat fewer than Prometheus answers."""
MOST_GROUPS = 32
"""Groups of series that began at different looks; each costs an update of its own. With more, all begin anew as one."""
TINY_S = 1e-4
"""Times are whole milliseconds: what is nearer than this is the same."""

Key = frozenset[tuple[str, str]]
Places = NDArray[np.intp]


def follows(detector: Detector, params: Params) -> bool:
    """Whether this detector's verdicts are those of its own stream, and not of a window alone."""
    window_s, step_s = detector.window_s(params), detector.step_s(params)
    able = detector.source == "samples" and not detector.needs_liveness and 0 < step_s <= window_s
    return able and type(detector).stream is not Detector.stream and detector.stream(params, 0) is not None


@dataclass(frozen=True, kw_only=True)
class Eras:
    """When the streams of one question begin. The stagger keeps all rules from beginning anew in the same second."""

    window_s: float
    step_s: float
    stagger_s: float

    @classmethod
    def of(cls, detector: Detector, params: Params, query: str) -> Eras:
        window_s, step_s = detector.window_s(params), max(round(detector.step_s(params) * 1000), 1) / 1000
        name = f"{query.strip()}\n{detector.name}\n{params.model_dump_json()}"
        return cls(window_s=window_s, step_s=step_s, stagger_s=float(crc32(name.encode()) % 1_000_003))

    @property
    def length_s(self) -> float:
        """At least a step, and so that window and era together are no more points than may be asked for."""
        longest = MOST_POINTS * self.step_s - self.window_s
        return max(min(self.window_s * ERA_SHARE, longest), self.step_s)

    @property
    def reach_s(self) -> float:
        """The farthest that a look reaches back."""
        return self.window_s + self.length_s

    def began(self, now: float) -> float:
        """The time that the history of a look at `now` begins with."""
        turns = math.floor((now - self.stagger_s) / self.length_s)
        return turns * self.length_s + self.stagger_s - self.window_s


class _Group:
    """Series that began at the same look, and their stream as it was after the last settled point. As bytes: nothing
    that is judged can change it, and its size is known."""

    def __init__(self, labels: tuple[Labels, ...], stream: Stream) -> None:
        self.labels = labels
        self.state = pickle.dumps(stream, pickle.HIGHEST_PROTOCOL)
        self.seen_at = np.full(len(labels), -np.inf)

    def look(self, times: Floats, values: Floats, settled: int) -> tuple[Judged, Stream]:
        """Feed points (S, T), of which the first `settled` are learnt for good: the verdicts on the last."""
        stream: Stream = pickle.loads(self.state)  # noqa: S301 - written by this process
        for place in range(settled):
            stream.update(np.full(len(self.labels), times[place]), values[:, place])
        if settled:
            self.state = pickle.dumps(stream, pickle.HIGHEST_PROTOCOL)
            self.seen_at = self.seen(times[:settled], values[:, :settled])
        found = unknown(len(self.labels))
        for place in range(settled, len(times)):
            found = stream.update(np.full(len(self.labels), times[place]), values[:, place])
        return found, stream

    def seen(self, times: Floats, values: Floats) -> Floats:
        """When each series last had a value, with these points."""
        latest = np.max(np.where(np.isnan(values), -np.inf, times), axis=1, initial=-np.inf)
        found: Floats = np.maximum(self.seen_at, latest)
        return found


class Follower:
    """The streams of one detector over the series of one question, with points a step apart. For one thread at a time.

    A series without a sample in the last window is not judged, but remembered until the era ends."""

    def __init__(self, detector: Detector, params: Params, eras: Eras) -> None:
        self._detector, self._params, self._eras = detector, params, eras
        self._groups: list[_Group] = []
        self._known: set[Key] = set()
        self._began = self._settled_at = math.nan

    @property
    def nbytes(self) -> int:
        return sum(len(group.state) + 420 * len(group.labels) for group in self._groups)

    def needs_from(self, now: float) -> float:
        """The time of the first column that a look at `now` needs: the one after what is settled, or the very first."""
        first = self._eras.began(now)
        goes_on = first == self._began and -math.inf < self._settled_at < now - TINY_S
        return self._settled_at + self._eras.step_s if goes_on and len(self._groups) <= MOST_GROUPS else first

    def begins_anew(self, now: float) -> bool:
        """Whether a look at `now` needs everything since the era began."""
        return self.needs_from(now) == self._eras.began(now)

    def look(self, matrix: Matrix, *, complete_until: float) -> Verdicts:
        """The verdicts at the matrix's last time, as a stream over all its points since the era began comes to.

        matrix: the columns from `needs_from` on; earlier ones are left aside. complete_until: no sample of this time or
        earlier is still to come. The last column is always seen as one that may change.
        """
        now = float(matrix.times[-1])
        first = self.needs_from(now)
        if self.begins_anew(now):
            self._groups, self._known, self._began, self._settled_at = [], set(), first, -math.inf
        used = matrix.times >= first - TINY_S
        times, values = matrix.times[used], matrix.values[:, used]
        self._join(matrix.labels)
        settled = min(int(np.searchsorted(times, complete_until, side="right")), len(times) - 1)
        found = self._judged(_Rows(matrix.labels, values), times, settled)
        if settled:
            self._settled_at = float(times[settled - 1])
        return found

    def _join(self, labels: tuple[Labels, ...]) -> None:
        """Series not seen before had no sample so far, which leaves no trace in a stream: theirs begins here."""
        fresh = tuple(one for one in labels if frozenset(one.items()) not in self._known)
        if fresh:
            self._groups.append(_Group(fresh, stream_of(self._detector, self._params, len(fresh))))
            self._known |= {frozenset(one.items()) for one in fresh}

    def _judged(self, rows: _Rows, times: Floats, settled: int) -> Verdicts:
        parts: list[Verdicts] = []
        gone_before = times[-1] - self._eras.window_s - TINY_S
        for group in self._groups:
            values = rows.of(group.labels)
            found, stream = group.look(times, values, settled)
            there = np.flatnonzero(group.seen(times, values) >= gone_before)
            parts.append(_verdicts(group.labels, found, stream.reasons(), values[:, -1], times[-1], there))
        return _together(parts)


class Followers:
    """A detector on a clock that goes on: of one that has a stream of its own the streams, one for each phase of its
    grid of points; of any other, the window of each look."""

    def __init__(self, detector: Detector, params: Params, query: str) -> None:
        self._detector, self._params = detector, params
        self._eras = Eras.of(detector, params, query)
        self._phases: dict[int, Follower] = {}
        self.window_s = self._eras.reach_s if follows(detector, params) else detector.window_s(params)
        """How long a window each matrix must hold (seconds)."""

    def judge(self, matrix: Matrix) -> Verdicts:
        """The verdicts at the matrix's last time. matrix: complete, and as long as window_s says."""
        if not follows(self._detector, self._params):
            return self._detector.judge(matrix, self._params)
        phase = round(matrix.times[-1] * 1000) % max(round(self._eras.step_s * 1000), 1)
        follower = self._phases.setdefault(phase, Follower(self._detector, self._params, self._eras))
        return follower.look(matrix, complete_until=math.inf)


class _Rows:
    """The rows of a matrix by their labels."""

    def __init__(self, labels: tuple[Labels, ...], values: Floats) -> None:
        self._values = values
        self._place = {frozenset(one.items()): row for row, one in enumerate(labels)}

    def of(self, labels: tuple[Labels, ...]) -> Floats:
        """The rows of these series; NaN where there is none."""
        places = np.array([self._place.get(frozenset(one.items()), -1) for one in labels], dtype=np.intp)
        found = np.full((len(labels), self._values.shape[1]), np.nan)
        found[places >= 0] = self._values[places[places >= 0]]
        return found


def _verdicts(  # noqa: PLR0917 - what one look comes to
    labels: tuple[Labels, ...], found: Judged, reasons: tuple[str, ...], values: Floats, time: float, rows: Places
) -> Verdicts:
    return Verdicts(
        labels=tuple(labels[row] for row in rows),
        codes=found.codes[rows],
        values=values[rows],
        scores=found.scores[rows],
        lower=found.lower[rows],
        upper=found.upper[rows],
        times=np.where(np.isnan(values[rows]), np.nan, time),
        reasons=tuple(reasons[row] for row in rows),
    )


def _together(parts: list[Verdicts]) -> Verdicts:
    if len(parts) == 1:
        return parts[0]

    def joined(name: str) -> Floats:
        return np.concatenate([np.empty(0), *(getattr(part, name) for part in parts)])

    return Verdicts(
        labels=tuple(one for part in parts for one in part.labels),
        codes=np.concatenate([np.empty(0, dtype=np.int8), *(part.codes for part in parts)]),
        values=joined("values"),
        scores=joined("scores"),
        lower=joined("lower"),
        upper=joined("upper"),
        times=joined("times"),
        reasons=tuple(one for part in parts for one in part.reasons),
    )
