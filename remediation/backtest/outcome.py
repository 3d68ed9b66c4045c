"""What a backtest comes to: small, typed, and as plain objects for JSON. Times are seconds since the epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.translation import gettext_noop as _


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A time in which the verdict was the same; `verdict` as in states.Verdict."""

    start: float
    end: float
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Episode:
    """What live evaluation would have kept as one incident: pending, firing (or not), ended.

    began_before: the first evaluation of the range was bad already, so the fault is older than the range.
    stretches: its verdicts from pending to its end, as runs. low, high: of the values that were bad.
    """

    fingerprint: str
    labels: dict[str, str]
    pending_at: float
    firing_at: float | None = None
    ended_at: float | None = None
    began_before: bool = False
    unknown_s: float = 0.0
    low: float | None = None
    high: float | None = None
    reason: str = ""
    stretches: tuple[Stretch, ...] = ()

    def lasted_s(self, until: float) -> float:
        """From firing to its end, or to the end of the range."""
        return 0.0 if self.firing_at is None else (self.ended_at or until) - self.firing_at


@dataclass(frozen=True, kw_only=True)
class SeriesSum:
    """One series over the whole range."""

    fingerprint: str
    labels: dict[str, str]
    fired: int
    firing_s: float
    unknown_s: float


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """The rule alone. evaluations: slots; series: how many were ever judged."""

    start: float
    end: float
    evaluations: int
    series: int
    episodes: tuple[Episode, ...]
    sums: tuple[SeriesSum, ...]


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A guard that would have said no: from when, until when, and with which numbers."""

    guard: str
    label: str
    reason: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Action:
    """One rung of the ladder on the simulated clock. outcome: a word of SIMULATED below.

    only_if: the action follows on one that is assumed not to have helped. effect_at: None when it never came to it.
    """

    fingerprint: str
    verb: str
    targets: tuple[str, ...]
    position: int
    attempt: int
    planned_at: float
    effect_at: float | None
    over_at: float
    outcome: str
    reason: str
    only_if: bool = False
    holds: tuple[Hold, ...] = ()


SIMULATED = {
    "over": _("the fault was over within the time to verify"),
    "still_there": _("the fault was still there when the time to verify was over"),
    "inconclusive": _("nobody could have told whether it helped"),
    "self_recovered": _("the fault ended by itself first"),
    "expired": _("nobody would have answered in time"),
    "held": _("held by guards until the range ended"),
    "waiting": _("not over when the range ended"),
    "impossible": _("no target to act on"),
}


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What a playbook would have done. Every number rests on the assumptions, which are sentences."""

    playbook: str
    autonomy: str
    actions: tuple[Action, ...] = ()
    fired: int = 0
    unserved: int = 0
    acted: int = 0
    ended_first: int = 0
    held: int = 0
    needs_person: int = 0
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    """All of it. `fired` and `pending` count every episode, also those left out of the list because there are too many.

    ended_alone: firing episodes that ended with no recorded effect on the service in their time; within_s: in which
    time half of them did, and nine of ten.
    """

    start: float
    end: float
    evaluations: int
    series: int
    fired: int
    pending: int
    firing_s: float
    unknown_s: float
    open_at_end: int
    ended_alone: int
    half_within_s: float | None
    most_within_s: float | None
    episodes: tuple[Episode, ...] = ()
    sums: tuple[SeriesSum, ...] = ()
    left_out: int = 0
    simulated: Simulated | None = None
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
