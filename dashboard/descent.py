"""Processes whose life is tied to that of another: to their parent by the kernel (Linux), and to the leader of their
session by whoever ends it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
DEAD = ("Z", "X")  # states of a process that ended and that nobody has taken note of

# Loaded here, not in the forked child: between fork and exec as little as possible may run.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """Have the kernel send this process SIGTERM when its parent ends; stop at once when it has ended already."""
    parent = os.getppid()
    _ask_for_sigterm_at_its_end()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def leads_session(pid: int) -> bool:
    """Whether `pid` lives and leads a session, as every child does; a pid that was given out again rarely does."""
    with contextlib.suppress(OSError):
        if _has_proc():
            state, session = _state_and_session(pid)
            return session == pid and state not in DEAD
        return os.getsid(pid) == pid
    return False


def tie_to(parent: int) -> Callable[[], None]:
    """What a forked child does before it becomes its program: tie its life to the process `parent`."""

    def tie() -> None:
        # Our own handlers are still in place; a signal they took now would be lost with them.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _ask_for_sigterm_at_its_end()
        if os.getppid() != parent:  # it ended before the kernel was asked
            os._exit(1)

    return tie


def _ask_for_sigterm_at_its_end() -> None:
    """Linux only. Elsewhere the children of a starter that was killed have to be ended by hand."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def kill_session(leader: int) -> None:
    """SIGKILL everything in the session `leader` opened: also programs it put into groups of their own."""
    if not _has_proc():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
        return
    deadline = time.monotonic() + 5  # a process that hangs in the kernel must not hold up the others
    while time.monotonic() < deadline and (members := _session(leader)):
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _session(leader: int) -> list[int]:
    """The living processes of a session."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                state, session = _state_and_session(int(entry.name))
                if session == leader and state not in DEAD:
                    members.append(int(entry.name))
    return members


def _has_proc() -> bool:
    return Path("/proc/self/stat").exists()


def _state_and_session(pid: int) -> tuple[str, int]:
    # The command stands in brackets and may hold anything, brackets too.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[3])
