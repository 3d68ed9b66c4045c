"""Is the fault gone? Judged from fresh samples only. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from remediation.states import RemediationState, Verdict

GRACE_S = 2.0
"""Seconds beyond the deadline, so that a sample that was due just before it still counts."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at the condition saw. sample_at: time of the newest sample, seconds since the epoch, None without
    one. reach_s: how far back that sample's value may rest on older ones."""

    at: float
    verdict: Verdict
    value: float | None
    sample_at: float | None
    reach_s: float
    reason: str

    def as_row(self, *, effect_at: float) -> dict[str, Any]:
        return {
            "at": self.at,
            "verdict": self.verdict,
            "value": self.value,
            "sample_at": self.sample_at,
            "reach_s": self.reach_s,
            "counts": self.counts(effect_at=effect_at),
            "reason": self.reason,
        }

    def counts(self, *, effect_at: float) -> bool:
        """Whether everything that the sample rests on is from after the effect."""
        return self.sample_at is not None and self.sample_at - self.reach_s >= effect_at


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """state: None while it is too early to tell. good: consecutive good samples so far."""

    state: RemediationState | None
    good: int
    reason: str


def judge(rows: Sequence[dict[str, Any]], *, needed: int, deadline: float, now: float) -> Judgement:
    """What the looks so far come to.

    rows: as Look.as_row, oldest first. Verified needs `needed` good samples in a row, each another sample, each resting
    on nothing from before the effect; an unknown look breaks the row. At the deadline a bad newest sample means
    ineffective; anything else (none, unknown, too few good ones) is inconclusive, for no samples is never verified.
    """
    good = 0
    last_sample: float | None = None
    newest: str | None = None
    for row in rows:
        if row["verdict"] == Verdict.UNKNOWN:
            good, newest = 0, Verdict.UNKNOWN
            continue
        if not row["counts"] or row["sample_at"] == last_sample:
            continue
        last_sample, newest = row["sample_at"], row["verdict"]
        good = good + 1 if newest == Verdict.OK else 0
    if good >= needed:
        return Judgement(
            state=RemediationState.VERIFIED, good=good, reason=f"{good} good samples in a row since the effect"
        )
    if now < deadline + GRACE_S:
        return Judgement(state=None, good=good, reason=f"{good} of {needed} good samples")
    if newest == Verdict.BAD:
        return Judgement(
            state=RemediationState.INEFFECTIVE, good=good, reason="the condition is still bad at the deadline"
        )
    told = {Verdict.OK: f"only {good} of {needed} good samples", Verdict.UNKNOWN: "the condition is unknown"}
    why = told.get(Verdict(newest), "") if newest else "no sample from after the effect"
    return Judgement(state=RemediationState.INCONCLUSIVE, good=good, reason=f"{why} at the deadline")
