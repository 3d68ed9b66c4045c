"""Deadlines hold whatever the other side does; secrets are found by reference."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from remediation import secrets
from remediation.exceptions import ConfigurationError, EffectNotStarted, EffectUncertain
from remediation.targets import addresses
from remediation.targets.wire import Deadline, Request, ask, connect, exchange

GET = Request(method="GET", path="/", host="here")


def serve(behave: Callable[[socket.socket], object]) -> tuple[str, int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listener, listener.accept()[0] as connection:
            try:
                behave(connection)
            except OSError:
                return  # the other side gave up, as it should

    threading.Thread(target=run, daemon=True).start()
    address: tuple[str, int] = listener.getsockname()
    return address


def say(content: bytes) -> Callable[[socket.socket], object]:
    def behave(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(content)

    return behave


def drip(content: bytes) -> Callable[[socket.socket], object]:
    """A byte every 20 ms: each one is in time, the whole is not."""

    def behave(connection: socket.socket) -> None:
        for byte in content:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    return behave


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(lambda connection: time.sleep(1), id="silent"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100), id="dripping-header"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100), id="dripping-body"),
    ],
)
def test_a_deadline_bounds_the_whole_exchange(behave: Callable[[socket.socket], object]) -> None:
    began = time.monotonic()
    with pytest.raises(EffectUncertain, match=r"timed out"):
        exchange(connect([serve(behave)], Deadline(0.3)), GET, limit=1000)
    assert 0.2 < time.monotonic() - began < 0.8
    with pytest.raises(EffectUncertain, match=r"timed out"):
        ask(connect([serve(behave)], Deadline(0.3)), "line", limit=1000)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
CROWDED = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200


@pytest.mark.parametrize("answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 xyz\r\n\r\n", CHUNKED, CROWDED])
def test_an_answer_that_is_not_http_leaves_it_uncertain(answer: bytes) -> None:
    with pytest.raises(EffectUncertain):
        exchange(connect([serve(say(answer))], Deadline(1)), GET, limit=1000)


def test_a_long_answer_is_cut_and_a_long_line_protocol_s_answer_is_refused() -> None:
    long = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000
    assert len(exchange(connect([serve(say(long))], Deadline(1)), GET, limit=1000).body) == 1000
    with pytest.raises(EffectUncertain, match=r"longer than 1000 bytes"):
        ask(connect([serve(say(long))], Deadline(1)), "line", limit=1000)


def test_the_next_address_is_tried_and_all_are_named_when_none_answers() -> None:
    address = serve(say(b"HTTP/1.1 200 OK\r\n\r\n"))
    assert exchange(connect([("127.0.0.1", 1), address], Deadline(1)), GET, limit=9).status == 200
    with pytest.raises(EffectNotStarted, match=r"127.0.0.1 port 1: Connection refused; /nowhere/s: No such file"):
        connect([("127.0.0.1", 1), "/nowhere/s"], Deadline(1))


def test_nothing_is_connected_after_the_deadline() -> None:
    with pytest.raises(EffectNotStarted, match=r"timed out"):
        connect([serve(lambda one: None)], Deadline(0))


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: release.wait(5) and [])
    began = time.monotonic()
    with pytest.raises(EffectNotStarted, match=r"cannot find the address of slow.example: timed out"):
        addresses.resolve("slow.example", 80, Deadline(0.1))
    assert time.monotonic() - began < 1
    release.set()


def test_secrets_are_found_by_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "it"
    path.write_text(" s3cret \n")
    monkeypatch.setenv("IT", "t0ken")
    assert (secrets.resolve("env:IT"), secrets.resolve(f"file:{path}")) == ("t0ken", "s3cret")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is missing or empty"), (b" \n", "is missing or empty"), (b"\xff\xfe", "is not UTF-8"),
     (b"x" * 9000, "is longer than 8192 bytes"), (None, "cannot be read: No such file")],
)  # fmt: skip
def test_a_missing_secret_is_named_without_its_value(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "it"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"the secret file:{path} {message}"):
        secrets.resolve(f"file:{path}")


@pytest.mark.parametrize(
    "ref", ["", "hunter2", "env:", "env:A B", "file:x", "file:/a\n", "FILE:/a", "env:A\n", "vault:x"]
)
def test_what_is_no_reference_is_not_echoed(ref: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^a secret is given as env:NAME or file:/absolute/path$"):
        secrets.resolve(ref)
