"""One installation on one machine: what `manage.py up` and the demo do before, around and after its processes.

The order is: `claim` the home and the address, `prepare` the database, `start` the processes, `Family.wait`.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery.exceptions import CeleryError
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import DatabaseError, connection, connections
from kombu.exceptions import KombuError

from dashboard import valkey
from dashboard.celery import app
from dashboard.descent import leads_session
from dashboard.home import BASE_DIR, POINTER, read_pointer
from dashboard.ports import port_in_use
from dashboard.processes import Child, Family

LAST_RUN_ENDS_WITHIN_S = 10
# An effect that has begun is better finished than cut: the act worker gets this long before it is killed.
EFFECT_ENDS_WITHIN_S = 30
LOOPBACK = ("127.0.0.1", "::1", "localhost", "[::1]")


class CannotStart(Exception):
    """Something outside keeps the installation from starting. The text is for the person at the terminal."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where one installation lives and listens. `env` goes to its processes on top of this process's environment."""

    home: Path
    bind: str
    port: int
    env: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, env: Mapping[str, str] | None = None) -> Installation:
        return cls(
            home=Path(settings.HOMEOSTAT_HOME),
            bind=settings.HOMEOSTAT_BIND,
            port=settings.HOMEOSTAT_PORT,
            env=env or {},
        )

    @property
    def url(self) -> str:
        """What to type into a browser on this machine."""
        host = "localhost" if self.bind in ("0.0.0.0", "::", *LOOPBACK) else self.bind  # noqa: S104 - compared only
        return f"http://{host}:{self.port}/"

    @property
    def embeds_valkey(self) -> bool:
        url: str = settings.HOMEOSTAT_REDIS_URL
        return url == f"unix://{valkey.socket_path(self.home)}"


def claim(family: Family, installation: Installation, *, port_again: str = "make run") -> None:
    """Make sure that nobody else uses this home, this address or its Redis, and hold the home until the family stops.

    `port_again` is the command the message about a port in use proposes. Raises CannotStart.
    """
    home = installation.home
    try:
        valkey.make_private(home / "run")
        lock = (home / "run" / "up.lock").open("a+")
    except OSError as error:
        raise CannotStart(f"The home {home} cannot be used: {error}") from error
    family.afterwards(lock.close)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(_who_runs(home)) from None
    _await_end_of_last_run(family, home)
    reason = port_in_use(installation.bind, installation.port)
    if reason:
        another = f"HOMEOSTAT_PORT={installation.port + 1} {port_again}"
        raise CannotStart(f"Homeostat cannot listen: {reason}.\nFor another port: {another}")
    if not installation.embeds_valkey and not valkey.answers(settings.HOMEOSTAT_REDIS_URL):
        where = _without_password(settings.HOMEOSTAT_REDIS_URL)
        raise CannotStart(
            f"No Redis answers at {where} (HOMEOSTAT_REDIS_URL).\n"
            "Start it, or unset HOMEOSTAT_REDIS_URL: then Homeostat brings its own."
        )


def prepare(family: Family, *, hints: bool = True) -> None:
    """Bring the database up to date and say what is still missing. Raises CannotStart without a database."""
    try:
        call_command("migrate", interactive=False, verbosity=0)
        if not hints:
            return
        _first_source(family, os.environ.get("PROMETHEUS_URL", ""))
        if not get_user_model()._default_manager.exists():
            family.say(f"Nobody can sign in yet. In another terminal: {_python()} manage.py createsuperuser")
    except DatabaseError as error:
        engine = connection.vendor
        raise CannotStart(f"The {engine} database cannot be used: {str(error).strip()}") from error
    finally:
        connections.close_all()


def start(family: Family, installation: Installation) -> None:
    """Start Homeostat's processes in `family` and return when all are healthy. Raises ChildFailed.

    While they live, `run/up.json` in the home tells others where they are; see `dashboard.home`.
    """
    tell = _Announcement(installation)
    family.afterwards(tell.withdraw)
    family.on_change = tell.write
    if installation.embeds_valkey:
        family.afterwards(lambda: valkey.socket_path(installation.home).unlink(missing_ok=True))
        family.start(valkey.child(installation.home))
    family.start_together(homeostat_children(installation))
    app.pool.force_close_all()  # type: ignore[attr-defined]  # asking the workers opened it; nothing here needs the broker from now on
    tell.ready = True
    tell.write(family.pids())
    if installation.bind not in LOOPBACK and all(host in LOOPBACK for host in settings.ALLOWED_HOSTS):
        family.say(
            f"It listens on {installation.bind} but answers to localhost only: name the hosts people type in "
            "HOMEOSTAT_ALLOWED_HOSTS and HOMEOSTAT_ORIGINS."
        )


def homeostat_children(installation: Installation) -> list[Child]:
    """Web, workers and beat, in the order that makes their stopping right: beat first, web last.

    Two workers, so that a backlog of evaluations never keeps an effect waiting. One that dies is started again, three
    times within a minute; the rows say where it was.
    """
    node = socket.gethostname()
    return [
        _python_child(
            installation,
            name="web",
            argv=["uvicorn", "dashboard.asgi:application", *_web_options(installation)],
            ready=lambda: _web_answers(installation),
            stop_within_s=10,
        ),
        _worker(installation, name="act", queues="act", node=f"act@{node}", stop_within_s=EFFECT_ENDS_WITHIN_S),
        _worker(installation, name="evaluate", queues="evaluate,notify", node=f"evaluate@{node}", stop_within_s=10),
        _python_child(
            installation,
            name="beat",
            argv=["celery", "--quiet", "-A", "dashboard", "beat", "--loglevel", _log_level()],
            ready=None,
            stop_within_s=5,
        ),
    ]


def _worker(installation: Installation, *, name: str, queues: str, node: str, stop_within_s: float) -> Child:
    options = ["--pool", "threads", "--concurrency", "8", "--queues", queues, "--hostname", node]
    # Nobody listens to what workers would tell each other; the heartbeat of the loop is a row.
    talk = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return _python_child(
        installation,
        name=name,
        argv=["celery", "--quiet", "-A", "dashboard", "worker", *options, *talk, "--loglevel", _log_level()],
        ready=lambda: _worker_answers(node),
        stop_within_s=stop_within_s,
    )


def _python_child(
    installation: Installation, *, name: str, argv: list[str], ready: Callable[[], bool] | None, stop_within_s: float
) -> Child:
    return Child(
        name=name,
        argv=[sys.executable, "-m", *argv],
        env={
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            "HOMEOSTAT_HOME": str(installation.home),
            "HOMEOSTAT_BIND": installation.bind,
            "HOMEOSTAT_PORT": str(installation.port),
            "PYTHONWARNINGS": _warnings_filter(),
            **installation.env,
        },
        cwd=BASE_DIR,
        ready=ready,
        ready_within_s=60,  # a small machine that is busy with something else
        stop_within_s=stop_within_s,
        restarts=3,
    )


def _web_options(installation: Installation) -> list[str]:
    options = {
        "--host": installation.bind,
        "--port": str(installation.port),
        "--log-level": "warning",
        "--timeout-graceful-shutdown": "5",
        # A browser that went to sleep is noticed, and its socket freed, within 40 s.
        "--ws-ping-interval": "20",
        "--ws-ping-timeout": "20",
        # Frames are the same bytes for every browser; compressing them would be work for each.
        "--ws": "dashboard.live.wire:LiveProtocol",
        "--ws-per-message-deflate": "false",
    }
    return [*(word for option in options.items() for word in option), "--no-access-log", "--no-server-header"]


def _web_answers(installation: Installation) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(installation.bind, installation.bind)  # noqa: S104 - looked up only
    client = http.client.HTTPConnection(host, installation.port, timeout=5)
    allowed = str(settings.ALLOWED_HOSTS[0]).lstrip(".") if settings.ALLOWED_HOSTS else host
    try:
        client.request("GET", "/-/healthy", headers={"Host": allowed})
        return client.getresponse().status == http.client.OK
    except http.client.HTTPException:
        return False
    finally:
        client.close()


def _worker_answers(node: str) -> bool:
    from redis import RedisError  # noqa: PLC0415 - loads on use

    try:
        return bool(app.control.ping(destination=[node], timeout=1, limit=1))
    except (CeleryError, KombuError, RedisError, OSError):  # what kombu does not wrap comes as the client raised it
        return False


def _first_source(family: Family, url: str) -> None:
    """Make PROMETHEUS_URL the first source. Later the sources belong to the people who edit them."""
    from remediation.models import Source  # noqa: PLC0415 - needs Django's applications to be loaded

    if not url:
        if not Source.objects.exists():
            family.say("Nothing is observed yet: set PROMETHEUS_URL, or add a source in the admin.")
        return
    known = Source.objects.first()
    if known is not None:
        if not Source.objects.filter(url=url).exists():
            family.say(f"PROMETHEUS_URL ({_without_password(url)}) is not used: the sources are in the admin already.")
        return
    source = Source(name="default", url=url)
    try:
        source.full_clean()
    except ValidationError as error:
        family.say(f"PROMETHEUS_URL ({_without_password(url)}) is not used: {' '.join(error.messages)}")
        return
    source.save()
    family.say(f"Observing {_without_password(url)} as the source named default.")


class _Announcement:
    """`run/up.json`, and the pointer to it beside the code, while an installation lives."""

    def __init__(self, installation: Installation) -> None:
        self.ready = False
        self._installation = installation
        self._file = installation.home / "run" / "up.json"

    def write(self, pids: Mapping[str, int]) -> None:
        told: dict[str, Any] = {
            "pid": os.getpid(),
            "home": str(self._installation.home),
            "bind": self._installation.bind,
            "port": self._installation.port,
            "url": self._installation.url,
            "ready": self.ready,
            "pids": dict(pids),
        }
        _replace(self._file, json.dumps(told))
        if self._leaves_pointer():
            _replace(POINTER, json.dumps(told))

    def withdraw(self) -> None:
        self._file.unlink(missing_ok=True)
        other = read_pointer()
        if other is None or other.get("pid") == str(os.getpid()):
            POINTER.unlink(missing_ok=True)

    def _leaves_pointer(self) -> bool:
        """The first that lives is pointed at. A throw-away home, such as a test's, is not: nobody looks for it."""
        home, temporary = self._installation.home, Path(tempfile.gettempdir()).resolve()
        if home.is_relative_to(temporary) and not home.is_relative_to(BASE_DIR):
            return False
        other = read_pointer()
        return other is None or other.get("pid") == str(os.getpid())


def _replace(path: Path, text: str) -> None:
    """Write `path` so that a reader sees the old text or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)


def _who_runs(home: Path) -> str:
    told = _announced(home)
    where = f" (pid {told['pid']}, {told['url']})" if told else ""
    return f"Homeostat already runs over {home}{where}.\nStop it first, or choose another home: HOMEOSTAT_HOME=..."


def _announced(home: Path) -> dict[str, Any]:
    try:
        told = json.loads((home / "run" / "up.json").read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) and {"pid", "url", "pids"} <= told.keys() else {}


def _await_end_of_last_run(family: Family, home: Path) -> None:
    """Give the processes of a run that was killed the moment they need to stop.

    Its Valkey would remove our socket while ending, and its web still holds the port.
    """
    pids = [int(pid) for pid in _announced(home).get("pids", {}).values()]
    deadline = time.monotonic() + LAST_RUN_ENDS_WITHIN_S
    said = False
    while time.monotonic() < deadline and any(leads_session(pid) for pid in pids):
        if not said:
            family.say("The last run was killed; waiting for its processes to end.")
            said = True
        time.sleep(0.1)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":***@") if parts.password else url


def _python() -> str:
    """This interpreter, as one would type it here."""
    python = Path(sys.executable)
    return str(python.relative_to(Path.cwd())) if python.is_relative_to(Path.cwd()) else str(python)


def _warnings_filter() -> str:
    """Without Celery's seven lines on running as root, at each start: in a container that is how it is."""
    told = os.environ.get("PYTHONWARNINGS", "")
    return ",".join(filter(None, [told, "ignore:You're running the worker with superuser privileges"]))


def _log_level() -> str:
    return os.environ.get("HOMEOSTAT_LOG_LEVEL", "INFO")
