"""The contract of a detector: series in, verdicts out; nothing but the arguments decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from remediation.registry import Params, Plugin
from remediation.series import Floats, Labels, Matrix
from remediation.states import Code

if TYPE_CHECKING:
    from remediation.detect.stream import Stream

Source = Literal["samples", "alerts"]


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """One verdict per series: S of each. `codes` are states.Code; `lower` and `upper` bound what is expected at the
    last point (NaN or infinite where open); `score` is 1.0 at the limit and grows with the distance beyond it; `times`
    is the time of the sample that was judged (NaN: none). `missing` is the verdict on a series that was judged before
    and is not among these; anything but unknown needs a source that is certainly alive."""

    labels: tuple[Labels, ...]
    codes: NDArray[np.int8]
    values: Floats
    scores: Floats
    lower: Floats
    upper: Floats
    times: Floats
    reasons: tuple[str, ...]
    missing: Code = Code.UNKNOWN
    missing_reason: str = "no fresh sample: the series is missing from the last answer"


@dataclass(frozen=True, kw_only=True)
class Band:
    """What is expected at every point of a matrix, for charts: (S, T) each, NaN where nothing can be said."""

    lower: Floats
    upper: Floats


class Detector(Plugin, ABC):
    """Judges the last point of each series of a matrix. Three-valued: where it cannot tell it says unknown."""

    source: ClassVar[Source] = "samples"
    needs_liveness: ClassVar[bool] = False
    """True when an empty answer means something: then the source is also asked whether it holds samples at all."""

    def window_s(self, params: Params) -> float:
        """Seconds of history it looks at; 0 asks for the newest sample only."""
        return 0.0

    def step_s(self, params: Params) -> float:
        """Seconds between two points of that history."""
        return 0.0

    def well(self, query: str, params: Params) -> str | None:
        """PromQL that is 1 for each series of the query that is certainly ok and 0 for every other, so that the source
        can count them instead of sending them. None where a verdict needs more than the newest sample."""
        return None

    def bad(self, query: str, params: Params) -> str:
        """PromQL that gives the series of the query that are bad, for a detector that has `well`."""
        raise NotImplementedError

    def stream(self, params: Params, count: int) -> Stream | None:
        """A state that judges point after point, for a detector that need not see its window again each time. Its
        verdicts are those of `judge` over the same points."""
        return None

    @abstractmethod
    def judge(self, matrix: Matrix, params: Params) -> Verdicts:
        """The verdicts at the newest point. Uses nothing later than the point it judges."""

    @abstractmethod
    def band(self, matrix: Matrix, params: Params) -> Band:
        """What was expected at each point, judged as if each were the newest."""


def last_points(matrix: Matrix) -> tuple[Floats, Floats]:
    """The value (S,) at the matrix's last time and that time; NaN where the last point is missing."""
    count = len(matrix.labels)
    if not count or not matrix.times.size:
        return np.full(count, np.nan), np.full(count, np.nan)
    values = matrix.values[:, -1]
    return values, np.where(np.isnan(values), np.nan, matrix.times[-1])


def codes_of(bad: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Codes from two masks: unknown wins over bad."""
    return np.where(known, np.where(bad, Code.BAD, Code.OK), Code.UNKNOWN).astype(np.int8)
