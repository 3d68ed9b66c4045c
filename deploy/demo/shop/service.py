"""What all services of the shop share: an HTTP server, metrics, and the switches by which they are broken."""

import ctypes
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from deploy.demo.config import DemoConfig

PR_SET_PDEATHSIG = 1
LEAK_STEP = 10_000_000
LEAK_STEPS = 22  # with the interpreter itself about 250 MB: much for a small service, harmless for the machine
WEDGED_FOR_S = 30.0  # a stuck request is given up some time, so that their threads stay bounded

dice = random.SystemRandom()

METRICS = CollectorRegistry()
ProcessCollector(registry=METRICS)
REQUESTS = Counter("http_requests_total", "Requests answered.", ["handler", "code"], registry=METRICS)
DURATION = Histogram(
    "http_request_duration_seconds",
    "Time to answer.",
    ["handler"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
    registry=METRICS,
)
IN_FLIGHT = Gauge("http_requests_in_flight", "Requests taken and not yet answered.", registry=METRICS)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request: the words of its path, its query and its decoded body."""

    words: tuple[str, ...]
    query: Mapping[str, str]
    body: Any


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int = 200
    body: object = None


@dataclass(kw_only=True)
class Switches:
    """What is broken in this process just now. A restart forgets all of it."""

    error_ratio: float = 0.0
    delay_s: float = 0.0
    leaking: bool = False
    wedged: bool = False

    def turn(self, wanted: Mapping[str, Any]) -> None:
        known = {field.name for field in fields(self)}
        for name in known & wanted.keys():
            setattr(self, name, wanted[name])


Handler = Callable[[Request], Reply]


class Service:
    """One process: routes by method and first word of the path, `/metrics`, `/healthz` and `/control`."""

    def __init__(self, name: str, routes: Mapping[tuple[str, str], tuple[str, Handler]]) -> None:
        """`routes` maps (method, first word) to (the `handler` label of its metrics, the function)."""
        self.name = name
        self.routes = routes
        self.switches = Switches()
        self.on_control: Callable[[Mapping[str, Any]], None] = self.switches.turn
        self._hoard: list[bytes] = []
        for label, _ in routes.values():
            DURATION.labels(label)
            for code in ("200", "500", "502", "503"):
                # A series that starts at its first error has no rate for that error: start all at zero.
                REQUESTS.labels(label, code)

    def answer(self, method: str, target: str, body: Any) -> Reply:
        """Answer one request and measure it."""
        parts = urlsplit(target)
        words = tuple(parts.path.strip("/").split("/"))
        route = self.routes.get((method, words[0]))
        if route is None:
            return Reply(status=404)
        label, handler = route
        started = time.perf_counter()
        with IN_FLIGHT.track_inprogress():
            reply = self._misbehave() or handler(Request(words=words, query=dict(parse_qsl(parts.query)), body=body))
        DURATION.labels(label).observe(time.perf_counter() - started)
        REQUESTS.labels(label, str(reply.status)).inc()
        return reply

    def _misbehave(self) -> Reply | None:
        """What the switches do to a request before its own handler sees it."""
        deadline = time.monotonic() + WEDGED_FOR_S
        while self.switches.wedged:
            if time.monotonic() > deadline:
                return Reply(status=503)
            time.sleep(0.25)
        if self.switches.delay_s:
            time.sleep(self.switches.delay_s)
        if dice.random() < self.switches.error_ratio:
            return Reply(status=500)
        return None

    def _leak(self) -> None:
        """Hold on to ever more memory while the switch says so; give it back when it no longer does."""
        while True:
            if not self.switches.leaking:
                self._hoard.clear()
            elif len(self._hoard) < LEAK_STEPS:
                self._hoard.append(b"x" * LEAK_STEP)
            time.sleep(0.5)

    def serve(self, port: int) -> ThreadingHTTPServer:
        """Listen on the port, from threads of this process."""
        server = _Server(("127.0.0.1", port), _exchange_for(self))
        threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
        threading.Thread(target=self._leak, name="leak", daemon=True).start()
        return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hung up is its own affair; anything else is printed as usual."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # socketserver's own wide type


def _exchange_for(service: Service) -> type[BaseHTTPRequestHandler]:
    """The class that speaks HTTP for a service; http.server wants a class, one per server."""

    class Exchange(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?", 1)[0]
            if path == "/metrics":
                self._send(200, generate_latest(METRICS), "text/plain; version=0.0.4; charset=utf-8")
            elif path == "/healthz":
                self._send(200, b"ok\n", "text/plain")
            else:
                self._reply(service.answer("GET", self.path, None))

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if self.path != "/control":
                self._reply(service.answer("POST", self.path, body))
            elif self.headers.get("X-Demo-Control") and isinstance(body, dict):
                service.on_control(body)
                self._reply(Reply())
            else:
                self._reply(Reply(status=403))

        def _reply(self, reply: Reply) -> None:
            content = b"" if reply.body is None else json.dumps(reply.body).encode()
            self._send(reply.status, content, "application/json")

        def _send(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing per request: the metrics do."""

    return Exchange


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the one that started it is gone, however it went."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent or parent == 1:
        os._exit(1)  # it died before the kernel was asked


def begin() -> tuple[str, DemoConfig]:
    """What every service does first: returns its name (its only argument) and where everything is."""
    die_with_parent()
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the package is typed but for this
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # nothing here needs more than the kernel's own tidying
    return sys.argv[1], DemoConfig.load(Path(os.environ["HOMEOSTAT_DEMO_CONFIG"]))
