"""supervisord's XML-RPC, one connection per call, each call inside a deadline.

The standard ServerProxy has no timeout, and one whose connect failed never recovers: so a call here is one HTTP
exchange, and nothing is kept.
"""

from __future__ import annotations

import base64
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from remediation.exceptions import EffectNotStarted, EffectUncertain
from remediation.targets.addresses import is_local, refuse_forbidden, resolve
from remediation.targets.wire import Address, Answer, Deadline, Request, connect, exchange, reading

ANSWER_LIMIT = 16_000_000
"""Bytes of an answer: a list of ten thousand processes has a fifth of that."""

CALL_S = 5.0
"""Seconds a single call may take, however much the attempt has left: supervisord answers in milliseconds or hangs."""


class Fault(Exception):
    """supervisord understood and refused. `code` is one of those below, or another."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


UNKNOWN_METHOD, SHUTTING_DOWN, BAD_NAME = 1, 6, 10
NO_FILE, NOT_EXECUTABLE, FAILED, SPAWN_ERROR, ALREADY_STARTED, NOT_RUNNING = 20, 21, 30, 50, 60, 70


def find(url: str, deadline: Deadline) -> list[Address]:
    """The addresses of a supervisord's URL. Raises EffectNotStarted, or ConfigurationError for one not to be asked."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return [parts.path]
    host, port = parts.hostname or "", parts.port or 80
    found = resolve(host, port, deadline)
    refuse_forbidden(host, found)
    return [(address, port) for address in found]


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """Where a supervisord listens. Its name is looked up once: it may not move in the middle of an effect.
    `password` never leaves this object but in a request's header."""

    url: str
    addresses: list[Address]
    username: str = ""
    password: str = field(default="", repr=False)

    def ask(self, method: str, *arguments: Any, deadline: Deadline) -> Any:
        """The answer to a question. Raises EffectNotStarted or Fault."""
        with reading():
            return self.order(method, *arguments, deadline=deadline)

    def order(self, method: str, *arguments: Any, deadline: Deadline) -> Any:
        """The answer to an order. Raises EffectNotStarted, EffectUncertain or Fault."""
        body = xmlrpc.client.dumps(arguments, f"supervisor.{method}").encode()
        answer = self._exchange(body, deadline)
        if answer.status == 401:
            raise EffectNotStarted(f"supervisord at {self.url} refuses the username or the password")
        if answer.status != 200:
            raise EffectUncertain(f"supervisord at {self.url} answered {method} with HTTP {answer.status}")
        try:
            values, _ = xmlrpc.client.loads(answer.body)
        except xmlrpc.client.Fault as fault:
            raise Fault(fault.faultCode, fault.faultString) from None
        except (ExpatError, xmlrpc.client.Error, ValueError, LookupError, TypeError) as error:
            raise EffectUncertain(f"what answers at {self.url} does not speak XML-RPC") from error
        return values[0]

    def is_here(self) -> bool:
        """Whether its pids are those of this machine."""
        return all(isinstance(one, str) or is_local(one[0]) for one in self.addresses)

    def _exchange(self, body: bytes, deadline: Deadline) -> Answer:
        try:
            call = Deadline(deadline.left(at_most=CALL_S))
        except TimeoutError as error:
            raise EffectNotStarted(f"no time left to ask supervisord: {error}") from error
        host = urlsplit(self.url).netloc or "localhost"  # unix sockets have no host, and HTTP wants one
        request = Request(method="POST", path="/RPC2", host=host, headers=self._headers(), body=body)
        return exchange(connect(self.addresses, call), request, limit=ANSWER_LIMIT)

    def _headers(self) -> Mapping[str, str]:
        headers = {"Content-Type": "text/xml", "Accept": "text/xml"}
        if self.username:
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        return headers
