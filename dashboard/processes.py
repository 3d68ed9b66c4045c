"""The processes of one machine, started, watched and stopped as one family.

Used by `manage.py up` and by the demo. Three promises:

- Nobody is left behind. Each child leads its own session, and stopping ends everything in that session. When the
  starter itself is killed, the kernel sends SIGTERM to every child (PR_SET_PDEATHSIG, Linux).
- The order of stopping is ours: the reverse of the order of starting. The terminal's Ctrl-C reaches only the starter.
- The last lines of a child that failed are never lost.

The kernel ties a child to the *thread* that started it, so children are started from the main thread only.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TextIO

from dashboard.descent import kill_session, tie_to

LINES_KEPT = 50
LINES_SHOWN = 15
RESTART_WINDOW_S = 60
COLOURS = (36, 33, 35, 32, 34, 96, 93, 95)  # ANSI foregrounds that read on dark and on light


class ChildFailed(Exception):
    """A child ended before it was ready, or was not ready in time. The text holds its last lines."""

    def __init__(self, name: str, reason: str, lines: list[str]) -> None:
        shown = lines[-LINES_SHOWN:]
        said = "\n".join(f"    {line}" for line in shown) if shown else "    (it printed nothing)"
        super().__init__(f"{name} {reason}. Its last lines:\n{said}")
        self.name = name
        self.reason = reason
        self.lines = lines


class Interrupted(KeyboardInterrupt):
    """A signal asked the family to stop while it was still starting.

    Not an Exception, so that nothing between the signal and the stop takes it for an ordinary failure.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


@dataclass(frozen=True, kw_only=True)
class Child:
    """What to start, how to know that it is ready, and how to stop it."""

    name: str  # prefix in the log
    argv: list[str]
    env: Mapping[str, str] | None = None  # merged over os.environ
    cwd: Path | None = None
    ready: Callable[[], bool] | None = None  # polled until true; an OSError counts as "not yet"
    ready_within_s: float = 30
    stop_signal: int = signal.SIGTERM
    stop_within_s: float = 10  # then SIGKILL to everything in its session
    quiet: bool = False  # log lines only on failure (kept: the last 50)
    restarts: int = 0  # how often within a minute it is started again when it dies; then the family stops


@dataclass(kw_only=True)
class _Running:
    """A child that was started, with what it said last."""

    child: Child
    process: subprocess.Popen[str]
    lines: deque[str]
    reader: threading.Thread
    since: float  # time.monotonic()
    deaths: list[float] = field(default_factory=list)  # of its predecessors within the window


class Family:
    """Children that live and stop together. Use from the main thread; `with Family() as family:` stops at the end."""

    def __init__(self, *, out: TextIO | None = None, colour: bool | None = None, name: str = "homeostat") -> None:
        self.on_change: Callable[[dict[str, int]], None] | None = None  # told the pids after each start and restart
        self._name = name
        self._out: TextIO | None = out or sys.stdout
        self._colour = _wants_colour(self._out) if colour is None else colour
        self._palette = itertools.cycle(COLOURS)
        self._painted: dict[str, int] = {}
        self._width = max(len(name), 10)
        self._writing = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._afterwards: list[Callable[[], object]] = []
        self._handlers: dict[int, Any] = {}
        self._signal: int | None = None
        self._first_signal_at = 0.0
        self._hurry = False  # a second Ctrl-C: kill, do not wait
        self._deferring = False  # a signal is looked at by our own loop; else it raises Interrupted

    def __enter__(self) -> Family:
        self._watch_signals()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, child: Child) -> int:
        """Start `child`, wait until it is ready, and return its pid.

        Raises ChildFailed when it ends before it is ready or is not ready in time; nothing of it is left then.
        Raises Interrupted when a signal comes meanwhile; `stop` then ends it with the others.
        """
        self.start_together([child])
        return self.pids()[child.name]

    def start_together(self, children: Sequence[Child]) -> None:
        """Start `children` at once and wait until all are ready: for those that do not need each other to start.

        Raises as `start` does. The others of a child that failed go on until `stop`.
        """
        self._watch_signals()
        with self._signals_deferred():
            started = []
            for child in children:
                self._raise_if_interrupted()
                if child.name in self._running:
                    raise ValueError(f"a child named {child.name} runs already")
                started.append(self._spawn(child))
            for running in started:
                self._await_ready(running)
        self._tell()

    def run(self, child: Child) -> None:
        """Run `child` to its end, which is what `ready_within_s` limits; raises ChildFailed unless it ends with 0."""
        self._watch_signals()
        with self._signals_deferred():
            self._raise_if_interrupted()
            running = self._spawn(child)
            try:
                if not self._ended_within(running, child.ready_within_s):
                    raise self._failure(running, f"did not finish within {child.ready_within_s:g} s")
                if running.process.returncode:
                    raise self._failure(running, _how_it_ended(running.process.returncode))
            finally:
                self._end(running)

    def wait(self) -> int:
        """Watch the children until a signal comes (0) or one of them dies for good (1). Stopping is `stop`'s."""
        with self._signals_deferred():
            while self._signal is None:
                for running in list(self._running.values()):
                    if running.process.poll() is not None and not self._revive(running):
                        return 1
                time.sleep(0.1)
            self.say(f"{signal.Signals(self._signal).name} received: stopping (Ctrl-C again kills at once)")
        return 0

    def stop(self) -> None:
        """Stop all children, the last started first, then do what was left for afterwards. Safe to call twice."""
        with self._signals_deferred():
            while self._running:
                self._end(next(reversed(self._running.values())))
            while self._afterwards:
                self._afterwards.pop()()
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)
        self._handlers.clear()

    def afterwards(self, action: Callable[[], object]) -> None:
        """Have `stop` call `action` once no child runs any more (the last given first): removing files, say."""
        self._afterwards.append(action)

    def pids(self) -> dict[str, int]:
        """The pid of each child by its name, in the order of starting."""
        return {name: running.process.pid for name, running in self._running.items()}

    def say(self, text: str) -> None:
        """Print `text` among the log lines, under the family's own name."""
        for line in text.splitlines():
            self._print(self._name, line)

    # Starting

    def _spawn(self, child: Child) -> _Running:
        try:
            process = _popen(child)
        except (OSError, subprocess.SubprocessError) as error:
            raise ChildFailed(child.name, f"cannot be started: {error}", []) from error
        lines: deque[str] = deque(maxlen=LINES_KEPT)
        reader = threading.Thread(target=self._read, args=(child, process, lines), daemon=True)
        running = _Running(child=child, process=process, lines=lines, reader=reader, since=time.monotonic())
        self._running[child.name] = running  # one that is started again keeps its place in the order
        reader.start()
        return running

    def _await_ready(self, running: _Running) -> None:
        child = running.child
        deadline = running.since + child.ready_within_s
        while True:
            self._raise_if_interrupted()
            # The answer first, the pulse second: an answer may come from a stranger on the same port.
            ready = child.ready is None or _holds(child.ready)
            if running.process.poll() is not None:
                failure = self._failure(running, f"{_how_it_ended(running.process.returncode)} before it was ready")
            elif ready:
                return
            elif time.monotonic() > deadline:
                failure = self._failure(running, f"was not ready within {child.ready_within_s:g} s")
            else:
                time.sleep(0.05)
                continue
            self._end(running)
            raise failure

    def _revive(self, dead: _Running) -> bool:
        """Start a child that died again, unless it may not be or has died too often; says what happened."""
        now = time.monotonic()
        failure = self._failure(dead, f"{_how_it_ended(dead.process.returncode)} after {now - dead.since:.0f} s")
        self._bury(dead)
        deaths = [at for at in dead.deaths if now - at < RESTART_WINDOW_S]
        if len(deaths) >= dead.child.restarts:
            often = f"\nIt was started again {len(deaths)} times within a minute." if deaths else ""
            self.say(f"{failure}{often}\nStopping everything, because {dead.child.name} is gone.")
            return False
        self.say(f"{failure}\nStarting {dead.child.name} again.")
        try:
            self._spawn(dead.child).deaths = [*deaths, now]
        except ChildFailed as again:
            self.say(f"{again}\nStopping everything, because {dead.child.name} is gone.")
            return False
        self._tell()
        return True

    def _tell(self) -> None:
        if self.on_change is not None:
            self.on_change(self.pids())

    # Stopping

    def _end(self, running: _Running) -> None:
        """Stop one child and forget it."""
        if running.process.poll() is None:
            running.process.send_signal(running.child.stop_signal)
            if not self._ended_within(running, running.child.stop_within_s, stopping=True) and not self._hurry:
                self.say(f"{running.child.name} did not stop within {running.child.stop_within_s:g} s: killing it")
        self._bury(running)
        del self._running[running.child.name]

    def _bury(self, running: _Running) -> None:
        """End whatever is left of a child's session, and let its last lines come in."""
        kill_session(running.process.pid)
        running.process.wait()
        running.reader.join(timeout=1)

    def _ended_within(self, running: _Running, seconds: float, *, stopping: bool = False) -> bool:
        deadline = time.monotonic() + seconds
        while running.process.poll() is None:
            if self._hurry or time.monotonic() > deadline:
                return False
            if not stopping:
                self._raise_if_interrupted()
            time.sleep(0.02)
        return True

    def _failure(self, running: _Running, reason: str) -> ChildFailed:
        if running.process.poll() is not None:
            # Its end of the pipe is closed, unless a grandchild holds it: read to the end, but not for ever.
            running.reader.join(timeout=1)
        return ChildFailed(running.child.name, reason, list(running.lines))

    # Signals

    def _watch_signals(self) -> None:
        if self._handlers:
            return
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signum == signal.SIGHUP and signal.getsignal(signum) == signal.SIG_IGN:
                continue  # nohup
            self._handlers[signum] = signal.signal(signum, self._on_signal)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signal is None:
            self._signal, self._first_signal_at = signum, now
            if not self._deferring:
                raise Interrupted(signum)
        elif signum == signal.SIGINT and now - self._first_signal_at > 0.5:
            # Sooner it is one key press that came twice: from the terminal and from a wrapper such as make.
            self._hurry = True

    @contextlib.contextmanager
    def _signals_deferred(self) -> Iterator[None]:
        before, self._deferring = self._deferring, True
        try:
            yield
        finally:
            self._deferring = before

    def _raise_if_interrupted(self) -> None:
        if self._signal is not None:
            raise Interrupted(self._signal)

    # The log

    def _read(self, child: Child, process: subprocess.Popen[str], lines: deque[str]) -> None:
        assert process.stdout is not None  # noqa: S101 - for the type checker: stdout=PIPE above
        for raw in process.stdout:
            line = raw.rstrip("\r\n")
            lines.append(line)
            if not child.quiet:
                self._print(child.name, line)

    def _print(self, name: str, line: str) -> None:
        with self._writing:
            self._width = max(self._width, len(name))
            prefix = f"{name:<{self._width}} |"
            if self._colour:
                if name not in self._painted:
                    self._painted[name] = next(self._palette)
                prefix = f"\x1b[{self._painted[name]}m{prefix}\x1b[0m"
            try:
                if self._out is not None:
                    self._out.write(f"{prefix} {line}\n")
                    self._out.flush()
            except (OSError, ValueError):
                self._out = None  # nobody reads any more (`make run | head`); the children's pipes must still drain


def _wants_colour(out: TextIO) -> bool:
    return out.isatty() and not os.environ.get("NO_COLOR")


def _holds(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except OSError:
        return False


def _how_it_ended(code: int) -> str:
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


def _popen(child: Child) -> subprocess.Popen[str]:
    with warnings.catch_warnings():
        # Python warns of forking beside threads. Between fork and exec our child makes three system calls.
        warnings.simplefilter("ignore", DeprecationWarning)
        return subprocess.Popen(
            child.argv,
            # Unbuffered: what a Python program printed just before it was killed is what one wants to read.
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(child.env or {})},
            cwd=child.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=tie_to(os.getpid()),  # noqa: PLW1509 - as said above
        )
