"""The contract of a verb: what can be done to a target, on any backend that is able to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from remediation.exceptions import ConfigurationError
from remediation.registry import Params, Plugin
from remediation.targets.base import Attempt, Backend, Call, Effect, Found, TargetRef


class Verb(Plugin, ABC):
    """Something that can be done. `needs` is the backend capability it asks for (see targets/base.py)."""

    needs: ClassVar[type]
    supports_undo: ClassVar[bool] = False
    risky: ClassVar[bool] = False
    """A risky verb moves traffic or data: the page asks for more care before it."""

    def fits(self, backend: Backend) -> None:
        """Raise ConfigurationError when the backend is not able to do this."""
        if not isinstance(backend, self.needs):
            raise ConfigurationError(f"{backend.label} cannot {self.name}: choose another backend or verb")

    @abstractmethod
    def preview(self, backend: Backend, target: TargetRef, params: Params) -> Call:
        """Look at the target and say exactly what would be done. Touches nothing. Raises EffectError when the target
        cannot be looked at, ConfigurationError when there is nothing left to do (already at its maximum)."""

    @abstractmethod
    def execute(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt) -> Effect:
        """Do it. Raises EffectNotStarted or EffectUncertain; never anything that leaves it open which of the two."""

    @abstractmethod
    def probe(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt | None = None) -> Found:
        """Ask the world whether the effect of `call` took place, by comparing with `call.before`. attempt: the one that
        is asked about, with the fencing number of who asks; None where it is not about one."""

    def restored(self, backend: Backend, target: TargetRef, call: Call) -> Found:
        """Ask the world whether what was before `call` is back, after an undo."""
        found = self.probe(backend, target, call)
        return Found(done=None if found.done is None else not found.done, reason=found.reason, facts=found.facts)

    def undo(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt) -> Effect:
        """Bring back `call.before`. Only where supports_undo."""
        raise ConfigurationError(f"{self.label} cannot be undone")
