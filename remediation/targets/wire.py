"""Connections that end in time. A socket's own timeout starts anew with every byte; a deadline does not.

Everything here raises EffectNotStarted while nothing has been sent, and EffectUncertain from then on.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from remediation.exceptions import EffectNotStarted, EffectUncertain


class Deadline:
    """A moment on the monotonic clock until which something may take."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self, *, at_most: float = float("inf")) -> float:
        """Seconds left. Raises TimeoutError when there are none."""
        left = min(self._end - time.monotonic(), at_most)
        if left <= 0:
            raise TimeoutError(f"the {self.seconds:g} s it was given are over")
        return left

    def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the end. Raises TimeoutError there."""
        time.sleep(self.left(at_most=seconds))
        self.left()


class _Timed:
    """Before each wait the socket is told what is left of the deadline."""

    deadline: Deadline

    def recv(self, *args: Any) -> bytes:
        self.settimeout(self.deadline.left())  # type: ignore[attr-defined]
        return super().recv(*args)  # type: ignore[misc, no-any-return]

    def recv_into(self, *args: Any) -> int:
        self.settimeout(self.deadline.left())  # type: ignore[attr-defined]
        return super().recv_into(*args)  # type: ignore[misc, no-any-return]

    def sendall(self, *args: Any) -> None:
        self.settimeout(self.deadline.left())  # type: ignore[attr-defined]
        super().sendall(*args)  # type: ignore[misc]


class TimedSocket(_Timed, socket.socket):
    pass


class _TimedTls(_Timed, ssl.SSLSocket):
    pass


Address = str | tuple[str, int]
"""A unix socket's path, or a resolved address and a port: a name looked up twice may have moved in between."""


def connect(addresses: Sequence[Address], deadline: Deadline, *, tls_name: str = "") -> socket.socket:
    """A connection to the first that answers. Raises EffectNotStarted."""
    tried = []
    for address in addresses:
        try:
            return _connect(address, deadline, tls_name)
        except (OSError, ValueError) as error:  # TimeoutError and ssl.SSLError are OSErrors
            tried.append(f"{_shown(address)}: {_reason(error)}")
    raise EffectNotStarted(f"cannot connect to {'; '.join(tried)}")


def _connect(address: Address, deadline: Deadline, tls_name: str) -> socket.socket:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock: socket.socket = TimedSocket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(deadline.left())
        sock.connect(address)
        if tls_name:
            context = ssl.create_default_context()  # SSL_CERT_FILE names an authority of one's own
            context.sslsocket_class = _TimedTls
            sock = context.wrap_socket(sock, server_hostname=tls_name)
    except BaseException:
        sock.close()
        raise
    sock.deadline = deadline  # type: ignore[attr-defined]
    return sock


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    host: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: bytes


def exchange(sock: socket.socket, request: Request, *, limit: int) -> Answer:
    """One HTTP request and at most `limit` bytes of its answer; closes the socket. No redirect is followed, no proxy
    used. Raises EffectUncertain from the first byte on: nobody knows what a silent server has done."""
    connection = http.client.HTTPConnection("unused")
    connection.sock = sock
    headers = {"Host": request.host, "Connection": "close", "User-Agent": "homeostat", **request.headers}
    try:
        _write(connection, request, headers)
        response = connection.getresponse()
        return Answer(status=response.status, body=response.read(limit))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise EffectUncertain(f"no answer from {request.host}: {_reason(error)}") from error
    finally:
        connection.close()


def _write(connection: http.client.HTTPConnection, request: Request, headers: Mapping[str, str]) -> None:
    try:
        connection.request(request.method, request.path, request.body, headers)
    except (ValueError, http.client.InvalidURL) as error:  # found while it was put together, before it was sent
        raise EffectNotStarted(f"the request to {request.host} cannot be written as HTTP") from error


def ask(sock: socket.socket, line: str, *, limit: int) -> str:
    """Send one line and read until the other side closes; closes the socket. Raises EffectUncertain."""
    received = b""
    try:
        sock.sendall(line.encode() + b"\n")
        while chunk := sock.recv(65536):
            received += chunk
            if len(received) > limit:
                raise EffectUncertain(f"the answer is longer than {limit} bytes")
    except OSError as error:
        raise EffectUncertain(f"no answer: {_reason(error)}") from error
    finally:
        sock.close()
    return received.decode(errors="replace")


@contextmanager
def reading() -> Iterator[None]:
    """A question changes nothing: without an answer, nothing was started."""
    try:
        yield
    except EffectUncertain as error:
        raise EffectNotStarted(str(error)) from error


def _shown(address: Address) -> str:
    return address if isinstance(address, str) else f"{address[0]} port {address[1]}"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
