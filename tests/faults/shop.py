"""Services that can be broken and that repair themselves when asked to: Prometheus scrapes, Homeostat acts on them.

A process of its own, so that nothing that is killed around it loses a line. Every effect is in the ledger (a file, one
JSON object a line, on the disk before anybody is answered) with its idempotency key and the time it began; so is every
change of health. Run: python -m tests.faults.shop LEDGER PORT
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HANG_S = 30.0
MODES = ("repairs", "futile", "slow", "drops", "hangs", "hangs before")
"""How a service takes a request to repair itself: well; without it helping; in `seconds`; done, and the connection cut;
done, and no answer; nothing done, and no answer."""


@dataclass(kw_only=True)
class Behaviour:
    up: float | None = 1.0  # None: it is not in the exposition
    mode: str = "repairs"
    seconds: float = 0.0
    repaired: bool = False  # since it broke


@dataclass
class Shop:
    ledger: Path
    services: dict[str, Behaviour] = field(default_factory=dict)
    writing: threading.Lock = field(default_factory=threading.Lock)

    def write(self, **line: Any) -> None:
        with self.writing, self.ledger.open("a") as file:
            file.write(json.dumps({"at": time.time(), **line}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def of(self, name: str) -> Behaviour:
        return self.services.setdefault(name, Behaviour())

    def set(self, name: str, *, up: float | None = 1.0, mode: str = "repairs", seconds: float = 0.0) -> None:
        if mode not in MODES:
            raise ValueError(mode)
        before = self.of(name)
        self.services[name] = Behaviour(up=up, mode=mode, seconds=seconds, repaired=before.repaired and up == before.up)
        self.write(kind="health", service=name, up=up)

    def repair(self, name: str, key: str) -> str:
        """The effect. Returns how the request is to be answered."""
        service = self.of(name)
        if service.mode == "hangs before":
            return "hang"
        self.write(kind="effect", service=name, key=key)
        if service.mode == "slow":
            time.sleep(service.seconds)
        service.repaired = True
        if service.mode != "futile":
            service.up = 1.0
            self.write(kind="health", service=name, up=1.0)
        return {"drops": "drop", "hangs": "hang"}.get(service.mode, "answer")

    def exposition(self) -> str:
        shown = [(name, one.up) for name, one in sorted(self.services.items()) if one.up is not None]
        return "".join(f'shop_up{{service="{name}"}} {value:g}\n' for name, value in shown)


def server(shop: Shop, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/probe/"):
                self.answer(json.dumps({"done": shop.of(self.path.removeprefix("/probe/")).repaired}))
            else:
                self.answer(shop.exposition())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/control":
                for one in json.loads(body):
                    shop.set(one.pop("service"), **one)
                self.answer("ok")
                return
            how = shop.repair(self.path.removeprefix("/repair/"), self.headers.get("Idempotency-Key") or "")
            if how == "hang":
                time.sleep(HANG_S)
            if how == "answer":
                self.answer("ok")
            self.close_connection = True

        def answer(self, text: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        request_queue_size = 256
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Who asked was killed: that is what this is for."""

    return Server(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    server(Shop(Path(sys.argv[1])), int(sys.argv[2])).serve_forever()
