"""Runs one program as a child: an argv list, a process group of its own, a deadline, and no more output than fits.

At the deadline the whole group gets SIGTERM and soon after SIGKILL, so that nothing which the program started outlives
it (but for what put itself into another session on purpose). There is no shell anywhere.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from remediation.exceptions import EffectNotStarted

TERM_FOR_S = 2.0
"""Seconds between SIGTERM and SIGKILL."""
KEPT_BYTES = 64 * 1024
"""Bytes of output that are kept, from its beginning. What follows is read and dropped, so the child never blocks."""
DRAINED_FOR_S = 1.0
"""Seconds in which the pipe of a child that ended is read to its end, in case a grandchild still holds it."""
ENVIRONMENT = ("LANG", "LC_ALL", "PATH", "TZ")
"""What a child sees of our environment. Everything else may hold a secret."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """status: the exit code; None when the child did not end by itself and was killed at the deadline, or by a signal.
    output: standard output and error as they came, at most KEPT_BYTES. cut: whether there was more."""

    status: int | None
    output: str
    cut: bool
    timed_out: bool
    took_s: float


def run(
    argv: Sequence[str], *, timeout_s: float, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run a program to its end, or to the deadline. Raises EffectNotStarted when it cannot be started."""
    began = time.monotonic()
    process = _started(argv, cwd, environment or {})
    reader = _Reader(process)
    try:
        timed_out = not reader.read_until_end(began + timeout_s)
        if timed_out:
            _signal(process, signal.SIGTERM)
            reader.read_until_end(time.monotonic() + TERM_FOR_S)
    finally:
        _signal(process, signal.SIGKILL)  # also what a child that ended by itself has left behind
        process.wait()
        reader.close()
    return Ended(
        status=None if timed_out or process.returncode < 0 else process.returncode,
        output=reader.kept.decode(errors="replace"),
        cut=reader.cut,
        timed_out=timed_out,
        took_s=time.monotonic() - began,
    )


def _started(argv: Sequence[str], cwd: Path | None, more: Mapping[str, str]) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ} | dict(more)
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            close_fds=True,
            start_new_session=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise EffectNotStarted(f"{argv[0]} cannot be started: {reason}") from error


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the whole group. Its leader is not reaped before the last signal, so its number names nobody else."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


class _Reader:
    """Reads a child's pipe without ever blocking on it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - for the type checker: stdout=PIPE above
        self.process, self.pipe = process, process.stdout
        self.kept = bytearray()
        self.cut = self.at_end = False
        os.set_blocking(self.pipe.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.pipe, selectors.EVENT_READ)

    def read_until_end(self, ends: float) -> bool:
        """Read until the child has ended (True) or the time is over (False). Does not reap it."""
        ended_at: float | None = None
        while True:
            now = time.monotonic()
            if ended_at is None and self._has_ended():
                ended_at = now
            if ended_at is not None and (self.at_end or now - ended_at > DRAINED_FOR_S):
                return True
            if ended_at is None and now >= ends:
                return False
            self._read(0.05)

    def _has_ended(self) -> bool:
        """Looks without reaping: a reaped leader's number could be given to another group before it is signalled."""
        found = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return found is not None

    def _read(self, wait_s: float) -> None:
        if self.at_end:
            time.sleep(wait_s)
            return
        if not self.selector.select(wait_s):
            return
        with suppress(BlockingIOError):
            piece = os.read(self.pipe.fileno(), 1 << 16)
            self.at_end = not piece
            room = KEPT_BYTES - len(self.kept)
            self.kept += piece[:room]
            self.cut = self.cut or len(piece) > room

    def close(self) -> None:
        self.selector.close()
        self.pipe.close()
