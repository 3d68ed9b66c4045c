"""Numbers and verdicts in plain words, for the one-line reasons of the detectors. No plug-in lives here."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from remediation.series import Floats
from remediation.states import Code

MAX_SCORE = 1000.0
"""A score is cut here: far beyond the limit is far beyond it, and infinity fits into no database."""

NO_SAMPLE = "no fresh sample, or one that is no finite number"


def span(seconds: float) -> str:
    """A configured time as people say it: 3600 is 1 h. In seconds where it is no round number of anything longer."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{number(seconds / length)} {unit}"
    return f"{number(seconds)} s"


def number(value: float) -> str:
    """Four digits, which is what a person compares: 0.25, 1,234,568, 1.2e-07, infinity."""
    value = float(value)  # NumPy's own numbers take five times as long
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinity" if value > 0 else "minus infinity"
    if value == 0 or abs(value) < 1e-4 or abs(value) >= 1e15:
        return f"{value:.4g}"
    return f"{value:,.0f}" if abs(value) >= 10_000 or value == round(value) else f"{value:.4g}"


def bounded(scores: Floats, known: NDArray[np.bool_]) -> Floats:
    """Scores between 0 and MAX_SCORE; NaN where nothing is known."""
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(known, np.clip(np.nan_to_num(scores, nan=0.0, posinf=MAX_SCORE), 0, MAX_SCORE), np.nan)
    return found


def reasons(codes: Iterable[int], *, bad: Iterable[str], ok: Iterable[str], unknown: Iterable[str]) -> tuple[str, ...]:
    """For each series the text that fits its code."""
    return tuple(
        {Code.BAD: is_bad, Code.OK: is_ok}.get(Code(int(code)), why)
        for code, is_bad, is_ok, why in zip(codes, bad, ok, unknown, strict=True)
    )
