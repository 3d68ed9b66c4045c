"""Series and their labels, as they travel between the stages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Labels = Mapping[str, str]
Floats = NDArray[np.float64]


def fingerprint(labels: Labels) -> str:
    """Sixteen hex digits that name a set of labels: FNV-1a over sorted pairs, as Prometheus and Alertmanager do it."""
    return _fingerprint(tuple(sorted(labels.items())))


@lru_cache(maxsize=50_000)
def _fingerprint(pairs: tuple[tuple[str, str], ...]) -> str:
    value = 0xCBF29CE484222325
    for name, text in pairs:
        for byte in name.encode() + b"\xff" + text.encode() + b"\xff":
            value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """S series on T common times.

    labels: S label sets, without `__name__`. times: (T,) seconds since the epoch, ascending. values: (S, T), NaN where
    there is no sample; an infinite one is none, whoever builds the matrix, so that no detector judges or learns it. A
    rule that wants it judged makes it a number in its query, as clamp_max() does. now: when it was asked for. reach_s:
    how far back before its own time a point may look (range selectors and the lookback of the query), so that a point
    later than `effect + reach_s` knows nothing older. alive: False when the source holds no samples at all, as just
    after a restart with an empty disk. note: why there is nothing, for the page.
    """

    labels: tuple[Labels, ...] = ()
    times: Floats = field(default_factory=lambda: np.empty(0))
    values: Floats = field(default_factory=lambda: np.empty((0, 0)))
    now: float
    reach_s: float = 0.0
    alive: bool = True
    note: str = ""

    def __post_init__(self) -> None:
        infinite = np.isinf(self.values)
        if infinite.any():
            object.__setattr__(self, "values", np.where(infinite, np.nan, self.values))
