"""The proxy misbehaves as it says, or the matrix would prove nothing."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.faults import proxy as proxies
from tests.faults.proxy import Proxy

TEXT = b"x" * 5000


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(TEXT)))
        self.end_headers()
        self.wfile.write(TEXT)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found = Proxy(server.server_address[1])
    yield found
    found.close()
    server.shutdown()
    server.server_close()


def ask(proxy: Proxy) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=1)
    try:
        client.request("GET", "/")
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def test_passes(proxy: Proxy) -> None:
    assert ask(proxy) == (200, TEXT)


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("refuse", ConnectionError),
        ("hang", TimeoutError),
        ("late", TimeoutError),
        ("cut", http.client.IncompleteRead),
    ],
)
def test_mode_breaks_the_answer(proxy: Proxy, mode: str, error: type[Exception]) -> None:
    proxy.set(mode)
    with pytest.raises(error):
        ask(proxy)
    proxy.set("pass")
    assert ask(proxy) == (200, TEXT)


def test_canned_answers_are_what_they_are_named_after(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "BIG", 100_000)
    found = {}
    for mode in ("html", "truncated", "big", "warnings", "empty", "infinite", "error"):
        proxy.set(mode)
        found[mode] = ask(proxy)
    assert [status for status, _ in found.values()] == [200] * 6 + [500]
    assert found["html"][1].startswith(b"<html>")
    assert len(found["big"][1]) > 100_000
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(found["truncated"][1])
    assert json.loads(found["warnings"][1])["warnings"]
    assert json.loads(found["empty"][1])["data"]["result"] == []
    assert json.loads(found["infinite"][1])["data"]["result"][0]["value"][1] == "Inf"


def test_a_new_mode_cuts_what_is_open(proxy: Proxy) -> None:
    client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    client.request("GET", "/")
    client.getresponse().read()
    proxy.set("hang")
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        client.request("GET", "/")
        client.getresponse()
    client.close()
