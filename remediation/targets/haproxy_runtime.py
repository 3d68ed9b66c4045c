"""HAProxy's runtime API: questions and orders over its socket, and what its answers mean."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Literal

from remediation.exceptions import EffectNotStarted, EffectUncertain
from remediation.targets.own import refuse_own_path
from remediation.targets.wire import Deadline, ask, connect, reading

ANSWER_LIMIT = 4_000_000
CALL_S = 5.0
"""Seconds a single command may take, however much the attempt has left."""

FORCED_MAINT, RESOLUTION_MAINT = 0x01 | 0x02, 0x20
DRAIN = 0x08 | 0x10
"""Bits of srv_admin_state. 0x04 (disabled in the configuration) stays set after `state ready`: it says nothing."""

Admin = Literal["ready", "drain", "maint"]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server of a backend. status: as the statistics page shows it (UP, DOWN, MAINT, no check, UP 1/3, ...)."""

    name: str
    address: str
    port: int
    admin: Admin
    weight: int
    backup: bool
    status: str
    sessions: int

    @property
    def is_up(self) -> bool:
        return self.status.startswith("UP")

    @property
    def is_down(self) -> bool:
        return self.status.startswith("DOWN")

    @property
    def takes_traffic(self) -> bool:
        return self.admin == "ready"


def parse_servers(states: str, stats: str) -> dict[str, Server]:
    """The servers by name, from the answers to `show servers state` and `show stat`. Raises EffectNotStarted."""
    try:
        shown = {row["svname"]: row for row in csv.DictReader(stats.removeprefix("# ").strip().splitlines())}
        version, heading, *rows = states.strip().splitlines()
        if version != "1":
            raise EffectNotStarted(f"`show servers state` has version {version[:20]!r}; only version 1 is known")
        fields = heading.removeprefix("# ").split(" ")
        found = [_server(row, shown) for row in csv.DictReader(rows, fieldnames=fields, delimiter=" ")]
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise EffectNotStarted("HAProxy's answer is not understood") from error
    return {server.name: server for server in found}


def _server(row: dict[str, str], shown: dict[str, dict[str, str]]) -> Server:
    stat = shown[row["srv_name"]]
    return Server(
        name=row["srv_name"],
        address=row["srv_addr"],
        port=int(row["srv_port"]),
        admin=admin_of(int(row["srv_admin_state"])),
        weight=int(row["srv_uweight"]),
        backup=stat["bck"] == "1",
        status=stat["status"],
        sessions=int(stat["scur"]),
    )


def admin_of(bits: int) -> Admin:
    """What srv_admin_state comes down to."""
    if bits & (FORCED_MAINT | RESOLUTION_MAINT):
        return "maint"
    return "drain" if bits & DRAIN else "ready"


class Runtime:
    """The commands of one look or one effect, all inside one deadline."""

    def __init__(self, socket: str, backend: str, deadline: Deadline) -> None:
        self.socket, self.backend, self.deadline = socket, backend, deadline

    def servers(self) -> dict[str, Server]:
        """All servers of the backend. Raises EffectNotStarted."""
        states = self.ask(f"show servers state {self.backend}")
        if not states.startswith("1\n"):
            raise EffectNotStarted(f"HAProxy has no backend {self.backend}: {states.strip()[:200]}")
        return parse_servers(states, self.ask(f"show stat {self.backend} 4 -1"))  # 4: servers, -1: all of them

    def level(self) -> str:
        """admin, operator or user: what this socket may do."""
        return self.ask("show cli level").strip()

    def ask(self, command: str) -> str:
        """The answer to a question. Raises EffectNotStarted."""
        with reading():
            return self._say(command)

    def order(self, command: str) -> None:
        """Raises EffectNotStarted when HAProxy refuses or is not there, EffectUncertain when it does not answer."""
        if refusal := self._say(command).strip():  # silence is consent
            raise EffectNotStarted(f"HAProxy refuses `{command}`: {refusal.splitlines()[0][:200]}")

    def _say(self, command: str) -> str:
        try:
            call = Deadline(self.deadline.left(at_most=CALL_S))
        except TimeoutError as error:
            raise EffectNotStarted(f"no time left for `{command}`: {error}") from error
        try:
            return ask(connect([self.socket], call), command, limit=ANSWER_LIMIT)
        except EffectUncertain as error:
            raise EffectUncertain(f"HAProxy, asked `{command}`: {error}") from error

    def refuse_own(self) -> None:
        """Raise OwnProcess when the socket is one of Homeostat's."""
        refuse_own_path(self.socket)


def need(servers: dict[str, Server], name: str, backend: str) -> Server:
    """Raises EffectNotStarted that names those there are."""
    if name not in servers:
        there = ", ".join(sorted(servers)) or "none"
        raise EffectNotStarted(f"backend {backend} has no server {name}; it has {there}")
    return servers[name]
