"""An HTTP session for servers that may misbehave: every answer is bounded in time and in size, and checked."""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import time
from typing import Any

import requests
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Timeout

from remediation.exceptions import ObserveError, SourceFailed
from remediation.observe import wording

CHUNK = 64 * 1024
REFUSED = [ipaddress.ip_network(text) for text in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128")]
"""Link-local addresses: the metadata services of clouds, which hand out credentials."""


class Bounded(requests.Session):
    """Ends every request after timeout_s (connect, headers and body together) and every body at max_bytes.

    Follows no redirect, so that credentials stay where they were meant for; takes neither proxies nor .netrc from the
    environment. Its lookups of names are the system's, which have a timeout of their own.
    """

    def __init__(
        self, *, origin: str, timeout_s: float, max_bytes: int, verify: bool | str, server: str = "Prometheus"
    ) -> None:
        """server: what should be there, for messages."""
        super().__init__()
        self.server = server
        self.origin, self.timeout_s, self.max_bytes = origin, timeout_s, max_bytes
        self.verify = verify
        self.trust_env = False
        self._only_adapter = _Adapter()

    def get_adapter(self, url: str | bytes) -> BaseAdapter:
        """The bounded one, whatever else was mounted."""
        return self._only_adapter

    def close(self) -> None:
        super().close()
        self._only_adapter.close()

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """The answer, read to its end, with status 200. Raises SourceFailed, ObserveError when it is too large, and
        QueryRefused for status 400 and 422."""
        deadline = time.monotonic() + self.timeout_s
        try:
            response = self._send(method, url, deadline, *args, **kwargs)
            body = self._body(response, deadline)
        except (requests.RequestException, OSError) as error:
            # The cause holds the request and with it the credentials: it stays out of every traceback.
            raise wording.unreachable(error, self.origin, self.server, self.timeout_s) from None
        response._content, response._content_consumed = body, True  # type: ignore[attr-defined]
        if response.status_code != requests.codes.ok:
            raise wording.refused(response.status_code, body, self.origin, self.server)
        return response

    def _send(self, method: Any, url: Any, deadline: float, *args: Any, **kwargs: Any) -> requests.Response:
        """Once more when a kept-alive connection turns out to be closed: questions change nothing."""
        kwargs |= {"stream": True, "allow_redirects": False}
        for last in (False, True):
            kwargs["timeout"] = Timeout(total=max(deadline - time.monotonic(), 0.001))
            try:
                return super().request(method, url, *args, **kwargs)
            except requests.ConnectionError as error:
                if last or not wording.was_dropped(error):
                    raise
        raise AssertionError("not reached")

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        with response:  # an answer that is not read to its end takes its connection along
            for part in response.iter_content(CHUNK):
                size += len(part)
                if size > self.max_bytes:
                    raise wording.too_large(self.origin, self.max_bytes)
                if time.monotonic() > deadline:
                    raise requests.ReadTimeout
                parts.append(part)
        return b"".join(parts)


class _Clocked(io.RawIOBase):
    """What a socket receives, all of it before one deadline: bytes that drip do not put it off."""

    def __init__(self, connection: socket.socket, stream: io.RawIOBase) -> None:
        super().__init__()
        self._connection, self._stream = connection, stream
        # urllib3 has set the socket's timeout to what the request has left.
        left = connection.gettimeout()
        self._deadline = None if left is None else time.monotonic() + left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._connection.settimeout(left)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Clocked(sock, self.fp.detach()))


def refuse_link_local(address: str) -> None:
    """Raises SourceFailed when an IP address is link-local; other texts pass."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return
    found = getattr(found, "ipv4_mapped", None) or found
    if any(found in network for network in REFUSED):
        said = _("{address} is a link-local address; a source there is refused")
        raise SourceFailed(format_lazy(said, address=address))


def _checked(connection: socket.socket) -> socket.socket:
    """Look at the address that was really connected to, so that a name cannot rebind; nothing has been sent yet."""
    try:
        refuse_link_local(connection.getpeername()[0])
    except ObserveError:
        connection.close()
        raise
    return connection


class _Plain(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn())


class _Tls(HTTPSConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _Tls


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
