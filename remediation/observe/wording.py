"""What went wrong with a source, in plain words and without the source's own pages in them."""

from __future__ import annotations

import re

import orjson
import requests
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from urllib3.exceptions import NameResolutionError, NewConnectionError

from remediation.exceptions import ObserveError, QueryRefused, SourceFailed
from remediation.redact import redact

EXCERPT = 300
"""Characters kept of an error text that Prometheus itself wrote."""

ANSWERS = _("{origin} answers HTTP {status}: {error}")
UNREACHABLE = (
    ((NameResolutionError,), _("cannot reach {origin}: its name is not known here")),
    ((ConnectionRefusedError,), _("cannot reach {origin}: refused; is {server} running there?")),
    ((requests.exceptions.SSLError,), _("cannot reach {origin}: its TLS certificate or protocol is not accepted")),
    (
        (requests.ConnectTimeout, NewConnectionError),
        _("cannot reach {origin}: no connection within {seconds} s, or no way there"),
    ),
    ((requests.Timeout, TimeoutError), _("{origin} did not answer in full within {seconds} s")),
)
"""What a request can end with instead of an answer, the most telling first."""


def excerpt(text: object) -> str:
    """The beginning of a foreign text on one line, without secrets."""
    line = re.sub(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+", " ", redact(str(text))).strip()
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


def error_of(body: bytes) -> tuple[str, str]:
    """`errorType` and `error` of an answer in Prometheus' own form, else nothing: other pages are not repeated."""
    try:
        envelope = orjson.loads(body)
    except ValueError:
        return "", ""
    if not isinstance(envelope, dict) or envelope.get("status") != "error":
        return "", ""
    return str(envelope.get("errorType", "")), excerpt(envelope.get("error", ""))


def error_class(error_type: object) -> type[ObserveError]:
    """What an `errorType` is about: the query, the time that this one query took, or the source."""
    if error_type in ("bad_data", "execution"):
        return QueryRefused
    return ObserveError if error_type in ("timeout", "canceled") else SourceFailed


def refused(status: int, body: bytes, origin: str, server: str) -> ObserveError:
    """An answer whose HTTP status is not 200."""
    error_type, error = error_of(body)
    if error and status in (400, 422):
        return QueryRefused(error)
    if error and error_class(error_type) is ObserveError:
        return ObserveError(format_lazy(ANSWERS, origin=origin, status=status, error=error))
    if status in (401, 403):
        said = _("{origin} does not accept the credentials (HTTP {status})")
        return SourceFailed(format_lazy(said, origin=origin, status=status))
    if 300 <= status < 400:
        said = _("{origin} redirects elsewhere (HTTP {status}), which is not followed; enter the final address")
        return SourceFailed(format_lazy(said, origin=origin, status=status))
    if error:
        return SourceFailed(format_lazy(ANSWERS, origin=origin, status=status, error=error))
    said = _("{origin} answers HTTP {status}; is {server} at this address?")
    return SourceFailed(format_lazy(said, origin=origin, status=status, server=server))


def not_understood(origin: str, content_type: str = "") -> SourceFailed:
    kind = f" ({excerpt(content_type)[:60]})" if content_type and "json" not in content_type else ""
    said = _("{origin} answers something that is not Prometheus' JSON{kind}; is this the right address?")
    return SourceFailed(format_lazy(said, origin=origin, kind=kind))


def too_large(origin: str, max_bytes: int) -> ObserveError:
    """Not the source's failure: another question has a smaller answer."""
    said = _("the answer of {origin} is larger than {size} MiB; ask for fewer series")
    return ObserveError(format_lazy(said, origin=origin, size=f"{max_bytes / 2**20:.3g}"))


def was_dropped(error: BaseException) -> bool:
    """Whether the server closed the connection before it sent anything."""
    return any(isinstance(cause, ConnectionResetError | BrokenPipeError) for cause in _causes(error))


def unreachable(error: BaseException, origin: str, server: str, timeout_s: float) -> SourceFailed:
    """A request that did not come to an answer. RemoteDisconnected is a ConnectionResetError, too."""
    causes = _causes(error)
    for kinds, said in UNREACHABLE:
        if any(isinstance(cause, kinds) for cause in causes):
            return SourceFailed(format_lazy(said, origin=origin, server=server, seconds=f"{timeout_s:g}"))
    return SourceFailed(format_lazy(_("{origin} broke off in the middle of its answer"), origin=origin))


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it wraps: requests and urllib3 keep the inner one in `args`, in `reason` or as the cause."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop()
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            waiting += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
    return found
