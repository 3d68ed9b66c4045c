"""Matrices for the tests of the detectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from remediation.series import Matrix

NOW = 1_767_268_800.0
STEP = 15.0

NUMBERS = st.one_of(
    st.floats(-1e6, 1e6), st.integers(-3, 3).map(float), st.sampled_from([float("nan"), float("inf"), float("-inf")])
)


def matrix(rows: Sequence[Sequence[float]], *, alive: bool = True, times: Sequence[float] | None = None) -> Matrix:
    """One series per row, STEP apart, the last point at NOW."""
    points = len(rows[0]) if rows else 1
    return Matrix(
        labels=tuple({"instance": str(row)} for row in range(len(rows))),
        times=np.array(times) if times is not None else NOW + STEP * np.arange(1 - points, 1.0),
        values=np.array(rows, dtype=np.float64).reshape(len(rows), points),
        now=NOW,
        alive=alive,
    )


@st.composite
def matrices(draw: st.DrawFn, *, most_points: int = 40) -> Matrix:
    """Any number of series on times with gaps; NaN and infinities among the values."""
    points = draw(st.integers(1, most_points))
    rows = draw(st.lists(st.lists(NUMBERS, min_size=points, max_size=points), max_size=4))
    gaps = draw(st.lists(st.integers(1, 3), min_size=points, max_size=points))
    times = NOW + STEP * (np.cumsum(gaps) - sum(gaps))
    return matrix(rows, times=times.tolist()) if rows else matrix(np.empty((0, points)).tolist())
