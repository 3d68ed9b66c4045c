"""Real children: deadlines, groups, output. Each program is a few lines of Python or a plain tool."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from remediation.exceptions import EffectNotStarted
from remediation.targets import child
from remediation.targets.child import KEPT_BYTES, run

LONG_S = 30.0
"""Far beyond what any of them takes: nothing here waits for it."""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def dies(pid: int) -> bool:
    for _ in range(200):
        if not lives(pid):
            return True
        time.sleep(0.02)
    return False


def test_status_and_output_in_the_order_it_came() -> None:
    ended = run(python("import sys; print('out', flush=True); sys.stderr.write('err'); sys.exit(3)"), timeout_s=LONG_S)
    assert (ended.status, ended.output, ended.cut, ended.timed_out) == (3, "out\nerr", False, False)


def test_arguments_are_handed_over_as_they_are() -> None:
    nasty = ["; reboot", "$(x)", "a\nb", "--force", "{{7*7}}", "*", "`id`", '"']
    ended = run(python("import sys; print(ascii(sys.argv[1:]))", *nasty), timeout_s=LONG_S)
    assert ended.output.strip() == ascii(nasty)


def test_environment_is_minimal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_SECRET_KEY", "very secret")
    code = "import os; print(sorted(n for n in os.environ if n not in ('PATH', 'LANG', 'LC_ALL', 'TZ', 'LC_CTYPE')))"
    assert run(python(code), timeout_s=LONG_S, environment={"MORE": "1"}).output.strip() == "['MORE']"


def test_nothing_is_read_from_our_input() -> None:
    assert run(python("import sys; print(repr(sys.stdin.read()))"), timeout_s=LONG_S).output.strip() == "''"


@pytest.mark.parametrize("argv", [["/no/such/program"], ["/etc"], ["with\0nul"]])
def test_what_cannot_be_started_has_certainly_not_begun(argv: list[str]) -> None:
    with pytest.raises(EffectNotStarted):
        run(argv, timeout_s=LONG_S)


def test_child_that_ignores_term_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "TERM_FOR_S", 0.3)
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: print("I stay", flush=True))
print(os.getpid(), flush=True)
while True:
    time.sleep(0.1)
"""
    ended = run(python(code), timeout_s=1.5)
    pid, *said = ended.output.split("\n")
    assert (ended.status, ended.timed_out, said[0]) == (None, True, "I stay")
    assert dies(int(pid))


def test_child_that_goes_at_term_may_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import signal, sys, time
def go(*_):
    print("cleaned up", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, go)
print("ready", flush=True)
time.sleep(60)
"""
    ended = run(python(code), timeout_s=1.5)
    assert (ended.status, ended.timed_out, ended.output) == (None, True, "ready\ncleaned up\n")


GRANDCHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); "
                          "print('up', flush=True); time.sleep(60)"], stdout=subprocess.PIPE if {quiet} else None)
{wait}
print(child.pid, flush=True)
{then}
"""


def test_grandchildren_end_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "TERM_FOR_S", 0.3)
    code = GRANDCHILD.format(quiet=True, wait="child.stdout.readline()", then="time.sleep(60)")
    ended = run(python(code), timeout_s=3)
    assert ended.timed_out
    assert dies(int(ended.output.split()[-1]))


def test_what_a_child_that_ended_left_behind_is_killed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The grandchild holds our pipe: nobody waits for it, and it does not outlive the call."""
    monkeypatch.setattr(child, "DRAINED_FOR_S", 0.2)
    ended = run(python(GRANDCHILD.format(quiet=False, wait="time.sleep(0.5)", then="")), timeout_s=LONG_S)
    assert (ended.status, ended.timed_out) == (0, False)
    assert dies(next(int(word) for word in ended.output.split() if word.isdigit()))


def test_a_hundred_megabytes_are_read_and_dropped() -> None:
    before = _memory_kb()
    ended = run(python("import sys\nfor _ in range(100): sys.stdout.write('x' * 1_000_000)"), timeout_s=120)
    assert (ended.status, ended.cut, len(ended.output)) == (0, True, KEPT_BYTES)
    assert _memory_kb() - before < 20_000


def test_output_that_is_no_text_is_shown_somehow() -> None:
    ended = run(python(r"import sys; sys.stdout.buffer.write(b'\xff\xfe ok')"), timeout_s=LONG_S)
    assert ended.output.endswith(" ok")


def _memory_kb() -> int:
    """What this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
