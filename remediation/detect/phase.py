"""Where one series of a rule stands: unknown, ok, pending (for), firing, recovering (keep_firing_for), ok. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from remediation.states import Phase, Verdict

TIMED = (Phase.PENDING, Phase.RECOVERING)
"""Phases that end when enough time has passed in them."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """since: when this phase began, put off by the time in which nothing was known; judged_at: the last verdict. Both
    in seconds since the epoch."""

    phase: Phase
    since: float
    judged_at: float


def advance(
    standing: Standing | None, verdict: Verdict, *, now: float, for_s: float, keep_firing_for_s: float
) -> Standing:
    """Where the series stands after one more verdict.

    Time counts towards `for` and `keep_firing_for` only when the verdict at its end is known: an unknown one holds the
    phase and puts its beginning off. A clock that was set back neither adds to what has passed nor takes from it.
    """
    before = standing or Standing(phase=Phase.UNKNOWN, since=now, judged_at=now)
    since = before.since
    if now < before.judged_at or (verdict == Verdict.UNKNOWN and before.phase in TIMED):
        since += now - before.judged_at
    lasted = max(now - since, 0.0)
    phase = _next(before.phase, verdict, lasted, for_s, keep_firing_for_s)
    return Standing(phase=phase, since=since if phase == before.phase else now, judged_at=now)


def _next(phase: Phase, verdict: Verdict, lasted: float, for_s: float, keep_firing_for_s: float) -> Phase:
    if verdict == Verdict.UNKNOWN:
        return phase
    if verdict == Verdict.BAD:
        if phase in (Phase.FIRING, Phase.RECOVERING):
            return Phase.FIRING
        waited = lasted if phase == Phase.PENDING else 0.0
        return Phase.FIRING if waited >= for_s else Phase.PENDING
    if phase not in (Phase.FIRING, Phase.RECOVERING):
        return Phase.OK
    waited = lasted if phase == Phase.RECOVERING else 0.0
    return Phase.OK if waited >= keep_firing_for_s else Phase.RECOVERING
