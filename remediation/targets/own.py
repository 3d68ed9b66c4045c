"""Which things are Homeostat's own: acting on them would cut the branch it sits on.

Backends ask here in `check()` and once more right before an effect: what a pid or a name means may have changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation.exceptions import EffectNotStarted, OwnProcess
from remediation.targets.addresses import is_local, resolve
from remediation.targets.listeners import listens_on
from remediation.targets.wire import Deadline

DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "postgresql": 5432, "mysql": 3306, "oracle": 1521}
RESOLVE_S = 3.0


def refuse_own_pid(pid: int, name: str = "") -> None:
    """Raise OwnProcess when `pid` is a process of Homeostat, one it descends from, or its database or broker."""
    if pid <= 0:
        return
    who = f"{name} (pid {pid})" if name else f"the process {pid}"
    if role := own_pids().get(pid):
        raise OwnProcess(f"{who} is {role}: Homeostat does not act on itself")
    ports = {port for host, port in _stores() if _any_local(_addresses(host, port))}
    if listens_on(pid, ports, {str(path) for path in _sockets()}):
        raise OwnProcess(f"{who} is the database or the broker Homeostat runs on: it does not act on itself")


def refuse_own_address(host: str, port: int) -> None:
    """Raise OwnProcess when Homeostat's web, database or broker answers at this address."""
    same_port = [own for own in [*_web(), *_stores()] if own[1] == port]
    if not same_port:
        return
    asked = _addresses(host, port)  # 0.0.0.0 reaches this machine, as localhost does
    for own_host, own_port in same_port:
        own = _addresses(own_host, own_port)
        if set(asked) & set(own) or (_any_local(asked) and _any_local(own)):
            said = _("{host} port {port} is Homeostat's own web server, database or broker")
            raise OwnProcess(format_lazy(said, host=host, port=port))


def refuse_own_path(path: str) -> None:
    """Raise OwnProcess when `path` is a file or a socket Homeostat lives on, or a folder that holds one."""
    asked = Path(path).resolve()
    for own in _sockets() | _files():
        if asked == own or asked in own.parents:
            raise OwnProcess(f"{path} belongs to Homeostat itself")


def own_pids() -> dict[int, str]:
    """Every pid of Homeostat on this machine and what it is; those it descends from are own too."""
    named = {os.getpid(): "Homeostat's own process", **_started()}
    found = {pid: "a process Homeostat runs under" for start in named for pid in _ancestors(start)}
    return found | named


def _started() -> dict[int, str]:
    """What `manage.py up` wrote of its processes; nothing when it is gone, for its pids may mean others by now."""
    with suppress(OSError, ValueError, TypeError, KeyError, OverflowError):
        up: dict[str, Any] = json.loads((Path(settings.HOMEOSTAT_HOME) / "run" / "up.json").read_text())
        if lives(pid := int(up["pid"])):
            started = {int(child): f"Homeostat's {name}" for name, child in dict(up.get("pids") or {}).items()}
            return {pid: "Homeostat's own process"} | started
    return {}


def lives(pid: int) -> bool:
    """Whether there is such a process, someone else's included."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


def _ancestors(pid: int) -> Iterator[int]:
    """The parents of `pid`, up to the first process of the machine."""
    seen: set[int] = set()
    while pid > 1 and pid not in seen:
        seen.add(pid)
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return
        pid = int(stat.rpartition(")")[2].split()[1])  # the command in brackets may hold anything
        if pid > 0:
            yield pid


def _web() -> list[tuple[str, int]]:
    return [(str(settings.HOMEOSTAT_BIND), int(settings.HOMEOSTAT_PORT))]


def _stores() -> list[tuple[str, int]]:
    """Host and port of the databases and brokers that are reached over TCP."""
    stores = [(str(url.hostname), _port(url)) for url in _brokers() if url.hostname]
    for database in _databases():
        engine = str(database.get("ENGINE", "")).rpartition(".")[2]
        host, port = str(database.get("HOST") or ""), database.get("PORT")
        if engine != "sqlite3" and not host.startswith("/"):
            stores.append((host or "localhost", int(port or DEFAULT_PORTS.get(engine, 0))))
    return stores


def _sockets() -> set[Path]:
    """Unix sockets of the broker and of a database whose host is a folder."""
    found = {Path(unquote(url.path)).resolve() for url in _brokers() if not url.hostname and url.path}
    for database in _databases():
        host = str(database.get("HOST") or "")
        if host.startswith("/"):
            found.add((Path(host) / f".s.PGSQL.{database.get('PORT') or 5432}").resolve())
    return found


def _files() -> set[Path]:
    home = Path(settings.HOMEOSTAT_HOME)
    databases = [Path(str(item["NAME"])) for item in _databases() if str(item.get("ENGINE", "")).endswith(".sqlite3")]
    kept = [home / "secret_key", home / "run" / "up.json", *databases]
    return {path.resolve() for path in kept}


def _databases() -> list[dict[str, Any]]:
    return list(settings.DATABASES.values())


def _brokers() -> list[SplitResult]:
    urls = [str(getattr(settings, name, "") or "") for name in ("HOMEOSTAT_REDIS_URL", "CELERY_BROKER_URL")]
    return [urlsplit(url) for text in urls for url in text.split(";") if url]


def _port(url: SplitResult) -> int:
    return url.port or DEFAULT_PORTS.get(url.scheme, 6379)


def _addresses(host: str, port: int) -> list[str]:
    try:
        return resolve("localhost" if host in ("", "0.0.0.0", "::", "*") else host, port, Deadline(RESOLVE_S))  # noqa: S104 - compared, not bound
    except EffectNotStarted:
        return [host]


def _any_local(addresses: Iterable[str]) -> bool:
    for address in addresses:
        with suppress(ValueError):  # a name that does not resolve
            if is_local(address):
                return True
    return False
