"""The process family, with real processes."""

import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashboard import ports, processes, valkey
from dashboard.processes import Child, ChildFailed, Family

ROOT = Path(__file__).resolve().parents[2]
SLEEPER = ["sh", "-c", "echo up; exec sleep 60"]
# Says when it is asked to stop, and by whom it was asked in which order.
NOTES_ITS_END = """
import pathlib, signal, sys, time
def stop(*_):
    with open(sys.argv[1], "a") as file:
        file.write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("up")
time.sleep(60)
"""
STUBBORN = "trap '' TERM INT; echo up; while :; do sleep 0.1; done"


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(autouse=True)
def _hang_up_is_heard() -> Iterator[None]:
    """Also where whoever runs the tests ignores it, as nohup does: a family then ignores it as well."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def family(log: io.StringIO) -> Iterator[Family]:
    with Family(out=log, colour=False) as family:
        yield family


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def eventually(condition: Callable[[], object], within_s: float = 5) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def notes_its_end(file: Path, name: str, **options: object) -> Child:
    argv = [sys.executable, "-c", NOTES_ITS_END, str(file), name]
    return Child(name=name, argv=argv, **options)  # type: ignore[arg-type]


def in_log(log: io.StringIO, text: str) -> Callable[[], bool]:
    return lambda: text in log.getvalue()


def send_soon(signum: int, after_s: float = 0.2) -> None:
    threading.Timer(after_s, os.kill, (os.getpid(), signum)).start()


def test_start_waits_until_the_child_is_ready_and_prefixes_its_lines(
    family: Family, log: io.StringIO, tmp_path: Path
) -> None:
    mark = tmp_path / "ready"
    script = f"echo warming up; sleep 0.3; touch {mark}; exec sleep 60"
    pid = family.start(Child(name="web", argv=["sh", "-c", script], ready=mark.exists))
    assert mark.exists()
    assert family.pids() == {"web": pid}
    assert log.getvalue() == "web        | warming up\n"


def test_a_child_gets_the_environment_and_folder_it_asks_for(family: Family, log: io.StringIO, tmp_path: Path) -> None:
    family.run(Child(name="one", argv=["sh", "-c", 'echo "$SHOP in $(pwd)"'], env={"SHOP": "open"}, cwd=tmp_path))
    assert log.getvalue() == f"one        | open in {tmp_path}\n"


def test_a_child_leads_its_own_session_so_that_ctrl_c_does_not_reach_it(family: Family) -> None:
    pid = family.start(Child(name="web", argv=SLEEPER))
    assert os.getsid(pid) == pid


@pytest.mark.parametrize(
    ("script", "ready", "reason"),
    [
        ("echo first; echo last >&2; exit 3", lambda: False, "ended with exit code 3 before it was ready"),
        ("echo first; echo last; kill -9 $$", lambda: False, "was ended by SIGKILL before it was ready"),
        ("echo first; echo last; exec sleep 60", lambda: False, "was not ready within 0.5 s"),
    ],
)
def test_start_of_a_child_that_never_gets_ready_tells_its_last_lines(
    family: Family, script: str, ready: Callable[[], bool], reason: str
) -> None:
    with pytest.raises(ChildFailed) as failed:
        family.start(Child(name="web", argv=["sh", "-c", script], ready=ready, ready_within_s=0.5))
    assert (failed.value.reason, failed.value.lines) == (reason, ["first", "last"])
    assert str(failed.value) == f"web {reason}. Its last lines:\n    first\n    last"
    assert family.pids() == {}


def test_start_of_a_program_that_does_not_exist_says_so(family: Family) -> None:
    with pytest.raises(ChildFailed, match=r"web cannot be started: .*no-such-program"):
        family.start(Child(name="web", argv=["no-such-program"]))
    assert family.pids() == {}


def test_a_quiet_child_is_heard_only_when_it_fails(family: Family, log: io.StringIO) -> None:
    with pytest.raises(ChildFailed) as failed:
        family.run(Child(name="setup", argv=["sh", "-c", "seq 1 60; exit 1"], quiet=True))
    assert log.getvalue() == ""
    assert failed.value.lines == [str(number) for number in range(11, 61)]


def test_children_started_together_are_all_ready_at_the_end(family: Family, tmp_path: Path) -> None:
    def slow(name: str) -> Child:
        mark = tmp_path / name
        return Child(name=name, argv=["sh", "-c", f"sleep 0.4; touch {mark}; exec sleep 60"], ready=mark.exists)

    began = time.monotonic()
    family.start_together([slow("a"), slow("b"), slow("c")])
    assert time.monotonic() - began < 1.1
    assert list(family.pids()) == ["a", "b", "c"]


def test_stop_ends_the_last_started_first_and_then_does_what_was_left_for_afterwards(
    log: io.StringIO, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    pids = []
    with Family(out=log, colour=False) as family:
        family.afterwards(lambda: notes.write_text(notes.read_text() + "afterwards\n"))
        for name in ("valkey", "web", "beat"):
            pids.append(family.start(notes_its_end(notes, name)))
            assert eventually(in_log(log, f"{name:<10} | up"))
    assert notes.read_text() == "beat\nweb\nvalkey\nafterwards\n"
    assert not any(alive(pid) for pid in pids)


def test_a_child_that_ignores_its_stop_signal_is_killed_with_all_its_session(log: io.StringIO, tmp_path: Path) -> None:
    # As supervisord does, it puts its program into a process group of its own.
    script = f"""
import signal, subprocess, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
Path({str(tmp_path / "program")!r}).write_text(str(subprocess.Popen(["sleep", "60"], process_group=0).pid))
print("up")
time.sleep(60)
"""
    with Family(out=log, colour=False) as family:
        pid = family.start(Child(name="rock", argv=[sys.executable, "-c", script], stop_within_s=0.3))
        assert eventually(in_log(log, "| up"))
        program = int((tmp_path / "program").read_text())
        assert alive(pid)
        assert os.getpgid(program) != pid
    assert log.getvalue().splitlines()[-1] == "homeostat  | rock did not stop within 0.3 s: killing it"
    assert not alive(pid)
    assert not alive(program)


def test_wait_names_the_child_that_died_and_repeats_its_last_lines(family: Family, log: io.StringIO) -> None:
    family.start(Child(name="valkey", argv=SLEEPER))
    family.start(Child(name="web", argv=["sh", "-c", "echo out of memory; sleep 0.3; exit 4"]))
    assert family.wait() == 1
    said = log.getvalue()
    assert "web ended with exit code 4 after 0 s. Its last lines:\nhomeostat  |     out of memory\n" in said
    assert said.endswith("homeostat  | Stopping everything, because web is gone.\n")


def test_a_child_that_may_be_restarted_is_until_it_dies_too_often(
    family: Family, log: io.StringIO, tmp_path: Path
) -> None:
    told: list[dict[str, int]] = []
    family.on_change = told.append
    family.start(Child(name="worker", argv=["sh", "-c", f"echo x >> {tmp_path}/starts; sleep 0.2; exit 1"], restarts=3))
    assert family.wait() == 1
    assert (tmp_path / "starts").read_text() == "x\n" * 4
    assert len({pids["worker"] for pids in told}) == 4
    assert "It was started again 3 times within a minute.\n" in log.getvalue()


def test_a_restarted_child_keeps_its_place_in_the_order_of_stopping(family: Family, tmp_path: Path) -> None:
    first = family.start(Child(name="valkey", argv=SLEEPER, restarts=1))
    family.start(Child(name="web", argv=SLEEPER))
    os.kill(first, signal.SIGKILL)
    send_soon(signal.SIGTERM, 0.6)
    assert family.wait() == 0
    assert list(family.pids()) == ["valkey", "web"]
    assert family.pids()["valkey"] != first


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_wait_and_leaves_the_stopping_to_the_family(
    family: Family, log: io.StringIO, signum: signal.Signals
) -> None:
    family.start(Child(name="web", argv=SLEEPER))
    send_soon(signum)
    assert family.wait() == 0
    assert log.getvalue().splitlines()[-1].startswith(f"homeostat  | {signum.name} received: stopping")


def test_a_signal_while_starting_interrupts_the_start_and_the_handlers_come_back(log: io.StringIO) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(processes.Interrupted), Family(out=log, colour=False) as family:
        send_soon(signal.SIGTERM)
        family.start(Child(name="web", argv=SLEEPER, ready=lambda: False))
    assert family.pids() == {}
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_ctrl_c_kills_at_once(log: io.StringIO) -> None:
    with Family(out=log, colour=False) as family:
        pid = family.start(Child(name="rock", argv=["sh", "-c", STUBBORN], stop_within_s=60))
        assert eventually(in_log(log, "| up"))
        send_soon(signal.SIGINT, 0.1)
        send_soon(signal.SIGINT, 0.9)
        assert family.wait() == 0
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert not alive(pid)


def test_killing_the_starter_ends_its_children(tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from dashboard.processes import Child, Family
family = Family()
pids = [family.start(Child(name=name, argv={SLEEPER})) for name in "abc"]
Path({str(tmp_path / "pids")!r}).write_text(" ".join(map(str, pids)))
time.sleep(60)
"""
    starter = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.DEVNULL)
    assert eventually((tmp_path / "pids").exists)
    assert eventually(lambda: (tmp_path / "pids").read_text().count(" ") == 2)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(alive(pid) for pid in pids)
    starter.kill()
    starter.wait()
    assert eventually(lambda: not any(alive(pid) for pid in pids))


def test_die_with_parent_ends_a_process_with_the_one_that_started_it(tmp_path: Path) -> None:
    inner = "import time; from dashboard.descent import die_with_parent; die_with_parent(); print(1); time.sleep(60)"
    outer = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-u", "-c", {inner!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", outer], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.communicate()
    assert eventually(lambda: not alive(pid))


def test_names_are_coloured_where_asked_and_lines_survive_a_reader_that_left(log: io.StringIO) -> None:
    with Family(out=log, colour=True) as family:
        family.run(Child(name="web", argv=["echo", "hello"]))
        assert log.getvalue() == "\x1b[36mweb        |\x1b[0m hello\n"
        log.close()
        with pytest.raises(ChildFailed) as failed:
            family.run(Child(name="setup", argv=["sh", "-c", "echo still heard; exit 1"]))
    assert failed.value.lines == ["still heard"]


def test_port_in_use_names_the_process_that_listens() -> None:
    assert ports.port_in_use("127.0.0.1", ports.free_port()) is None
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        words = ports.port_in_use("127.0.0.1", port)
    assert words is not None
    assert words.startswith(f"port {port} on 127.0.0.1 is in use by pid {os.getpid()} (")


def test_an_address_of_another_machine_is_said_to_be_unusable() -> None:
    words = ports.port_in_use("192.0.2.1", 8000)
    assert words == "port 8000 on 192.0.2.1 cannot be used: Cannot assign requested address"


@pytest.mark.real
def test_the_embedded_valkey_answers_on_its_socket_and_leaves_none(family: Family, tmp_path: Path) -> None:
    socket_path = valkey.socket_path(tmp_path)
    assert socket_path == tmp_path / "run" / "valkey.sock"
    family.start(valkey.child(tmp_path))
    assert valkey.answers(f"unix://{socket_path}")
    assert socket_path.parent.stat().st_mode & 0o777 == 0o700
    family.stop()
    assert not socket_path.exists()


def test_the_socket_of_a_home_with_a_long_path_is_short_and_private(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 30)
    path = valkey.socket_path(home)
    assert len(str(path)) <= valkey.LONGEST_SOCKET_PATH
    assert path != valkey.socket_path(tmp_path / ("DEEP" * 30))
    valkey.make_private(path.parent)
    try:
        assert path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        path.parent.rmdir()


def test_a_private_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "theirs")
    with pytest.raises(PermissionError, match="belongs to someone else"):
        valkey.make_private(tmp_path / "run")
