"""The calls of one look at a supervisord, or of one effect on it, all inside one deadline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from remediation.exceptions import EffectNotStarted, EffectUncertain
from remediation.targets import supervisord_rpc as rpc
from remediation.targets.own import refuse_own_address, refuse_own_path, refuse_own_pid
from remediation.targets.supervisord_members import DEAD, Member, parse_member
from remediation.targets.wire import Deadline

POLL_S = 0.05
"""Asking also wakes supervisord, which by itself looks for ended children once a second."""

NOT_TRIED = (rpc.NO_FILE, rpc.NOT_EXECUTABLE, rpc.BAD_NAME, rpc.SHUTTING_DOWN, rpc.FAILED)
"""Faults of startProcess before it forks."""

GOES_ON = (rpc.ALREADY_STARTED, rpc.SPAWN_ERROR)
"""Faults after which supervisord tries by itself: its autorestart was quicker, or it will start again (BACKOFF)."""


class Session:
    def __init__(self, daemon: rpc.Daemon, deadline: Deadline) -> None:
        self.daemon, self.deadline = daemon, deadline

    def everything(self) -> list[Member]:
        return [parse_member(row) for row in self._ask("getAllProcessInfo")]

    def process(self, name: str) -> Member:
        """Raises EffectNotStarted when there is no such process."""
        return parse_member(self._ask("getProcessInfo", name))

    def group(self, name: str) -> list[Member]:
        """Its members. Raises EffectNotStarted when there are none."""
        members = [one for one in self.everything() if one.group == name]
        if not members:
            raise EffectNotStarted(f"supervisord at {self.daemon.url} has no group named {name}")
        return members

    def refuse_own(self, members: Iterable[Member]) -> None:
        """Raise OwnProcess. Pids are compared only where they mean processes of this machine."""
        for address in self.daemon.addresses:
            if isinstance(address, str):
                refuse_own_path(address)
            else:
                refuse_own_address(*address)
        if self.daemon.is_here():
            for one in members:
                refuse_own_pid(one.pid, one.full_name)

    def refuse_short_time(self, members: Iterable[Member], *, stops: bool, starts: bool) -> None:
        """Raise EffectNotStarted when supervisord may take longer than the attempt: it would be left stopped."""
        names = {one.full_name for one in members}
        rows = [row for row in self._configs() if f"{row.get('group')}:{row.get('name')}" in names]
        stop_s = max((int(row.get("stopwaitsecs", 0)) for row in rows), default=0) if stops else 0
        start_s = max((int(row.get("startsecs", 0)) for row in rows), default=0) if starts else 0
        if rows and stop_s + start_s >= self.deadline.seconds:
            raise EffectNotStarted(
                f"supervisord may take {stop_s} s to stop it and {start_s} s to start it (stopwaitsecs, startsecs), "
                f"and the deadline is {self.deadline.seconds:g} s: raise the deadline or lower those"
            )

    def stop(self, member: Member) -> bool:
        """Tell it to stop; False when it stood still already. Raises EffectError."""
        try:
            self.daemon.order("stopProcess", member.full_name, False, deadline=self.deadline)
        except rpc.Fault as fault:
            if fault.code != rpc.NOT_RUNNING:
                raise self._refused(fault, member.full_name) from None
            return self.process(member.full_name).state == "STOPPING"
        return True

    def start(self, member: Member, *, so_far: str = "") -> None:
        """Tell it to start. Raises EffectNotStarted when nothing has been touched `so_far`, else EffectUncertain."""
        try:
            self.daemon.order("startProcess", member.full_name, False, deadline=self.deadline)
        except rpc.Fault as fault:
            if fault.code in GOES_ON:
                return
            error = EffectUncertain if so_far or fault.code not in NOT_TRIED else EffectNotStarted
            raise error(f"{so_far or member.full_name}, but supervisord cannot start it: {fault}") from None
        except EffectNotStarted as error:
            raise _after(so_far, error) from error

    def start_all(self, members: list[Member]) -> None:
        for count, one in enumerate(members):
            self.start(one, so_far=f"{count} of {len(members)} told to start" if count else "")

    def stop_all(self, members: list[Member]) -> None:
        for count, one in enumerate(members):
            try:
                self.stop(one)
            except EffectNotStarted as error:
                raise _after(f"{count} of {len(members)} told to stop" if count else "", error) from error

    def wait(self, members: list[Member], states: tuple[str, ...], so_far: str, *, not_pid: int = 0) -> list[Member]:
        """The members once all are in one of `states`. Raises EffectUncertain: something has been touched by now."""
        names = [one.full_name for one in members]
        try:
            while True:
                found = self._named(names)
                if all(one.state in states and not (not_pid and one.pid == not_pid) for one in found):
                    return found
                for one in found:
                    if one.state in DEAD and "RUNNING" in states:
                        raise EffectUncertain(f"{so_far}, but {one}")
                self.deadline.pause(POLL_S)
        except (EffectNotStarted, TimeoutError) as error:
            raise EffectUncertain(f"{so_far}; then {error}") from error

    def _named(self, names: list[str]) -> list[Member]:
        if len(names) == 1:
            return [self.process(names[0])]
        return [one for one in self.everything() if one.full_name in names]

    def _configs(self) -> list[dict[str, Any]]:
        """What is declared of each process; an older supervisord cannot say."""
        try:
            return cast("list[dict[str, Any]]", self.daemon.ask("getAllConfigInfo", deadline=self.deadline))
        except rpc.Fault:
            return []

    def _ask(self, method: str, *names: str) -> Any:
        try:
            return self.daemon.ask(method, *names, deadline=self.deadline)
        except rpc.Fault as fault:
            raise self._refused(fault, *names) from None

    def _refused(self, fault: rpc.Fault, *names: str) -> EffectNotStarted:
        if fault.code == rpc.BAD_NAME:
            return EffectNotStarted(f"supervisord at {self.daemon.url} has no process named {', '.join(names)}")
        return EffectNotStarted(f"supervisord at {self.daemon.url} refuses: {fault}")


def _after(so_far: str, error: EffectNotStarted) -> EffectNotStarted | EffectUncertain:
    """What not reaching supervisord means, given what it was told before."""
    return EffectUncertain(f"{so_far}; then {error}") if so_far else error
