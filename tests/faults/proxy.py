"""A TCP proxy that misbehaves: between Homeostat and a Prometheus that is well."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress

BIG = 50 * 1024 * 1024
LATE_S = 30.0
EMPTY = b'{"status":"success","data":{"resultType":"vector","result":[]}'
MODES = (
    *("pass", "refuse", "hang", "late", "cut", "html", "truncated", "big", "warnings", "empty"),
    *("infinite", "error"),
)
"""What happens to a connection: let through; closed at once; taken and never answered; answered after LATE_S; cut in
the middle of the answer; or one of the canned answers below."""


def _http(body: bytes, *, kind: str = "application/json", status: str = "200 OK", length: int | None = None) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body) if length is None else length}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def canned(mode: str) -> bytes | None:
    """The answer of a mode that asks nobody, whatever the question was."""
    sample = b'{"metric":{"service":"x"},"value":[%d,"Inf"]}' % int(time.time())
    vector = b'{"status":"success","data":{"resultType":"vector","result":[%s]}}' % sample
    answers = {
        "html": lambda: _http(b"<html><body>Please sign in.</body></html>", kind="text/html"),
        "truncated": lambda: _http(vector[:-20]),
        "big": lambda: _http(b'{"status":"success","data":"' + b"x" * BIG + b'"}'),
        "warnings": lambda: _http(EMPTY + b',"warnings":["a store did not answer"]}'),
        "empty": lambda: _http(EMPTY + b"}"),
        "infinite": lambda: _http(vector),
        "error": lambda: _http(b'{"status":"error","errorType":"internal","error":"no"}', status="500 Oops"),
    }
    return answers[mode]() if mode in answers else None


class Proxy:
    """Listens until `close`. Changing the mode cuts the connections that are open."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.mode = "pass"
        self.asked = 0  # connections since the mode was set
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def set(self, mode: str) -> None:
        if mode not in MODES:
            raise ValueError(mode)
        self.mode, self.asked = mode, 0
        for sock in list(self._open):
            self._close(sock)

    def close(self) -> None:
        self._listener.close()
        self.set("refuse")

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self._open.add(client)
            self.asked += 1
            threading.Thread(target=self._serve, args=(client, self.mode), daemon=True).start()

    def _serve(self, client: socket.socket, mode: str) -> None:
        with suppress(OSError):
            if mode == "refuse":
                # A reset instead of an end: as from a port that nobody listens on any more.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            elif (answer := canned(mode)) is not None:
                client.recv(65536)
                client.sendall(answer)
            elif mode == "hang":
                while client.recv(65536):
                    pass
            else:
                if mode == "late":
                    time.sleep(LATE_S)
                self._through(client, cut_after=200 if mode == "cut" else None)
        self._close(client)

    def _through(self, client: socket.socket, *, cut_after: int | None) -> None:
        server = socket.create_connection(("127.0.0.1", self.upstream), timeout=10)
        server.settimeout(None)
        self._open.add(server)
        threading.Thread(target=self._pump, args=(client, server, None), daemon=True).start()
        self._pump(server, client, cut_after)

    def _pump(self, source: socket.socket, sink: socket.socket, cut_after: int | None) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                sink.sendall(chunk[:cut_after])
                if cut_after is not None:
                    break
        self._close(source)
        self._close(sink)

    def _close(self, sock: socket.socket) -> None:
        self._open.discard(sock)
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()
