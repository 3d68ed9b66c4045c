"""HAProxy: move the traffic of a backend from one server to the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Self, cast

from pydantic import Field, model_validator

from remediation import registry
from remediation.exceptions import ConfigurationError, EffectError, EffectNotStarted, EffectUncertain
from remediation.targets.base import Attempt, Backend, Effect, Facts, FailsOver, Sign, TargetRef
from remediation.targets.haproxy_runtime import Runtime, Server, need
from remediation.targets.own import refuse_own_address
from remediation.targets.request import Url, refuse_url, send
from remediation.targets.wire import Deadline, connect

POLL_S = 0.05
SESSIONS_S = 0.5
"""Seconds that sessions of a fenced server get to end; those with a client end at once."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,127}$")]


class HaproxyParams(registry.Params):
    socket: str = Field(
        description="Path of HAProxy's stats socket, with level admin.", pattern=r"^/[^\x00-\x20\x7f]{1,106}$"
    )
    backend: Name = Field(description="Name of the backend.")
    server: Name = Field(description="Name of the server that is the primary from the start.")
    standby: Name = Field(description="Name of the server that takes over.")
    promote_url: Url | None = Field(
        default=None, description='The standby becomes the primary when {"key": ...} is POSTed here.'
    )
    promote: dict[Name, Url] = Field(
        default={}, max_length=2, description="The same by server, where both can be promoted."
    )

    @model_validator(mode="after")
    def _two_servers(self) -> Self:
        if self.server == self.standby:
            raise ValueError("server and standby are the same")
        if unknown := sorted(set(self.promote) - {self.server, self.standby}):
            raise ValueError(f"promote names {', '.join(unknown)}, which is neither server nor standby")
        if self.promote_url and self.standby in self.promote:
            raise ValueError("promote_url and promote both say how the standby is promoted")
        return self

    def promotion(self, name: str) -> str | None:
        """Where `name` is promoted; None where it needs no promotion."""
        return self.promote.get(name) or (self.promote_url if name == self.standby else None)


class Haproxy(FailsOver, Backend):
    """A primary and a standby behind one HAProxy backend. Failing over fences the primary (maintenance, its sessions
    ended), promotes the standby where it needs that, and only then gives it the traffic. In HAProxy's configuration
    the standby is `backup` or `disabled`; a reload forgets who was fenced unless it keeps a server state file."""

    name = "haproxy"
    label = "HAProxy"
    Params = HaproxyParams
    signs = (  # HAProxy's own exporter; the one beside it, by prometheus, which is retired and still runs
        Sign(metric="haproxy_server_status", params={"backend": "{proxy}"}),
        Sign(metric="haproxy_server_up", params={"backend": "{backend}"}),
    )

    def state(self, target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
        pair = _pair(_params(target), _runtime(target, timeout_s))
        return {"active": active_of(*pair), "admin": {one.name: one.admin for one in pair}}

    def check(self, target: TargetRef, *, timeout_s: float = 5.0) -> None:
        params, runtime = _params(target), _runtime(target, timeout_s)
        try:
            pair = _pair(params, runtime)
            _refuse_own(params, runtime, pair)
            if (level := runtime.level()) != "admin":
                raise ConfigurationError(f"the socket {params.socket} has level {level}; switching needs level admin")
        except EffectNotStarted as error:
            raise ConfigurationError(str(error)) from error
        for one in pair:
            if one.weight == 0:
                raise ConfigurationError(f"{one.name} has weight 0: HAProxy would send it nothing")
        if all(one.takes_traffic and one.is_up and not one.backup for one in pair):
            raise ConfigurationError(
                f"{params.server} and {params.standby} both take traffic: make {params.standby} `backup` or `disabled`"
            )

    def active(self, target: TargetRef, *, timeout_s: float = 5.0) -> str:
        """Empty when neither is allowed to, as after a failover that broke off."""
        return active_of(*_pair(_params(target), _runtime(target, timeout_s)))

    def standby(self, target: TargetRef, *, timeout_s: float = 5.0) -> str:
        deadline = Deadline(timeout_s)
        pair = _pair(_params(target), _runtime(target, deadline))
        if not (active := active_of(*pair)):
            raise EffectNotStarted(
                f"neither {pair[0].name} nor {pair[1].name} may take traffic: a person has to decide which one is right"
            )
        other = next(one for one in pair if one.name != active)
        refuse_unfit(other, deadline)
        return other.name

    def switched(self, before: Facts, *, away_from: str, towards: str) -> Facts:
        return {"active": towards, "admin": {away_from: "maint", towards: "ready"}}

    def switch(self, target: TargetRef, *, away_from: str, towards: str, attempt: Attempt) -> Effect:
        # 1. Look, and refuse while nothing has been touched.
        params, deadline = _params(target), Deadline(attempt.timeout_s)
        runtime = _runtime(target, deadline)
        pair = _pair(params, runtime)
        servers = {one.name: one for one in pair}
        old, new = need(servers, away_from, params.backend), need(servers, towards, params.backend)
        _refuse_own(params, runtime, pair)
        refuse_unfit(new, deadline)
        url = params.promotion(towards)
        done: list[str] = []
        try:
            # 2. One that must be promoted gets nothing before it is, or a crash between the steps would go unseen.
            if url and new.takes_traffic:
                runtime.order(f"set server {params.backend}/{new.name} state drain")
                done.append(f"held {new.name} back")
            # 3. Fence.
            runtime.order(f"set server {params.backend}/{old.name} state maint")
            done.append(f"fenced {old.name}")
            done.append(_end_sessions(runtime, old.name))
            # 4. Promote.
            if url:
                _promote(url, attempt.key, deadline)
                done.append(f"promoted {new.name}")
            # 5. Give it the traffic.
            runtime.order(f"set server {params.backend}/{new.name} state ready")
            done.append(f"set {new.name} ready")
            _await(runtime, new.name, lambda one: one.takes_traffic and (one.is_up or one.status == "no check"))
        except (EffectError, ConfigurationError, TimeoutError) as error:
            if not done and isinstance(error, EffectNotStarted):
                raise
            raise EffectUncertain(f"{', '.join(done) or 'nothing is certain'}; then {error}") from error
        return Effect(output=", ".join(done), facts={"active": towards, "fenced": away_from, "done": done})

    def switch_text(self, target: TargetRef, *, away_from: str, towards: str) -> str:
        params = _params(target)
        url = params.promotion(towards)
        steps = [
            f"set server {params.backend}/{away_from} state maint",
            f"shutdown sessions server {params.backend}/{away_from}",
            *([f"POST {url}"] if url else []),
            f"set server {params.backend}/{towards} state ready",
        ]
        return "; ".join(steps)


def active_of(primary: Server, standby: Server) -> str:
    """Which one HAProxy was told to send traffic to. A `backup` is asked only when the other is down, which is what a
    failover is to repair: so the other one counts. Empty when neither may take any."""
    ready = sorted((one for one in (primary, standby) if one.takes_traffic), key=lambda one: one.backup)
    return ready[0].name if ready else ""


def refuse_unfit(server: Server, deadline: Deadline) -> None:
    """Raise EffectNotStarted when `server` cannot take over. HAProxy does not check one in maintenance: then it is
    asked for a connection from here."""
    if server.is_down:
        raise EffectNotStarted(f"{server.name} is down: it cannot take over")
    if server.is_up:
        return
    try:
        connect([(server.address, server.port)], Deadline(deadline.left(at_most=2.0))).close()
    except (EffectNotStarted, TimeoutError) as error:
        raise EffectNotStarted(f"{server.name} cannot take over: {error}") from error


def _promote(url: str, key: str, deadline: Deadline) -> None:
    body = json.dumps({"key": key}).encode()
    answer = send("POST", url, deadline=deadline, headers={"Content-Type": "application/json"}, body=body)
    if not 200 <= answer.status < 300:
        raise EffectUncertain(f"the promotion at {url} answered {answer.status}")


def _end_sessions(runtime: Runtime, name: str) -> str:
    """End what clients still have open with a fenced server, and say so. HAProxy does not end a session whose client
    has gone already and whose server never answers, as one that hangs: nothing can be written through it any more, so
    it is not waited for."""
    patience = Deadline(SESSIONS_S)
    while True:
        runtime.order(f"shutdown sessions server {runtime.backend}/{name}")
        left = runtime.servers()[name].sessions
        if not left:
            return "ended its sessions"
        try:
            patience.pause(POLL_S)
        except TimeoutError:
            return f"ended its sessions but {left} whose client is gone"


def _await(runtime: Runtime, name: str, arrived: Callable[[Server], bool]) -> None:
    while not arrived(one := runtime.servers()[name]):
        try:
            runtime.deadline.pause(POLL_S)
        except TimeoutError as error:
            raise EffectUncertain(f"{name} stays {one.status} with {one.sessions} sessions: {error}") from error


def _pair(params: HaproxyParams, runtime: Runtime) -> tuple[Server, Server]:
    """Primary and standby. Raises EffectNotStarted."""
    servers = runtime.servers()
    return need(servers, params.server, params.backend), need(servers, params.standby, params.backend)


def _refuse_own(params: HaproxyParams, runtime: Runtime, pair: tuple[Server, Server]) -> None:
    runtime.refuse_own()
    for one in pair:
        refuse_own_address(one.address, one.port)
        if url := params.promotion(one.name):
            refuse_url(url, runtime.deadline)


def _runtime(target: TargetRef, limit: float | Deadline) -> Runtime:
    params = _params(target)
    return Runtime(params.socket, params.backend, limit if isinstance(limit, Deadline) else Deadline(limit))


def _params(target: TargetRef) -> HaproxyParams:
    return cast(HaproxyParams, target.params)
