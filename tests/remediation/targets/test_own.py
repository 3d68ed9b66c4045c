"""What counts as Homeostat's own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from remediation.exceptions import OwnProcess
from remediation.targets import own
from remediation.targets.base import TargetRef
from remediation.targets.supervisord import Supervisord

from .conftest import SLEEPER, eventually, free_port, program, ref, running, short_folder, supervisord

pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path) -> Path:
    settings.HOMEOSTAT_HOME = tmp_path
    return tmp_path


def write_up(home: Path, **up: Any) -> None:
    (home / "run").mkdir(exist_ok=True)
    (home / "run" / "up.json").write_text(json.dumps(up))


def test_this_process_and_those_it_descends_from_are_own() -> None:
    for pid in (os.getpid(), os.getppid(), 1):
        with pytest.raises(OwnProcess, match=rf"the process {pid} is .*: Homeostat does not act on itself"):
            own.refuse_own_pid(pid)
    own.refuse_own_pid(0)  # what supervisord says of a process that does not run


def test_the_processes_of_up_are_own_while_it_lives(home: Path) -> None:
    with running([sys.executable, "-c", SLEEPER]) as up, running([sys.executable, "-c", SLEEPER]) as worker:
        own.refuse_own_pid(worker.pid)
        write_up(home, pid=up.pid, pids={"worker": worker.pid, "web": 999_999}, port=8000)
        with pytest.raises(OwnProcess, match=r"shop:w \(pid \d+\) is Homeostat's worker"):
            own.refuse_own_pid(worker.pid, "shop:w")
        with pytest.raises(OwnProcess, match=r"Homeostat's own process"):
            own.refuse_own_pid(up.pid)
        up.kill()
        up.wait()
        own.refuse_own_pid(worker.pid)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": "x"}', '{"pid": 1, "pids": [1]}', "\x00"])
def test_an_unreadable_up_file_hides_nothing_else(home: Path, content: str) -> None:
    (home / "run").mkdir()
    (home / "run" / "up.json").write_text(content)
    assert os.getpid() in own.own_pids()


def test_a_process_that_runs_homeostat_below_it_is_own(home: Path) -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{SLEEPER}'])"
    with running([sys.executable, "-c", code]) as parent:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        child = int(eventually(lambda: children.read_text().split())[0])
        write_up(home, pid=child, pids={})
        with pytest.raises(OwnProcess, match=r"a process Homeostat runs under"):
            own.refuse_own_pid(parent.pid)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_process_that_is_homeostat_s_broker_is_own(kind: str, settings: Any, home: Path) -> None:
    port, path = free_port(), home / "r.sock"
    address = f"('127.0.0.1', {port})" if kind == "tcp" else f"'{path}', family=socket.AF_UNIX"
    code = f"import socket, time; s = socket.create_server({address}); print('up', flush=True); time.sleep(600)"
    with running([sys.executable, "-c", code], stdout=subprocess.PIPE) as broker:
        assert broker.stdout
        broker.stdout.readline()
        own.refuse_own_pid(broker.pid)
        settings.HOMEOSTAT_REDIS_URL = f"redis://:pw@localhost:{port}/0" if kind == "tcp" else f"unix://{path}?db=1"
        with pytest.raises(OwnProcess, match=r"the database or the broker Homeostat runs on"):
            own.refuse_own_pid(broker.pid)


@pytest.mark.parametrize(
    ("bind", "host", "refused"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("0.0.0.0", "127.0.0.1", True),  # noqa: S104 - a setting, nothing is bound
        ("0.0.0.0", socket.gethostname(), True),  # noqa: S104
        ("127.0.0.1", "192.0.2.1", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "127.0.0.1", False),
        ("127.0.0.1", "does-not-exist.invalid", False),
    ],
)
def test_the_web_s_address_is_own(settings: Any, bind: str, host: str, refused: bool) -> None:
    settings.HOMEOSTAT_BIND, settings.HOMEOSTAT_PORT = bind, 8123
    own.refuse_own_address(host, 8124)
    if refused:
        with pytest.raises(OwnProcess):
            own.refuse_own_address(host, 8123)
    else:
        own.refuse_own_address(host, 8123)


def test_database_and_broker_addresses_are_own(settings: Any) -> None:
    settings.DATABASES = {
        "default": {"ENGINE": "django.db.backends.postgresql", "HOST": "192.0.2.5", "PORT": "", "NAME": "homeostat"},
        "files": {"ENGINE": "django.db.backends.postgresql", "HOST": "/run/postgresql", "NAME": "homeostat"},
    }
    settings.HOMEOSTAT_REDIS_URL = settings.CELERY_BROKER_URL = "redis://192.0.2.6/0;rediss://192.0.2.7:7000/0"
    for host, port in [("192.0.2.5", 5432), ("192.0.2.6", 6379), ("192.0.2.7", 7000)]:
        with pytest.raises(OwnProcess, match=rf"{host} port {port} is Homeostat's own"):
            own.refuse_own_address(host, port)
    own.refuse_own_address("192.0.2.6", 5432)
    with pytest.raises(OwnProcess):
        own.refuse_own_path("/run/postgresql/.s.PGSQL.5432")


def test_homeostat_s_files_and_what_holds_them_are_own(settings: Any, home: Path) -> None:
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": home / "db" / "h.sqlite3"}}
    settings.HOMEOSTAT_REDIS_URL = f"unix://{home}/run/valkey.sock"
    for path in (home, home / "db", home / "db" / "h.sqlite3", home / "x" / ".." / "run" / "valkey.sock", Path("/")):
        with pytest.raises(OwnProcess, match=r"belongs to Homeostat itself"):
            own.refuse_own_path(str(path))
    own.refuse_own_path(str(home / "demo" / "supervisor.sock"))
    (home / "link").symlink_to(home / "secret_key")
    with pytest.raises(OwnProcess):
        own.refuse_own_path(str(home / "link"))


@pytest.mark.real
def test_supervisord_may_not_restart_or_scale_what_runs_homeostat(home: Path) -> None:
    backend = Supervisord()

    def refused(target: TargetRef) -> None:
        with pytest.raises(OwnProcess, match=r"is Homeostat's worker"):
            backend.check(target)

    with short_folder() as folder, supervisord(folder, program("worker", SLEEPER)):
        params = {"url": f"unix://{folder}/s"}
        target = ref("supervisord", **params, process="worker")
        pid = eventually(lambda: backend.state(target)["pid"])
        backend.check(target)
        write_up(home, pid=os.getpid(), pids={"worker": pid})
        refused(target)
        refused(ref("supervisord", **params, group="worker"))
