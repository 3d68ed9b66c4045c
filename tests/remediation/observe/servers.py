"""Small servers of our own that misbehave on purpose, and a real Prometheus on a free port."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

EMPTY = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Served:
    """A running server: its address, and what it was asked (path and headers)."""

    url: str
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


def answer(
    handler: BaseHTTPRequestHandler,
    body: bytes,
    *,
    status: int = 200,
    kind: str = "application/json",
    length: int | None = None,
    **headers: str,
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Served]:
    """A server on loopback that does the same with every request."""
    served: Served

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append((self.path, dict(self.headers)))
            with suppress(OSError):
                behaviour(self)

        def do_POST(self) -> None:
            self.path += "?" + self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = Served(url=f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def prometheus_running(binary: str, folder: Path, config: str) -> Iterator[str]:
    """A real Prometheus with this configuration; yields its address once it is ready."""
    (folder / "prometheus.yml").write_text(config)
    arguments = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with _running([binary, *arguments]) as url:
        yield url


@contextmanager
def alertmanager_running(binary: str, folder: Path) -> Iterator[str]:
    """A real Alertmanager that notifies nobody; yields its address once it is ready."""
    (folder / "alertmanager.yml").write_text("{route: {receiver: nobody}, receivers: [{name: nobody}]}")
    arguments = [f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'store'}"]
    with _running([binary, *arguments, "--cluster.listen-address="]) as url:
        yield url


@contextmanager
def _running(command: list[str]) -> Iterator[str]:
    """One of Prometheus' servers on a free port; yields its address once it is ready."""
    url = f"http://127.0.0.1:{free_port()}"
    arguments = [*command, f"--web.listen-address={url.removeprefix('http://')}", "--log.level=error"]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: requests.get(f"{url}/-/ready", timeout=1).ok)
        yield url
    finally:
        process.kill()
        process.wait()


def wait_until(true: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Look again until something is so; what raises is not yet so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(Exception):
            if true():
                return
        time.sleep(0.05)
    raise AssertionError("it did not become true in time")
