"""Restart: stop one target and start it again."""

from __future__ import annotations

from typing import cast

from remediation import registry
from remediation.act.base import Verb
from remediation.act.outcome import settled
from remediation.targets.base import Attempt, Backend, Call, Effect, Found, Restartable, TargetRef

RUNNING = "RUNNING"


class Restart(Verb):
    """For a process that hangs, leaks or died. What it held in memory is lost, and there is no undo."""

    name = "restart"
    label = "Restart"
    needs = Restartable

    def preview(self, backend: Backend, target: TargetRef, params: registry.Params) -> Call:
        before = backend.state(target)
        after = {"state": RUNNING} | ({"pid": "a new one"} if "pid" in before else {})
        return Call(target=target.name, text=self._able(backend).restart_text(target), before=before, after=after)

    def execute(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt) -> Effect:
        with settled():
            return self._able(backend).restart(target, attempt)

    def probe(self, backend: Backend, target: TargetRef, call: Call, attempt: Attempt | None = None) -> Found:
        now = backend.state(target)
        if dict(now) == dict(call.before):
            return Found(done=False, reason="the same process in the same state as before", facts=now)
        if now.get("state") == RUNNING and now.get("pid") != call.before.get("pid"):
            return Found(done=True, reason="a new process runs", facts=now)
        return Found(
            done=None, reason=f"it is {now.get('state')}, and was {call.before.get('state')} before", facts=now
        )

    def _able(self, backend: Backend) -> Restartable:
        self.fits(backend)
        return cast(Restartable, backend)
