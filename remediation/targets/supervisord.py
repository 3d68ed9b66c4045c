"""supervisord: restart one of its processes, or change how many members of a group run."""

from __future__ import annotations

from typing import Self, cast

from pydantic import Field, model_validator

from remediation import registry, secrets
from remediation.exceptions import ConfigurationError, EffectNotStarted
from remediation.targets.base import Attempt, Backend, Effect, Facts, Restartable, Scalable, Sign, TargetRef
from remediation.targets.supervisord_members import DEAD, RUNS, name_order, to_start, to_stop
from remediation.targets.supervisord_rpc import Daemon, find
from remediation.targets.supervisord_session import Session
from remediation.targets.wire import Deadline

NAME = r"[A-Za-z0-9_.][A-Za-z0-9_.@+-]{0,127}"


class SupervisordParams(registry.Params):
    url: str = Field(
        description="Where supervisord listens: unix:///run/supervisor.sock or http://127.0.0.1:9001.",
        pattern=r"^(unix:///[^\x00-\x20\x7f]{1,106}|http://[A-Za-z0-9.:\[\]-]{1,253})/?$",
    )
    process: str = Field(
        default="",
        description="One process to restart, as `group:name` (or `name` alone). Empty when a group is named.",
        pattern=rf"^({NAME}(:{NAME})?)?$",
    )
    group: str = Field(
        default="",
        description="A group whose number of running members is changed. Empty when a process is named.",
        pattern=rf"^({NAME})?$",
    )
    minimum: int = Field(default=1, ge=0, le=1000, description="Fewest members of the group that may run.")
    maximum: int | None = Field(
        default=None, ge=1, le=1000, description="Most members that may run; empty for all that are declared."
    )
    username: str = Field(
        default="", description="User name, when supervisord asks for one.", pattern=r"^[^\x00-\x1f\x7f:]{0,128}$"
    )
    secret_ref: str = Field(
        default="", description="Its password: env:NAME or file:/path, never the password.", pattern=secrets.PATTERN
    )

    @model_validator(mode="after")
    def _process_or_group(self) -> Self:
        if bool(self.process) == bool(self.group):
            raise ValueError("name either a process or a group")
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError("the maximum is below the minimum")
        return self


class Supervisord(Restartable, Scalable, Backend):
    """Processes under supervisord, by its XML-RPC interface. Name a process to restart it; name a group to scale it
    by starting and stopping members that are declared (numprocs; autostart=false for the spare ones)."""

    name = "supervisord"
    label = "supervisord"
    Params = SupervisordParams
    signs = (  # node_exporter's collector supervisord; supervisord_exporter
        Sign(metric="node_supervisord_up", named=("name", "group"), params={"process": "{group}:{name}"}),
        Sign(metric="supervisor_process_info", named=("name", "group"), params={"process": "{group}:{name}"}),
    )

    def state(self, target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
        params, session = _open(target, timeout_s)
        if params.process:
            member = session.process(params.process)
            return {"state": member.state, "pid": member.pid}
        running = sorted((one for one in session.group(params.group) if one.state in RUNS), key=name_order)
        return {"size": len(running), "running": [one.name for one in running]}

    def check(self, target: TargetRef, *, timeout_s: float = 5.0) -> None:
        try:
            params, session = _open(target, timeout_s)
            session.refuse_own([])  # before a word is said: it may be our own broker that listens there
            members = [session.process(params.process)] if params.process else session.group(params.group)
            session.refuse_own(members)
            if params.group:
                bounds(params, declared=len(members))
        except EffectNotStarted as error:
            raise ConfigurationError(str(error)) from error

    def discover(self, params: registry.Params, *, timeout_s: float = 5.0) -> list[Facts]:
        session = _session(cast(SupervisordParams, params), timeout_s)
        kept = params.model_dump(include={"url", "username", "secret_ref"}, exclude_defaults=True)
        return [{**kept, "process": one.full_name} for one in session.everything()]

    def restart(self, target: TargetRef, attempt: Attempt) -> Effect:
        # 1. Look, and refuse while nothing has been touched.
        params, session = _open(target, attempt.timeout_s)
        before = session.process(_needs_process(params))
        session.refuse_own([before])
        session.refuse_short_time([before], stops=before.state not in DEAD, starts=True)
        # 2. Stop. supervisord itself kills what does not go within its stopwaitsecs.
        stopped = session.stop(before)
        if stopped:
            session.wait([before], DEAD, f"{before.full_name} was told to stop")
        # 3. Start, and see it run.
        session.start(before, so_far=f"{before.full_name} was stopped" if stopped else "")
        so_far = f"{before.full_name} was {'stopped and ' if stopped else ''}told to start"
        after = session.wait([before], ("RUNNING",), so_far, not_pid=before.pid)[0]
        return Effect(
            output=f"{after} (before: {before})",
            facts={"state": after.state, "pid": after.pid, "pid_before": before.pid},
        )

    def restart_text(self, target: TargetRef) -> str:
        params = _params(target)
        return f"supervisorctl -s {params.url} restart {_needs_process(params)}"

    def limits(self, target: TargetRef) -> tuple[int, int]:
        params, session = _open(target, 5.0)
        return bounds(params, declared=len(session.group(_needs_group(params))))

    def size(self, target: TargetRef, *, timeout_s: float = 5.0) -> int:
        params, session = _open(target, timeout_s)
        return sum(one.state in RUNS for one in session.group(_needs_group(params)))

    def resize(self, target: TargetRef, size: int, attempt: Attempt) -> Effect:
        # 1. Choose the fewest members, and refuse while nothing has been touched.
        params, session = _open(target, attempt.timeout_s)
        members = session.group(_needs_group(params))
        session.refuse_own(members)
        low, high = bounds(params, declared=len(members))
        if not low <= size <= high:
            raise EffectNotStarted(f"{params.group} may have {low} to {high} running members, not {size}")
        change = size - sum(one.state in RUNS for one in members)
        chosen = to_start(members, change) if change > 0 else to_stop(members, -change)
        if len(chosen) < abs(change):
            raise EffectNotStarted(f"only {len(chosen)} members of {params.group} can be started now, not {change}")
        session.refuse_short_time(chosen, stops=change < 0, starts=change > 0)
        # 2. Touch those, then wait for all of them together.
        names = [one.name for one in chosen]
        if change > 0:
            session.start_all(chosen)
            session.wait(chosen, ("RUNNING",), f"{', '.join(names)} told to start")
        elif change < 0:
            session.stop_all(chosen)
            session.wait(chosen, DEAD, f"{', '.join(names)} told to stop")
        done = f"{'started' if change > 0 else 'stopped'} {', '.join(names)}; " if names else ""
        return Effect(output=f"{done}{size} run", facts={"size": size, "changed": names})

    def resize_text(self, target: TargetRef, size: int) -> str:
        params = _params(target)
        return f"supervisorctl -s {params.url}: bring group {_needs_group(params)} to {size} running members"


def bounds(params: SupervisordParams, *, declared: int) -> tuple[int, int]:
    """Fewest and most members that may run: no more than are declared. Raises ConfigurationError."""
    high = min(params.maximum or declared, declared)
    if params.minimum > high:
        raise ConfigurationError(f"{params.group} declares {declared} members, its minimum is {params.minimum}")
    return params.minimum, high


def _params(target: TargetRef) -> SupervisordParams:
    return cast(SupervisordParams, target.params)


def _open(target: TargetRef, timeout_s: float) -> tuple[SupervisordParams, Session]:
    params = _params(target)
    return params, _session(params, timeout_s)


def _session(params: SupervisordParams, timeout_s: float) -> Session:
    deadline = Deadline(timeout_s)
    password = secrets.resolve(params.secret_ref) if params.secret_ref else ""
    addresses = find(params.url, deadline)
    return Session(Daemon(url=params.url, addresses=addresses, username=params.username, password=password), deadline)


def _needs_process(params: SupervisordParams) -> str:
    if not params.process:
        raise ConfigurationError(f"this target is the group {params.group}; to restart, name one process")
    return params.process


def _needs_group(params: SupervisordParams) -> str:
    if not params.group:
        raise ConfigurationError(f"this target is the process {params.process}; to scale, name a group")
    return params.group
