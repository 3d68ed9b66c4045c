"""Homeostat's processes one by one, so that each can be killed, left dead and started again."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dashboard.processes import Child

PR_SET_PDEATHSIG = 1
STARTS_WITHIN_S = 120
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class DidNotStart(Exception):
    """A process ended before it was ready, or was not ready in time. The text ends with its last lines."""


def _tied() -> None:
    """Between fork and exec: the kernel kills it when the harness ends, however that ends."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


class Process:
    """One process, in a session of its own, with its lines in a file."""

    def __init__(self, child: Child, logs: Path) -> None:
        self.child = child
        self.log = logs / f"{child.name}.log"
        self.running: subprocess.Popen[bytes] | None = None
        self.changed = False  # it was given more of an environment than usual: a failpoint, say

    @property
    def alive(self) -> bool:
        return self.running is not None and self.running.poll() is None

    def start(self, env: Mapping[str, str] | None = None) -> None:
        """Start it without waiting until it is ready."""
        self.stop()
        self.changed = bool(env)
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.child.argv,
                env={**os.environ, **(self.child.env or {}), **(env or {})},
                cwd=self.child.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_tied,  # noqa: PLW1509 - one system call
            )

    def await_ready(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not self._ready():
            if not self.alive or time.monotonic() > deadline:
                why = "is not ready" if self.alive else "ended"
                raise DidNotStart(f"{self.child.name} {why}:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)

    def _ready(self) -> bool:
        try:
            return self.child.ready is None or self.child.ready()
        except OSError:
            return False

    def signal(self, signum: int) -> None:
        if self.running is not None and self.running.poll() is None:
            os.killpg(self.running.pid, signum)

    def kill(self) -> None:
        """As a machine that loses its power."""
        self.signal(signal.SIGKILL)
        if self.running is not None:
            self.running.wait()

    def ended(self, within_s: float) -> bool:
        if self.running is None:
            return True
        try:
            self.running.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        self.signal(self.child.stop_signal)
        if not self.ended(self.child.stop_within_s):
            self.kill()


class Processes:
    """All of an installation, by name, in the order of starting."""

    def __init__(self, children: list[Child], logs: Path) -> None:
        self.logs = logs
        self.by_name = {child.name: Process(child, logs) for child in children}

    def __getitem__(self, name: str) -> Process:
        return self.by_name[name]

    def start(self, *names: str, env: Mapping[str, str] | None = None) -> None:
        """Start them at once, and wait until each is ready. Those that run are stopped first."""
        for name in names:
            self[name].start(env)
        for name in names:
            self[name].await_ready()

    def start_missing(self) -> list[str]:
        missing = [name for name, one in self.by_name.items() if not one.alive]
        for name in missing:
            self.start(name)
        return missing

    def second(self, name: str) -> Process:
        """Another one of the same."""
        twin = replace(self[name].child, name=f"{name}-2")
        return self.by_name.setdefault(twin.name, Process(twin, self.logs))

    def drop(self, name: str) -> None:
        self.by_name.pop(name).stop()

    def stop(self) -> None:
        for one in reversed(self.by_name.values()):
            one.stop()

    def said(self, name: str) -> str:
        return self[name].log.read_text(errors="replace")
