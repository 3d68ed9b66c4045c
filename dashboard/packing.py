"""Pages and pieces leave compressed: rows of the same kind shrink to a twentieth.

What could be guessed from the length of a compressed page (BREACH) is not in it: the form token is masked anew in each.
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

WORTH_IT = 1400
"""What fits into one packet anyway is left alone."""

LEVEL = 4
KINDS = ("text/html", "application/json")


class PackingMiddleware:
    """Works on both sides, sync and async, so that it never costs a thread hop."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self.acall(request)
        response = self.get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101 - the sync side gives no awaitable
        return pack(request, response)

    async def acall(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        assert not isinstance(response, HttpResponseBase)  # noqa: S101 - the async side always gives one
        return pack(request, await response)


def pack(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The response, compressed where the browser takes that and it is worth it."""
    if not isinstance(response, HttpResponse) or response.has_header("Content-Encoding"):
        return response
    if len(response.content) < WORTH_IT or not response.headers.get("Content-Type", "").startswith(KINDS):
        return response
    patch_vary_headers(response, ("Accept-Encoding",))
    if "gzip" in request.headers.get("Accept-Encoding", "").lower():
        response.content = gzip.compress(response.content, LEVEL, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.content))
    return response
