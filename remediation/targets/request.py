"""A request over HTTP to a URL that a person configured: checked, pinned to its address, bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from django.utils.translation import gettext_noop
from pydantic import AfterValidator, Field

from remediation.targets.addresses import refuse_forbidden, resolve
from remediation.targets.own import refuse_own_address
from remediation.targets.wire import Address, Answer, Deadline, Request, connect, exchange

ANSWER_LIMIT = 65536
"""Bytes of an answer that are read at all."""


def _whole(url: str) -> str:
    parts = urlsplit(url)
    try:
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(gettext_noop("the URL needs a host, and a port between 1 and 65535 where it names one"))
    if parts.username is not None:
        raise ValueError(gettext_noop("credentials do not belong into a URL; use a secret reference"))
    return url


Url = Annotated[str, Field(pattern=r"^https?://[!#-;=?-Z\[\]_a-z~]{1,2000}$"), AfterValidator(_whole)]
"""An absolute http or https URL in ASCII, without credentials."""


def refuse_url(url: str, deadline: Deadline) -> list[Address]:
    """The addresses behind a URL. Raises ConfigurationError for one that is not to be asked, OwnProcess for
    Homeostat's own, EffectNotStarted when its host has no address."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", _port(url)
    found = resolve(host, port, deadline)
    refuse_own_address(host, port)
    refuse_forbidden(host, found)
    return [(address, port) for address in found]


def send(
    method: str, url: str, *, deadline: Deadline, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Answer:
    """The answer, whatever its status. Raises what `refuse_url` and `exchange` raise."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    sock = connect(refuse_url(url, deadline), deadline, tls_name=(parts.hostname or "") if secure else "")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = Request(method=method, path=path, host=parts.netloc, headers=headers or {}, body=body)
    return exchange(sock, request, limit=ANSWER_LIMIT)


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
