"""`manage.py up`, with everything it starts."""

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
UP = [sys.executable, "manage.py", "up"]
# Nothing listens there: that an unreachable Prometheus stops nothing is part of what is shown here.
PROMETHEUS_URL = "http://127.0.0.1:9"
pytestmark = pytest.mark.acceptance


class Running:
    """One home and port, with `manage.py up` over it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.log = home / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self, **more: str) -> dict[str, str]:
        mine = {"HOMEOSTAT_HOME": str(self.home), "HOMEOSTAT_PORT": str(self.port), "PROMETHEUS_URL": PROMETHEUS_URL}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOMEOSTAT_")}
        return {**inherited, **mine, **more}

    def start(self, argv: list[str] | None = None) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                argv or UP, cwd=ROOT, env=self.environment(), stdout=log, stderr=subprocess.STDOUT
            )

    def wait_until_ready(self) -> None:
        assert eventually(lambda: self.told().get("ready") or self.ended(), within_s=60), self.log.read_text()
        assert not self.ended(), self.log.read_text()

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def told(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.home / "run" / "up.json").read_text()))
        except OSError:
            return {}

    def end(self, signum: int) -> int:
        assert self.process is not None
        self.process.send_signal(signum)
        return self.process.wait(timeout=60)

    def try_another(self, **environment: str) -> tuple[int, str]:
        """The exit code and the words of a second `up`, which is expected to give up at once."""
        done = subprocess.run(
            UP, cwd=ROOT, env=self.environment(**environment), capture_output=True, text=True, timeout=30, check=False
        )
        return done.returncode, done.stderr

    def ask(self, query: str) -> list[Any]:
        with sqlite3.connect(self.home / "homeostat.sqlite3") as database:
            return database.execute(query).fetchall()

    def living(self) -> list[int]:
        """Every process of this installation, whoever started it."""
        # Valkey writes its title over its environment; the title holds its socket, and so the home.
        return [
            pid
            for pid in pids()
            if f"HOMEOSTAT_HOME={self.home}".encode() in proc(pid, "environ").split(b"\0")
            or f"{self.home}/".encode() in proc(pid, "cmdline")
        ]

    def files_of_a_run(self) -> list[str]:
        return sorted(path.name for path in (self.home / "run").iterdir() if path.name != "up.lock")


def pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def proc(pid: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return b""


def eventually(condition: Callable[[], object], within_s: float = 5) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def healthy(port: int) -> bool:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        client.request("GET", "/-/healthy")
        return client.getresponse().status == 200
    except OSError:
        return False
    finally:
        client.close()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("home"))
    yield running
    if not running.ended():
        running.end(signal.SIGTERM)


@pytest.fixture
def running(installation: Running) -> Running:
    if installation.ended():
        installation.start()
    installation.wait_until_ready()
    return installation


def test_up_answers_and_tells_others_where_it_is(running: Running) -> None:
    assert healthy(running.port)
    told = running.told()
    assert running.process is not None
    assert (told["pid"], told["port"], told["home"]) == (running.process.pid, running.port, str(running.home))
    assert list(told["pids"]) == ["valkey", "web", "act", "evaluate", "beat"]
    assert sorted([told["pid"], *told["pids"].values()]) == sorted(running.living())
    where = f"Homeostat is at http://localhost:{running.port}/"  # said right after others were told
    assert eventually(lambda: where in running.log.read_text()), running.log.read_text()
    assert "Nobody can sign in yet" in running.log.read_text()


def test_up_makes_prometheus_url_the_first_source(running: Running) -> None:
    assert running.ask("SELECT name, url FROM remediation_source") == [("default", PROMETHEUS_URL)]


def test_a_second_up_over_the_same_home_says_who_is_there(running: Running) -> None:
    code, words = running.try_another()
    assert code == 1
    assert f"Homeostat already runs over {running.home} (pid {running.told()['pid']}" in words


def test_a_port_in_use_is_said_with_its_holder_and_another_port(running: Running, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, words = running.try_another(HOMEOSTAT_HOME=str(tmp_path), HOMEOSTAT_PORT=str(port))
    assert code == 1
    assert f"port {port} on 127.0.0.1 is in use by pid {os.getpid()} (" in words
    assert f"HOMEOSTAT_PORT={port + 1} make run" in words


def test_a_redis_that_does_not_answer_is_named_without_its_password(running: Running, tmp_path: Path) -> None:
    port = free_port()
    code, words = running.try_another(
        HOMEOSTAT_HOME=str(tmp_path),
        HOMEOSTAT_PORT=str(free_port()),
        HOMEOSTAT_REDIS_URL=f"redis://:s3cret@127.0.0.1:{port}/0",
    )
    assert code == 1
    assert f"No Redis answers at redis://:***@127.0.0.1:{port}/0" in words
    assert "s3cret" not in words


def test_a_worker_that_dies_is_started_again(running: Running) -> None:
    before = running.told()["pids"]
    os.kill(before["act"], signal.SIGKILL)
    assert eventually(lambda: running.told()["pids"]["act"] != before["act"])
    assert {name: pid for name, pid in running.told()["pids"].items() if name != "act"} == {
        name: pid for name, pid in before.items() if name != "act"
    }
    assert "act was ended by SIGKILL" in running.log.read_text()


def test_up_stops_with_nothing_left_goes_on_where_it_was_and_can_be_killed(running: Running) -> None:
    # 1. An orderly stop leaves no process, no port, no socket and no file of the run.
    assert running.end(signal.SIGTERM) == 0
    assert (running.living(), healthy(running.port), running.files_of_a_run()) == ([], False, [])
    # 2. The next start finds the same database and is not the first any more.
    running.start()
    running.wait_until_ready()
    assert healthy(running.port)
    assert running.ask("SELECT count(*) FROM remediation_source") == [(1,)]
    # 3. Killing the starter leaves no process either.
    running.end(signal.SIGKILL)
    assert eventually(lambda: not running.living())
    assert not healthy(running.port)


def test_with_parent_stops_when_the_process_that_started_it_ends(installation: Running) -> None:
    if not installation.ended():
        installation.end(signal.SIGTERM)
    # `; true` keeps the shell there: it would otherwise become the command.
    installation.start(["sh", "-c", f"{sys.executable} manage.py up --with-parent; true"])
    shell = installation.process
    assert shell is not None
    assert eventually(lambda: len(installation.living()) > 2, within_s=30), installation.log.read_text()
    installation.end(signal.SIGKILL)
    assert eventually(lambda: not installation.living(), within_s=15)
    assert installation.files_of_a_run() == []
