"""The demo's real servers: prepares their files, and says how each is started.

`prepare` begins anew each time: a Prometheus that was away for a night would have a hole in its baselines, and one
whose ports moved would have other series.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
import xmlrpc.client
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import TextIO

from dashboard.ports import port_in_use
from dashboard.processes import Child
from deploy.demo import files, levers
from deploy.demo.config import PORT_NAMES, DemoConfig
from deploy.demo.layout import JOBS, PROCESSES, targets_of
from deploy.tools import find

FIRST_PORT = 18000
BLOCKS = 40
LONGEST_SOCKET = 85  # the kernel allows 107; supervisord and HAProxy bind a longer name first and rename it
_reserved: dict[int, TextIO] = {}
"""The blocks of ports that this process holds, each by the lock on its file."""


class DemoRunningError(Exception):
    """Another demo runs in this folder."""


class NoPortsError(Exception):
    """Every block of ports that the demo may use has one in it that is taken."""


def prepare(home: Path, homeostat_port: int) -> DemoConfig:
    """Choose ports and write every file below `<home>/demo`; starts nothing. The history is made as Prometheus starts.

    Raises DemoRunningError, NoPortsError, and `tools.ToolMissing` where a server is missing.
    """
    for tool in ("haproxy", "alertmanager", "prometheus", "promtool"):
        find(tool)
    folder = (home / "demo").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    config = DemoConfig(
        folder=folder,
        sockets=socket_folder(folder),
        homeostat_port=homeostat_port,
        ports=choose_ports(homeostat_port),
    )
    if _listens(config.supervisor_socket):
        raise DemoRunningError(f"A demo runs in {folder} already; stop it, or choose another home.")
    for part in ("prometheus", "alertmanager", "logs"):
        shutil.rmtree(folder / part, ignore_errors=True)
    for fresh in (config.targets_folder, config.prometheus_store, folder / "alertmanager", config.logs):
        fresh.mkdir(parents=True)
    config.faults_path.unlink(missing_ok=True)
    _write_files(config)
    config.save()
    return config


def _write_files(config: DemoConfig) -> None:
    folder = config.folder
    (folder / "supervisord.conf").write_text(files.supervisord(config))
    (folder / "haproxy.cfg").write_text(files.haproxy(config))
    (folder / "prometheus" / "prometheus.yml").write_text(files.prometheus(config))
    (folder / "prometheus" / "rules.yml").write_text(files.prometheus_rules())
    (folder / "alertmanager" / "alertmanager.yml").write_text(files.alertmanager(config))
    for job in JOBS:
        levers.write_targets(config, job, targets_of(config, job))
    if not config.webhook_token_path.exists():
        config.webhook_token_path.touch(mode=0o600)
        config.webhook_token_path.write_text(secrets.token_urlsafe(32))


def choose_ports(homeostat_port: int) -> dict[str, int]:
    """The first block of consecutive ports that are all free. Raises NoPortsError.

    It is this process's until it ends: its servers listen some seconds later, and another demo chooses meanwhile.
    """
    for block in range(BLOCKS):
        ports = {name: FIRST_PORT + 50 * block + offset for offset, name in enumerate(PORT_NAMES)}
        if homeostat_port in ports.values() or not _reserve(block):
            continue
        if not any(port_in_use("127.0.0.1", port) for port in ports.values()):
            return ports
        _reserved.pop(block).close()
    raise NoPortsError(
        f"The demo needs {len(PORT_NAMES)} ports in a row on 127.0.0.1 and found none free "
        f"between {FIRST_PORT} and {FIRST_PORT + 50 * BLOCKS}."
    )


def _reserve(block: int) -> bool:
    """Whether no other demo of this user has the block."""
    if block in _reserved:
        return True
    lock = (Path(tempfile.gettempdir()) / f"homeostat-{os.getuid()}-ports-{block}.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    _reserved[block] = lock
    return True


def socket_folder(folder: Path) -> Path:
    """A private folder whose path is short enough for unix sockets; the same one at each start, so none pile up."""
    near = folder / "sockets"
    if len(str(near / "supervisor.sock")) > LONGEST_SOCKET:
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        near = Path(tempfile.gettempdir()) / f"homeostat-{os.getuid()}-{name}"
    near.mkdir(mode=0o700, exist_ok=True)
    if near.stat().st_uid != os.getuid():
        raise PermissionError(f"{near} belongs to another user")
    near.chmod(0o700)
    return near


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def children(config: DemoConfig) -> list[Child]:
    """Every server of the demo; they need each other only to work, not to start, so they may start together."""
    return [_supervisord(config), _haproxy(config), _alertmanager(config), _prometheus(config)]


def _supervisord(config: DemoConfig) -> Child:
    return Child(
        name="shop",
        argv=[sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config.folder / "supervisord.conf")],
        env=_env(config),
        cwd=files.ROOT,
        ready=lambda: shop_is_up(config),
        ready_within_s=60,
        stop_within_s=8,
        quiet=True,
    )


def _env(config: DemoConfig) -> dict[str, str]:
    """For children in Python: where the demo is, and where this package is whatever folder they start in."""
    return {"HOMEOSTAT_DEMO_CONFIG": str(config.path), "PYTHONPATH": str(files.ROOT), "PYTHONWARNINGS": "ignore"}


def shop_is_up(config: DemoConfig) -> bool:
    """Whether everything that starts with the shop runs."""
    try:
        found = levers.states(config)
    except xmlrpc.client.Fault:
        return False  # supervisord is not ready to say, or about to stop
    return all(found.get(name) == levers.RUNNING for name, (_, autostart) in PROCESSES.items() if autostart)


def _haproxy(config: DemoConfig) -> Child:
    return Child(
        name="haproxy",
        argv=[str(find("haproxy")), "-db", "-q", "-f", str(config.folder / "haproxy.cfg")],
        ready=lambda: "Name: HAProxy" in levers.haproxy(config, "show info"),
        stop_within_s=3,
        quiet=True,
    )


def _alertmanager(config: DemoConfig) -> Child:
    folder = config.folder / "alertmanager"
    argv = [
        str(find("alertmanager")),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'store'}",
        f"--web.listen-address={config.address('alertmanager')}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    return Child(name="alertmanager", argv=argv, ready=_answers(config, "alertmanager"), quiet=True)


def _prometheus(config: DemoConfig) -> Child:
    folder = config.folder / "prometheus"
    argv = [
        sys.executable,
        "-m",
        "deploy.demo.become_prometheus",
        str(find("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={config.prometheus_store}",
        "--storage.tsdb.retention.time=30d",
        f"--web.listen-address={config.address('prometheus')}",
        "--web.enable-lifecycle",
        # An alert whose Prometheus is gone ends after four of these: without it, four minutes.
        "--rules.alert.resend-delay=5s",
        "--log.level=warn",
    ]
    ready = _answers(config, "prometheus")
    return Child(name="prometheus", argv=argv, env=_env(config), cwd=files.ROOT, ready=ready, quiet=True)


def _answers(config: DemoConfig, name: str) -> Callable[[], bool]:
    def ready() -> bool:
        connection = HTTPConnection("127.0.0.1", config.ports[name], timeout=2)
        try:
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    return ready
