"""The contract of a backend: an adapter to what runs targets.

A backend declares what it can do by inheriting the capabilities below; a verb asks for one of them. Every call takes a
deadline, opens its own connection and keeps none: a target that hangs must not hold the next one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from remediation.registry import Params, Plugin

Facts = Mapping[str, Any]
"""JSON-able and small: what a person needs to see. Never a secret."""


@dataclass(frozen=True, kw_only=True)
class TargetRef:
    """One target, as the stages pass it around. `params` are typed by the backend's schema."""

    id: int
    name: str
    service: str
    backend: str
    role: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    params: Params


@dataclass(frozen=True, kw_only=True)
class Call:
    """One exact call on one target, fixed in the plan and signed by an approval.

    text: the call as a person would type or read it. before: the state it starts from; when it is no longer the same
    just before the effect, the plan is superseded, so it holds only what matters (state, pid, size), no clock.
    after: what is expected. undo: how it is undone, empty where it cannot be. arguments: what the verb needs to repeat
    the decision exactly. configured: a digest of the target's whole configuration, so that an approval signs also what
    the text does not show (a socket, a header, a limit); empty in a plan from before this was kept.
    """

    target: str
    text: str
    before: Facts
    after: Facts
    undo: str = ""
    arguments: Facts = field(default_factory=dict)
    configured: str = ""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Who acts and until when. key: the same for every try of one remediation on one target. fence: rises by one with
    every claim. timeout_s: seconds the effect may take in all."""

    key: str
    fence: int
    timeout_s: float


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What came of an effect that certainly took place."""

    output: str
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a probe saw: done (True), certainly not started (False), or nobody can tell (None)."""

    done: bool | None
    reason: str
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sign:
    """A metric by which the first run proposes a backend for something that is scraped; a person decides.

    named: labels of its series that name what runs, as an exporter beside it tells of processes: such a series counts
    for an instance on the same host that goes by one of these names. Empty: what is scraped itself has the metric.
    params: parameters of the target, made of the labels of these series (`{group}:{name}`).
    """

    metric: str
    named: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)


class Backend(Plugin, ABC):
    """Looks at targets. Subclasses add capabilities.

    All methods raise EffectNotStarted when the target's runtime cannot be reached or refuses before anything was
    touched, EffectUncertain when the answer was lost after the request was sent, OwnProcess when the target is a part
    of Homeostat.
    """

    signs: ClassVar[tuple[Sign, ...]] = ()
    """What it is recognised by in a source's series; most runtimes leave no trace there."""

    @abstractmethod
    def state(self, target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
        """What the runtime says of the target now, with only what matters for deciding (see Call.before)."""

    @abstractmethod
    def check(self, target: TargetRef, *, timeout_s: float = 5.0) -> None:
        """Raise ConfigurationError with plain words when this target cannot work as configured (unknown process,
        no such server, unreachable socket) or OwnProcess when it is a part of Homeostat."""

    def discover(self, params: Params, *, timeout_s: float = 5.0) -> list[Facts]:
        """Targets this runtime knows, as parameter sets; empty where it cannot list them."""
        return []


class Restartable(ABC):
    @abstractmethod
    def restart(self, target: TargetRef, attempt: Attempt) -> Effect:
        """Stop the target, killing it when it does not go, and start it; return once it runs."""

    @abstractmethod
    def restart_text(self, target: TargetRef) -> str:
        """The exact call, for people."""


class Scalable(ABC):
    @abstractmethod
    def limits(self, target: TargetRef) -> tuple[int, int]:
        """The smallest and largest size allowed."""

    @abstractmethod
    def size(self, target: TargetRef, *, timeout_s: float = 5.0) -> int:
        """How many members run now."""

    @abstractmethod
    def resize(self, target: TargetRef, size: int, attempt: Attempt) -> Effect:
        """Bring the number of running members to `size`, touching no member that need not change."""

    @abstractmethod
    def resize_text(self, target: TargetRef, size: int) -> str: ...


class FailsOver(ABC):
    @abstractmethod
    def active(self, target: TargetRef, *, timeout_s: float = 5.0) -> str:
        """The name of the member that takes the traffic now."""

    @abstractmethod
    def standby(self, target: TargetRef, *, timeout_s: float = 5.0) -> str:
        """The member that would take over. Raises EffectNotStarted when there is none that is fit to."""

    @abstractmethod
    def switch(self, target: TargetRef, *, away_from: str, towards: str, attempt: Attempt) -> Effect:
        """Fence `away_from` first, then let `towards` take over."""

    def switched(self, before: Facts, *, away_from: str, towards: str) -> Facts:
        """What `state` is expected to say after a switch, as far as it is known beforehand."""
        return {"active": towards}

    @abstractmethod
    def switch_text(self, target: TargetRef, *, away_from: str, towards: str) -> str: ...


class Runs(ABC):
    @abstractmethod
    def run(self, target: TargetRef, arguments: Facts, attempt: Attempt) -> Effect:
        """Do the one thing this target is configured to do (a request, a script, a job)."""

    @abstractmethod
    def run_text(self, target: TargetRef, arguments: Facts) -> str: ...

    def ran(
        self, target: TargetRef, arguments: Facts, *, timeout_s: float = 5.0, attempt: Attempt | None = None
    ) -> Found:
        """Whether the run of this attempt took place, for a probe; without one, the newest. Most runtimes cannot tell.
        attempt.fence: the number of who asks, which is not lower than that of the run."""
        return Found(done=None, reason="nothing here can tell whether it ran")
