"""The ways to touch a running shop: supervisord, HAProxy, the services' own control, Prometheus' target lists."""

import json
import socket
import time
import xmlrpc.client
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from deploy.demo.config import DemoConfig
from deploy.demo.shop.calls import UnavailableError, call

RUNNING = 20  # supervisord's number for a process that is up
STARTING = 10
ALREADY_STARTED = 60  # supervisord's faults
NOT_RUNNING = 70
ANSWERS_WITHIN_S = 10.0


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket, which the standard library lacks."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> HTTPConnection:
        connection = HTTPConnection("localhost", timeout=15)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(15)
        connection.sock.connect(self._path)
        return connection


def supervisor(config: DemoConfig) -> Any:
    """supervisord's methods. A new connection each time: one that failed once never recovers."""
    path = str(config.supervisor_socket)
    return xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_UnixTransport(path)).supervisor


def states(config: DemoConfig) -> dict[str, int]:
    """supervisord's state number by process name."""
    return {info["name"]: info["state"] for info in supervisor(config).getAllProcessInfo()}


def is_up(config: DemoConfig, name: str) -> bool:
    return states(config).get(name) in (STARTING, RUNNING)


def full_name(name: str) -> str:
    """supervisord's `group:process` of a process of the shop."""
    group = {"app": "web", "worker": "worker", "store": "store"}.get(name.split("-", maxsplit=1)[0], name)
    return f"{group}:{name}"


def start(config: DemoConfig, name: str) -> None:
    """Start a process that is not up, and wait until it answers."""
    _order(config, "startProcess", name)
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while name in config.ports:
        try:
            call("GET", f"{config.url(name)}/healthz", timeout_s=1)
            return
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def stop(config: DemoConfig, name: str) -> None:
    _order(config, "stopProcess", name)


def send_signal(config: DemoConfig, name: str, signal: str) -> None:
    """Send `KILL`, `STOP` or `CONT` to a process; one that is down needs no signal."""
    _order(config, "signalProcess", name, signal)


def _order(config: DemoConfig, method: str, name: str, *arguments: str) -> None:
    """Tell supervisord; that the process is there already (or gone already) is what was wanted."""
    try:
        getattr(supervisor(config), method)(full_name(name), *arguments)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in (ALREADY_STARTED, NOT_RUNNING):
            raise UnavailableError(f"supervisord, {method} {name}: {fault.faultString}") from fault


def pid(config: DemoConfig, name: str) -> int:
    """The process id; 0 while it is down."""
    return int(supervisor(config).getProcessInfo(full_name(name))["pid"])


def control(config: DemoConfig, name: str, **switches: object) -> None:
    """Turn a service's switches. Raises UnavailableError when it does not answer."""
    call("POST", f"{config.url(name)}/control", switches, timeout_s=2, control=True)


def haproxy(config: DemoConfig, command: str) -> str:
    """One command of HAProxy's runtime API; returns what it prints (nothing, for a state that was set)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(str(config.haproxy_socket))
        connection.sendall(f"{command}\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return answer.decode().strip()


def set_server(config: DemoConfig, server: str, state: str) -> None:
    """Put a server of HAProxy (`store/store-1`) into `ready` or `maint`."""
    if complaint := haproxy(config, f"set server {server} state {state}"):
        raise UnavailableError(f"HAProxy, {server} to {state}: {complaint}")


def write_targets(config: DemoConfig, job: str, processes: dict[str, str]) -> None:
    """Write Prometheus' target list of a job: `{target: address}`."""
    groups = [
        {"targets": [address], "labels": {"service": job, "target": target}} for target, address in processes.items()
    ]
    replace(config.targets_folder / f"{job}.json", json.dumps(groups, indent=2) + "\n")


def replace(path: Path, text: str) -> None:
    """Write a file that others (Prometheus watches its folder) may read at any time."""
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.write_text(text)
    fresh.replace(path)


def ask_store(config: DemoConfig, name: str) -> dict[str, Any]:
    """What a store says of itself: `primary`, `epoch`, `seq`."""
    answer: dict[str, Any] = call("GET", f"{config.url(name)}/state", timeout_s=2)
    return answer


def store_copied(config: DemoConfig, standby: str, primary: str) -> bool:
    """Whether a standby holds all that the primary has."""
    return bool(ask_store(config, standby)["seq"] >= ask_store(config, primary)["seq"])


def promote(config: DemoConfig, name: str) -> None:
    call("POST", f"{config.url(name)}/promote", {}, timeout_s=2)
