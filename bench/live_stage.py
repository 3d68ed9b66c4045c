"""What bench.live sets up: an installation with people who are signed in, and crowds of browsers in other processes."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROCESSES = 2
"""A crowd is shared among so many; one alone would be at a fifth of a core with ten thousand frames a second."""

PEOPLE = 20


def set_up(home: Path, more: dict[str, str]) -> Any:
    """Django over an empty home. Returns the installation, nothing of it started."""
    from dashboard.ports import free_port

    os.environ |= more | {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_PORT": str(free_port()),
        "HOMEOSTAT_LOG_LEVEL": "WARNING",
    }
    for name in ("HOMEOSTAT_REDIS_URL", "DATABASE_URL", "PROMETHEUS_URL"):
        os.environ.pop(name, None)
    import django

    django.setup()
    from dashboard import up

    return up.Installation.from_settings()


def sign_in(count: int) -> list[str]:
    """The cookies of so many sessions of a few people."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore
    from django.db import transaction

    cookies = []
    with transaction.atomic():
        people = [User.objects.create(username=f"bench-{number}", is_superuser=True) for number in range(PEOPLE)]
        for number in range(count):
            person, session = people[number % PEOPLE], SessionStore()
            session[SESSION_KEY] = str(person.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            session[HASH_SESSION_KEY] = person.get_session_auth_hash()
            session.create()
            cookies.append(f"{settings.SESSION_COOKIE_NAME}={session.session_key}")
    return cookies


def shown_on(path: str, port: int, cookie: str) -> dict[str, str]:
    """The pieces of a page and their versions, as its script reads them."""
    pieces = re.findall(r'data-live="([^"]+)" data-version="([^"]*)"', get(path, port, cookie))
    assert pieces, f"{path} shows nothing live"
    return dict(pieces)


def overview(port: int, cookie: str, *, key: str) -> dict[str, Any]:
    """Browsers that show the overview, as `bench.live_clients` wants to be told; `key` is the piece that changes."""
    hello = json.dumps({"shows": shown_on("/", port, cookie), "language": "en"})
    origin = f"http://127.0.0.1:{port}"
    return {"host": "127.0.0.1", "port": port, "path": "/ws/live/", "origin": origin, "hello": hello, "key": key}


def get(path: str, port: int, cookie: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Cookie": cookie})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status == 200, f"{path} answered {answer.status}"
    return body


class Browsers:
    """A crowd, in processes of its own."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def report(self) -> dict[str, int]:
        """Of all: frames heard, those with a change, what was lost or closed, the last change that everybody has."""
        parts: list[dict[str, int]] = self._ask("report")
        total = {name: sum(part[name] for part in parts) for name in ("heard", "frames", "lost", "closed")}
        return total | {"least": min(part["least"] for part in parts)}

    def arrived(self) -> dict[int, list[float]]:
        """When each change came, once per browser (`time.monotonic`, which all processes of a machine share)."""
        found: dict[int, list[float]] = {}
        for part in self._ask("arrived"):
            for number, times in part.items():
                found.setdefault(int(number), []).extend(times)
        return found

    def _ask(self, what: str) -> list[Any]:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{what}\n")
            process.stdin.flush()
        return [json.loads(_line(process)) for process in self._processes]


@contextmanager
def browsers(
    home: Path, crowd: dict[str, Any], cookies: Sequence[str], *, elsewhere: bool = False
) -> Iterator[Browsers]:
    """One connected browser per cookie, each of which has been told how things stand. elsewhere: they read when nobody
    else wants the processor, as if they were on other machines."""
    processes = []
    for number in range(PROCESSES):
        file = home / f"crowd-{number}.json"
        file.write_text(json.dumps(crowd | {"cookies": list(cookies[number::PROCESSES])}))
        argv = [sys.executable, "-m", "bench.live_clients", str(file)]
        processes.append(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    try:
        for process in processes:
            assert _line(process).strip() == "ready"
            if elsewhere:
                os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        yield Browsers(processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("the browsers of the benchmark ended early; see above")
    return line


def cpu_s(pid: int) -> float:
    """Processor time a process has used so far, in the kernel too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
