"""Real servers for the backends, each in a folder of its own with a short name: a socket's path holds 107 bytes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy import tools
from remediation import registry
from remediation.targets.base import Attempt, TargetRef


def ref(kind: str, /, **params: Any) -> TargetRef:
    """A target as the stages pass it around, its parameters validated."""
    parsed = registry.backend(kind).parse(params)
    return TargetRef(id=1, name="thing", service="shop", backend=kind, params=parsed)


def attempt(timeout_s: float = 10.0) -> Attempt:
    return Attempt(key="key-1", fence=1, timeout_s=timeout_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(holds: Callable[[], Any], *, within_s: float = 5.0) -> Any:
    """The first true answer of `holds`; an error counts as not yet until the time is over."""
    ends = time.monotonic() + within_s
    while True:
        with contextlib.suppress(Exception):
            if found := holds():
                return found
        if time.monotonic() > ends:
            return holds() or pytest.fail(f"did not come true within {within_s} s")
        time.sleep(0.02)


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="hs-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


@contextlib.contextmanager
def running(argv: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(argv, **options)
    try:
        yield process
    finally:
        # At once: supervisord stops one group a second. Its children first, while it is still known who they are.
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        children = listed.read_text().split() if listed.exists() else []
        process.kill()
        process.wait()
        for pid in map(int, children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


SLEEPER = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
FAILING = "raise SystemExit(3)"


def program(name: str, code: str, **options: Any) -> str:
    """A section of supervisord's configuration."""
    script = f'{sys.executable} -c "{code}"'
    settings = {"command": script, "startsecs": 0, "stopwaitsecs": 1, "autorestart": "false", **options}
    lines = [f"{key}={value}" for key, value in settings.items()]
    return "\n".join([f"[program:{name}]", *lines, ""])


@contextlib.contextmanager
def supervisord(folder: Path, *programs: str, http: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A supervisord with these programs, listening at `folder`/s."""
    config = folder / "supervisord.conf"
    head = f"[unix_http_server]\nfile={folder}/s\n{http}\n"
    daemon = f"[supervisord]\nnodaemon=true\nlogfile={folder}/log\npidfile={folder}/pid\nchildlogdir={folder}\n"
    rpc = "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
    config.write_text(f"{head}{daemon}[rpcinterface:supervisor]\n{rpc}" + "".join(programs))
    argv = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
    with running(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        eventually((folder / "s").exists)
        yield process


@contextlib.contextmanager
def haproxy(folder: Path, config: str) -> Iterator[str]:
    """A HAProxy with this configuration; yields the path of its runtime socket, which has level admin."""
    path = folder / "haproxy.cfg"
    timeouts = "timeout connect 1s\n timeout client 30s\n timeout server 30s\n"
    head = f"global\n stats socket {folder}/h mode 600 level admin\ndefaults\n mode tcp\n {timeouts}"
    path.write_text(head + config)
    with running([str(tools.find("haproxy")), "-f", str(path)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
        eventually((folder / "h").exists)
        yield f"{folder}/h"


@dataclass(kw_only=True)
class Received:
    """What our own HTTP server was asked, and what it is to answer."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)


def answer(request: BaseHTTPRequestHandler, status: int, body: str = "", **headers: str) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body.encode())


@pytest.fixture
def web() -> Iterator[Received]:
    """Answers /status/NNN with that status, /slow after 3 s, /away with a redirect, /echo with what it received."""

    class Server(BaseHTTPRequestHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            received.requests.append(
                {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
            )
            match self.path.partition("?")[0].strip("/").split("/"):
                case ["status", status]:
                    answer(self, int(status), "as asked")
                case ["slow"]:
                    stop.wait(3)
                case ["drip"]:
                    self._drip()
                case ["away"]:
                    answer(self, 302, Location=f"{received.url}/status/200")
                case ["done", word]:
                    answer(self, 200, json.dumps({"done": json.loads(word)}))
                case _:
                    answer(self, 200, f"{self.headers.get('Authorization')} {body}\n" + "x" * 100_000)

        def _drip(self) -> None:
            """A byte every 50 ms for ever: each one is in time, the whole never is."""
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while not stop.wait(0.05):
                    self.wfile.write(b".")

        do_GET = do_POST = do_PUT = serve  # noqa: N815 - named by the standard library

        def log_message(self, *args: Any) -> None:
            pass

    stop = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    received = Received(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield received
    stop.set()
    server.shutdown()
    server.server_close()
