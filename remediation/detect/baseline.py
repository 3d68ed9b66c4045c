"""What is normal for a point, learnt from the points before it: a rolling median and a robust scale. No plug-in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remediation.series import Floats

MAD_TO_SIGMA = 1.4826
MEAN_TO_SIGMA = 1.2533
"""What the median and the mean absolute deviation are multiplied with to equal a standard deviation under normality."""

RELATIVE_FLOOR = 0.01
"""The scale is at least this share of the median, so that a series that hardly moves does not alarm at every breath."""

Places = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Normal:
    """Of N baselines: the median, the scale in the unit of the values (both NaN without points), the points counted."""

    median: Floats
    scale: Floats
    count: Places


def places(times: Floats, *, window_s: float, skip_s: float) -> tuple[Places, Places]:
    """Per point (T,) the first place of its baseline and the place behind the last: from window_s before
    it on, up to but not including what is skip_s before it, and never the point itself."""
    tiny = 1e-6  # times are sums of steps: what lies exactly on a border counts as there
    first = np.searchsorted(times, times - window_s - tiny)
    last = np.searchsorted(times, times - skip_s - tiny)
    return np.minimum(first, last), last


def windows(row: Floats, first: Places, last: Places) -> Floats:
    """The baselines of all points of one series: (T, W), NaN in front where a baseline is shorter than the longest."""
    width = max(int(np.max(last - first, initial=0)), 1)
    ahead = np.concatenate([np.full(width, np.nan), row])
    ending = np.lib.stride_tricks.sliding_window_view(ahead, width)[last]
    too_early = np.arange(width) < width - (last - first)[:, None]
    return np.where(too_early, np.nan, ending)


@np.errstate(over="ignore", invalid="ignore")
def normal(history: Floats) -> Normal:
    """Of each row (N, W), in which NaN and infinities are no points."""
    ordered = np.sort(np.where(np.isfinite(history), history, np.nan), axis=1)
    count = np.sum(~np.isnan(ordered), axis=1)
    median = _middle(ordered, count)
    away = np.abs(ordered - median[:, None])
    # A running sum, since a plain one would round differently with more NaN behind the numbers.
    mean = np.nancumsum(away, axis=1)[:, -1:].sum(axis=1) / np.maximum(count, 1)
    scale = MAD_TO_SIGMA * _middle(np.sort(away, axis=1), count)
    scale = np.where(scale == 0, MEAN_TO_SIGMA * mean, scale)
    return Normal(median=median, scale=np.maximum(scale, RELATIVE_FLOOR * np.abs(median)), count=count)


def _middle(ordered: Floats, count: Places) -> Floats:
    """The median of each row (N, W) that is sorted with its NaN last; NaN for a row without numbers."""
    if not ordered.shape[1]:
        return np.full(len(ordered), np.nan)
    pair = np.stack([np.maximum(count - 1, 0) // 2, np.minimum(count // 2, ordered.shape[1] - 1)], axis=1)
    found = np.take_along_axis(ordered, pair, axis=1)
    middle: Floats = found[:, 0] + (found[:, 1] - found[:, 0]) / 2
    return middle
