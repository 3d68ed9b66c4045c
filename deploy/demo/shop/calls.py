"""How one service of the shop asks another over HTTP."""

import json
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit


class UnavailableError(Exception):
    """The other side did not answer in time, or answered that it cannot."""


def call(method: str, url: str, payload: object = None, *, timeout_s: float = 0.5, control: bool = False) -> Any:
    """Send one JSON request and return the decoded answer (None for an empty one).

    `control` adds the header without which a service refuses to be broken: a web page that a visitor
    has open cannot send it to a local port.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    headers = {"Content-Type": "application/json"} | ({"X-Demo-Control": "1"} if control else {})
    body = None if payload is None else json.dumps(payload)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, HTTPException) as error:
        raise UnavailableError(f"{method} {url}: {error!r}") from error
    finally:
        connection.close()
    if answer.status >= 400:
        raise UnavailableError(f"{method} {url}: {answer.status}")
    return json.loads(content) if "json" in (answer.headers["Content-Type"] or "") and content else None
