"""What the small servers of the benchmarks have in common: a whole answer at once, and no log."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any


class Answering(BaseHTTPRequestHandler):
    def answer(self, body: bytes, kind: str = "text/plain; version=0.0.4") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return
