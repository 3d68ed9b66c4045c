"""The states of everything that has one, and the moves between them. Data only."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum


class Verdict(StrEnum):
    """What a detector says of one series."""

    OK = "ok"
    BAD = "bad"
    UNKNOWN = "unknown"  # no, stale or unreadable samples: never opens, resolves, acts or verifies


class Code(IntEnum):
    """A verdict as a number, for arrays."""

    OK = 0
    BAD = 1
    UNKNOWN = 2

    @property
    def verdict(self) -> Verdict:
        return (Verdict.OK, Verdict.BAD, Verdict.UNKNOWN)[self]


class Phase(StrEnum):
    """Where one series of a rule stands; survives restarts."""

    UNKNOWN = "unknown"  # never judged yet
    OK = "ok"
    PENDING = "pending"  # bad for less than `for`
    FIRING = "firing"
    RECOVERING = "recovering"  # good for less than `keep_firing_for`


class IncidentState(StrEnum):
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class RemediationState(StrEnum):
    PLANNED = "planned"  # targets, calls and evidence are fixed
    GATED = "gated"  # a guard says no; it is asked again
    AWAITING_APPROVAL = "awaiting_approval"
    READY = "ready"  # nothing is missing but a worker
    EXECUTING = "executing"  # the intent is committed; the effect may be under way
    VERIFYING = "verifying"
    UNKNOWN = "unknown"  # nobody knows whether the effect took place; a probe decides
    ROLLING_BACK = "rolling_back"
    VERIFIED = "verified"
    INEFFECTIVE = "ineffective"  # done, and the fault is still there
    WORSENED = "worsened"
    INCONCLUSIVE = "inconclusive"  # done, and nothing can be said; a person looks
    ROLLED_BACK = "rolled_back"
    SHADOWED = "shadowed"  # would have acted
    SELF_RECOVERED = "self_recovered"  # healed before the effect
    REJECTED = "rejected"
    EXPIRED = "expired"  # nobody answered in time
    SUPERSEDED = "superseded"  # the situation is no longer the one that was planned for
    CANCELLED = "cancelled"
    FAILED = "failed"  # the effect did not take place


class Autonomy(StrEnum):
    SHADOW = "shadow"  # decides and records, does nothing
    APPROVE = "approve"  # asks a person
    AUTO = "auto"  # acts inside its guards


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Outcome(StrEnum):
    """How a firing episode ended, in its decision record."""

    OPEN = "open"
    ACTED = "acted"
    SHADOWED = "shadowed"
    HELD = "held"  # a guard, a freeze or a person held the action until the episode was over
    ATTACHED = "attached"  # another remediation was already at work on its targets
    NOTHING = "nothing"


R = RemediationState

REMEDIATION_MOVES: Mapping[str, frozenset[str]] = {
    R.PLANNED: frozenset(
        {R.GATED, R.AWAITING_APPROVAL, R.READY, R.SHADOWED, R.SELF_RECOVERED, R.SUPERSEDED, R.CANCELLED, R.FAILED}
    ),
    R.GATED: frozenset({R.AWAITING_APPROVAL, R.READY, R.SELF_RECOVERED, R.SUPERSEDED, R.CANCELLED, R.FAILED}),
    R.AWAITING_APPROVAL: frozenset(
        {R.GATED, R.READY, R.REJECTED, R.EXPIRED, R.SELF_RECOVERED, R.SUPERSEDED, R.CANCELLED}
    ),
    R.READY: frozenset({R.GATED, R.EXECUTING, R.EXPIRED, R.SELF_RECOVERED, R.SUPERSEDED, R.CANCELLED, R.FAILED}),
    R.EXECUTING: frozenset({R.VERIFYING, R.FAILED, R.UNKNOWN}),
    R.UNKNOWN: frozenset({R.VERIFYING, R.FAILED, R.INCONCLUSIVE}),
    R.VERIFYING: frozenset({R.VERIFIED, R.INEFFECTIVE, R.WORSENED, R.INCONCLUSIVE}),
    R.WORSENED: frozenset({R.ROLLING_BACK}),
    R.ROLLING_BACK: frozenset({R.ROLLED_BACK, R.INCONCLUSIVE}),
}
REMEDIATION_LIVE = frozenset(
    {
        R.PLANNED,
        R.GATED,
        R.AWAITING_APPROVAL,
        R.READY,
        R.EXECUTING,
        R.UNKNOWN,
        R.VERIFYING,
        R.ROLLING_BACK,
    }
)
"""A remediation in one of these holds its targets; no second one may touch them."""

BEFORE_EFFECT = frozenset({R.PLANNED, R.GATED, R.AWAITING_APPROVAL, R.READY})
BAD_ENDS = frozenset({R.INEFFECTIVE, R.WORSENED, R.INCONCLUSIVE, R.FAILED, R.ROLLED_BACK})
NEXT_RUNG = frozenset({R.INEFFECTIVE, R.FAILED})
"""After these the ladder goes on by itself; after every other bad end a person decides."""

INCIDENT_MOVES: Mapping[str, frozenset[str]] = {
    IncidentState.PENDING: frozenset({IncidentState.FIRING, IncidentState.RESOLVED}),
    IncidentState.FIRING: frozenset({IncidentState.RESOLVED}),
}
