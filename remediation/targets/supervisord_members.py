"""The processes of a supervisord and which of them to touch: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from remediation.exceptions import EffectNotStarted

RUNS = ("RUNNING", "STARTING")
STANDS = ("STOPPED", "EXITED", "FATAL")
DEAD = (*STANDS, "UNKNOWN")


@dataclass(frozen=True, kw_only=True)
class Member:
    """A process as supervisord describes it."""

    group: str
    name: str
    state: str
    pid: int
    error: str

    @property
    def full_name(self) -> str:
        return f"{self.group}:{self.name}"

    def __str__(self) -> str:
        detail = f" with pid {self.pid}" if self.pid else f": {self.error}" if self.error else ""
        return f"{self.full_name} is {self.state}{detail}"


def parse_member(row: dict[str, Any]) -> Member:
    """One row of getProcessInfo. Raises EffectNotStarted when it is none: only questions are answered with it."""
    try:
        state = str(row["statename"])
        return Member(
            group=str(row["group"]),
            name=str(row["name"]),
            state=state,
            pid=int(row["pid"]),
            error="" if state in RUNS else str(row.get("spawnerr") or ""),  # it keeps old errors while it runs
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EffectNotStarted("what answers is not a supervisord") from error


def name_order(member: Member) -> list[tuple[int, str]]:
    """web_2 before web_10, whether or not the numbers are padded."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", member.name)]


def to_start(members: Iterable[Member], count: int) -> list[Member]:
    """The first `count` by name of those that stand still."""
    return sorted((one for one in members if one.state in STANDS), key=name_order)[:count]


def to_stop(members: Iterable[Member], count: int) -> list[Member]:
    """The last `count` by name of those that run."""
    return sorted((one for one in members if one.state in RUNS), key=name_order, reverse=True)[:count]
