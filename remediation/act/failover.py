"""Fail over: let the standby take the place of the one that serves."""

from __future__ import annotations

from typing import cast

from remediation import registry
from remediation.act.base import Verb
from remediation.act.outcome import settled
from remediation.exceptions import EffectNotStarted
from remediation.targets.base import Attempt, Backend, Call, Effect, FailsOver, Found, TargetRef


class Failover(Verb):
    """For a primary that died or cannot be trusted. It is fenced first, so that never two serve at once. Undone by
    switching back, which keeps nothing of what the standby took in meanwhile."""

    name = "failover"
    label = "Fail over"
    needs = FailsOver
    supports_undo = True
    risky = True

    def preview(self, backend: Backend, target: TargetRef, params: registry.Params) -> Call:
        able = self._able(backend)
        active = able.active(target)
        if not active:
            raise EffectNotStarted(f"no member of {target.name} serves now: there is nothing to switch away from")
        standby = able.standby(target)
        before = {**backend.state(target), "active": active}
        return Call(
            target=target.name,
            text=able.switch_text(target, away_from=active, towards=standby),
            before=before,
            after=able.switched(before, away_from=active, towards=standby),
            undo=able.switch_text(target, away_from=standby, towards=active),
            arguments={"away_from": active, "towards": standby},
        )

    def execute(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt) -> Effect:
        old, new = str(call.arguments["away_from"]), str(call.arguments["towards"])
        with settled():
            return self._able(backend).switch(target, away_from=old, towards=new, attempt=attempt)

    def undo(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt) -> Effect:
        old, new = str(call.arguments["away_from"]), str(call.arguments["towards"])
        with settled():
            return self._able(backend).switch(target, away_from=new, towards=old, attempt=attempt)

    def probe(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt | None = None) -> Found:
        now = backend.state(target)
        active = self._able(backend).active(target)
        if active == call.arguments["towards"]:
            return Found(done=True, reason=f"{active} serves", facts=now)
        if dict(now) == dict(call.before):
            return Found(done=False, reason=f"{active} still serves, and nothing has changed", facts=now)
        serving = f"{active} serves" if active else "nobody serves"
        return Found(done=None, reason=f"{serving}, and something has changed: it broke off midway", facts=now)

    def restored(self, backend: Backend, target: TargetRef, call: Call) -> Found:
        """The old one serves again. The other is fenced after that, also where it was a standby before."""
        active = self._able(backend).active(target)
        if active == call.arguments["away_from"]:
            return Found(done=True, reason=f"{active} serves again", facts={"active": active})
        return super().restored(backend, target, call)

    def _able(self, backend: Backend) -> FailsOver:
        self.fits(backend)
        return cast(FailsOver, backend)
