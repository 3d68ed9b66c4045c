"""Is the fault gone, or did it get worse? Judged from fresh samples only. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from remediation.states import RemediationState, Verdict

GRACE_S = 2.0
"""Seconds beyond the deadline, so that a sample that was due just before it still counts."""
WORSE_TIMES = 2.0
"""A score this many times what it was before the effect, on the same side, is worse and not merely still bad."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at the condition saw. sample_at: time of the newest sample, seconds since the epoch, None without
    one. reach_s: how far back that sample's value may rest on older ones. score: the detector's, negative where the
    value lies below what is expected. queries: what else had to hold, each with its verdict, where that was asked."""

    at: float
    verdict: Verdict
    value: float | None
    sample_at: float | None
    reach_s: float
    reason: str
    score: float | None = None
    queries: tuple[dict[str, Any], ...] = ()

    def as_row(self, *, effect_at: float) -> dict[str, Any]:
        row = {
            "at": self.at,
            "verdict": self.verdict,
            "value": self.value,
            "sample_at": self.sample_at,
            "reach_s": self.reach_s,
            "counts": self.counts(effect_at=effect_at),
            "reason": self.reason,
        }
        more = {"score": self.score, "queries": list(self.queries)}
        return row | {name: value for name, value in more.items() if value not in (None, [])}

    def counts(self, *, effect_at: float) -> bool:
        """Whether everything that the sample rests on is from after the effect."""
        return self.sample_at is not None and self.sample_at - self.reach_s >= effect_at

    def joined_by(self, others: Sequence[Self]) -> Look:
        """This look and those at the further queries as one: bad when one of them is, ok only when all are, and as old
        as the oldest of them. The others' reasons are their queries."""
        if not others:
            return self
        everything = [self, *others]
        worst = next((one for one in everything if one.verdict == Verdict.BAD), None)
        worst = worst or next((one for one in everything if one.verdict == Verdict.UNKNOWN), self)
        times = [one.sample_at for one in everything]
        return replace(
            self,
            verdict=worst.verdict,
            reason=worst.reason,
            sample_at=None if None in times else min(time for time in times if time is not None),
            reach_s=max(one.reach_s for one in everything),
            queries=tuple({"verdict": one.verdict, "value": one.value, "reason": one.reason} for one in others),
        )


def signed_score(score: float | None, value: float | None, lower: float | None) -> float | None:
    """A detector's score with the side it is on: negative below the lower limit of what was expected."""
    if score is None:
        return None
    below = value is not None and lower is not None and math.isfinite(lower) and value < lower
    return -score if below else score


def is_worse(score: float | None, before: float | None) -> bool:
    """Whether a score is at least twice what it was before, on the same side."""
    if score is None or not before:
        return False
    return score / before >= WORSE_TIMES


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """state: None while it is too early to tell. good: consecutive good samples so far."""

    state: RemediationState | None
    good: int
    reason: str


def judge(
    rows: Sequence[dict[str, Any]], *, needed: int, deadline: float, now: float, score_before: float | None = None
) -> Judgement:
    """What the looks so far come to.

    rows: as Look.as_row, oldest first. Verified needs `needed` good samples in a row, each another sample, each resting
    on nothing from before the effect; an unknown look breaks the row. As many in a row that are much worse than before
    the effect are worsened. At the deadline a bad newest sample means ineffective; anything else (none, unknown, too
    few good ones) is inconclusive, for no samples is never verified.
    """
    good = worse = 0
    newest: str | None = None
    for row in _telling(rows):
        newest = row["verdict"]
        good = good + 1 if newest == Verdict.OK else 0
        worse = worse + 1 if newest == Verdict.BAD and is_worse(row.get("score"), score_before) else 0
    if good >= needed:
        return Judgement(
            state=RemediationState.VERIFIED, good=good, reason=f"{good} good samples in a row since the effect"
        )
    if worse >= needed:
        reason = f"{worse} samples in a row at least {WORSE_TIMES:.0f} times as far off as before the effect"
        return Judgement(state=RemediationState.WORSENED, good=good, reason=reason)
    if now < deadline + GRACE_S:
        return Judgement(state=None, good=good, reason=f"{good} of {needed} good samples")
    if newest == Verdict.BAD:
        return Judgement(
            state=RemediationState.INEFFECTIVE, good=good, reason="the condition is still bad at the deadline"
        )
    told = {Verdict.OK: f"only {good} of {needed} good samples", Verdict.UNKNOWN: "the condition is unknown"}
    why = told.get(Verdict(newest), "") if newest else "no sample from after the effect"
    return Judgement(state=RemediationState.INCONCLUSIVE, good=good, reason=f"{why} at the deadline")


def _telling(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Those that say something: unknown ones, and each other sample that rests on nothing from before the effect. What
    was ok and is bad now is bad, also where the oldest of what it rests on (a slow further query's) is the same."""
    last_sample: float | None = None
    bad = False
    for row in rows:
        if row["verdict"] != Verdict.UNKNOWN:
            turned = row["verdict"] == Verdict.BAD and not bad
            if not row["counts"] or (row["sample_at"] == last_sample and not turned):
                continue
            last_sample, bad = row["sample_at"], row["verdict"] == Verdict.BAD
        yield row
