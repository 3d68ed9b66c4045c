from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

import numpy as np
from pydantic import Field

from remediation import registry
from remediation.detect.base import Band, Detector, Verdicts, codes_of
from remediation.detect.rolling import TINY_S
from remediation.detect.wording import NO_SAMPLE, bounded, number
from remediation.series import Floats, Labels, Matrix

HOUR_S = 3600.0
WINDOWS: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "page": ((HOUR_S, HOUR_S / 12, 14.4), (6 * HOUR_S, HOUR_S / 2, 6.0)),
    "ticket": ((72 * HOUR_S, 6 * HOUR_S, 1.0),),
}
"""Long window, short window, burn rate: 2 % of a month's budget in an hour, 5 % in six hours, 10 % in three days."""
COVERED = 0.5
"""Share of a window that must have samples."""


class BurnRateParams(registry.Params):
    objective: float = Field(
        default=0.999, gt=0, lt=1, title="Objective", description="Share of events that must be good over 30 days."
    )
    speed: Literal["page", "ticket"] = Field(
        default="page",
        title="Speed",
        description="page: 14.4 times the budget over 1 h and 5 min, or 6 times over 6 h and 30 min; ticket: once the "
        "budget over 3 d and 6 h.",
    )
    minimum_traffic: float = Field(
        default=0.0,
        ge=0,
        title="Minimum traffic",
        description="With fewer events a second over the long window the verdict is unknown. Needs the pair of series.",
    )
    step_s: float = Field(
        default=60.0,
        gt=0,
        title="Step (seconds)",
        description="Time between two points; the range of the rates in the query should be the same.",
    )


class BurnRate(Detector):
    """Bad while the error budget of an objective burns too fast, over a long window and over a short one.

    Use it to watch what users feel. The query answers with a pair of series for each service, told apart by the label
    `sli`: the rate of bad events and the rate of all, over one step each:

        label_replace(sum by (service) (rate(http_requests_total{code=~"5.."}[1m])), "sli", "bad", "", "")
        or label_replace(sum by (service) (rate(http_requests_total[1m])), "sli", "all", "", "")

    They are summed over each window, so that busy minutes weigh more. A bad series without samples counts as none bad.
    A series without the label is taken for the ratio itself, each point weighing the same. Burn rate is the share of
    bad events over the share that the objective allows. A window of which half has no samples says nothing; where no
    pair of windows can say anything, the verdict is unknown. Score: the smaller burn rate of the two windows over what
    is allowed. From: The Site Reliability Workbook (Google 2018), chapter 5.
    """

    name = "burn_rate"
    label = "SLO burn rate"
    Params = BurnRateParams

    def window_s(self, params: registry.Params) -> float:
        return max(long for long, _, _ in WINDOWS[cast(BurnRateParams, params).speed])

    def step_s(self, params: registry.Params) -> float:
        return cast(BurnRateParams, params).step_s

    def judge(self, matrix: Matrix, params: registry.Params) -> Verdicts:
        asked = cast(BurnRateParams, params)
        labels, bad, every = _pairs(matrix)
        budget = 1 - asked.objective
        now = _ratio(bad[:, -1:], every[:, -1:]) if matrix.times.size else np.full(len(labels), np.nan)
        there = np.isfinite(every[:, -1]) if matrix.times.size else np.zeros(len(labels), dtype=bool)
        burns = [_burn(matrix.times, bad, every, windows, asked) for windows in WINDOWS[asked.speed]]
        scores = np.full(len(labels), np.nan)
        for burn in burns:
            scores = np.fmax(scores, burn / budget)
        scores = bounded(scores, there & ~np.isnan(scores))
        known = ~np.isnan(scores)
        codes = codes_of(known & (scores > 1), known)
        return Verdicts(
            labels=labels,
            codes=codes,
            values=now,
            scores=scores,
            lower=np.full(len(labels), -np.inf),
            upper=np.full(len(labels), _allowed(asked)),
            times=np.where(there, matrix.times[-1] if matrix.times.size else np.nan, np.nan),
            reasons=tuple(_reason(score, bool(seen), asked) for score, seen in zip(scores, there, strict=True)),
        )

    def band(self, matrix: Matrix, params: registry.Params) -> Band:
        """The share of bad events that may last; constant."""
        upper = _allowed(cast(BurnRateParams, params))
        return Band(lower=np.full(matrix.values.shape, -np.inf), upper=np.full(matrix.values.shape, upper))


def _allowed(asked: BurnRateParams) -> float:
    return min(factor for _, _, factor in WINDOWS[asked.speed]) * (1 - asked.objective)


def _pairs(matrix: Matrix) -> tuple[tuple[Labels, ...], Floats, Floats]:
    """Labels without `sli`, and the rates of bad and of all events: (S, T) each. A ratio is one event at each point."""
    groups: dict[frozenset[tuple[str, str]], dict[str, int]] = {}
    for row, own in enumerate(matrix.labels):
        rest = frozenset((name, value) for name, value in own.items() if name != "sli")
        groups.setdefault(rest, {})[own.get("sli", "ratio")] = row
    labels, bads, everies = [], [], []
    for rest, rows in groups.items():
        labels.append(dict(sorted(rest)))
        if "ratio" in rows:
            ratio = matrix.values[rows["ratio"]]
            every = np.where(np.isfinite(ratio), 1.0, np.nan)
            bad = ratio
        else:
            nothing = np.full(len(matrix.times), np.nan)
            every = matrix.values[rows["all"]] if "all" in rows else nothing
            bad = matrix.values[rows["bad"]] if "bad" in rows else nothing
        everies.append(np.where(np.isfinite(every), every, np.nan))
        bads.append(np.where(np.isnan(every), np.nan, np.where(np.isfinite(bad), bad, 0.0)))
    shape = (len(labels), len(matrix.times))
    return tuple(labels), np.array(bads).reshape(shape), np.array(everies).reshape(shape)


def _ratio(bad: Floats, every: Floats) -> Floats:
    """Bad events over all; 0 where there were none at all, NaN where nobody knows."""
    total, wrong = np.nansum(every, axis=1), np.nansum(bad, axis=1)
    found = np.where(total > 0, wrong / np.where(total > 0, total, 1.0), 0.0)
    return np.where(np.isnan(every).all(axis=1), np.nan, found)


def _burn(
    times: Floats, bad: Floats, every: Floats, windows: tuple[float, float, float], asked: BurnRateParams
) -> Floats:
    """Share of bad events over what the rate allows, in the better of both windows; NaN where too little is known."""
    long_s, short_s, factor = windows
    found = np.full(len(bad), np.inf)
    for length in (long_s, short_s):
        inside = times > times[-1] - length + TINY_S if len(times) else np.zeros(0, dtype=bool)
        part = every[:, inside]
        points = np.sum(~np.isnan(part), axis=1)
        enough = points * asked.step_s >= COVERED * length
        mean = np.nansum(part, axis=1) / np.maximum(points, 1)
        if asked.minimum_traffic and length == long_s:
            enough &= mean >= asked.minimum_traffic
        ratio = np.where(enough, _ratio(bad[:, inside], part), np.nan) if part.shape[1] else np.full(len(bad), np.nan)
        found = np.minimum(found, ratio / factor)
    return found


def _reason(score: float, there: bool, asked: BurnRateParams) -> str:
    if not there:
        return NO_SAMPLE
    if np.isnan(score):
        return "the windows hold too few samples, or too little traffic, to tell"
    words = "and over the short window " if score > 1 else ""
    return (
        f"the error budget of {number(asked.objective)} burns {words}at {number(round(score, 3))} times what is allowed"
    )
