"""Which language a person reads: what was chosen (a cookie), or else what the browser asks for, or else English."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_language_from_request, override

Answer = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class LanguageMiddleware:
    """What Django's LocaleMiddleware does for addresses without a language in them, without its two thread hops."""

    async_capable = True
    sync_capable = True

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        return self._later(request) if self.is_async else self._now(request)

    def _now(self, request: HttpRequest) -> HttpResponseBase:
        language = of_request(request)
        with override(language):
            return _told(request, cast(HttpResponseBase, self.get_response(request)), language)

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        language = of_request(request)
        with override(language):
            response = await cast(Awaitable[HttpResponseBase], self.get_response(request))
            return _told(request, response, language)


def _told(request: HttpRequest, response: HttpResponseBase, language: str) -> HttpResponseBase:
    response.headers.setdefault("Content-Language", language)
    patch_vary_headers(response, ("Accept-Language", "Cookie"))
    return response


def of_request(request: HttpRequest) -> str:
    """The language for this request, one of settings.LANGUAGES; kept on it as Django does."""
    language = get_language_from_request(request)
    cast(Any, request).LANGUAGE_CODE = language
    return language


def of_scope(scope: Mapping[str, Any]) -> str:
    """The language of a websocket, by the same rules: it came with the cookies and headers of its page."""
    request = HttpRequest()
    headers = {name.lower(): value.decode("latin-1") for name, value in scope.get("headers", [])}
    cookies = scope.get("cookies") or {}
    if settings.LANGUAGE_COOKIE_NAME in cookies:
        request.COOKIES[settings.LANGUAGE_COOKIE_NAME] = cookies[settings.LANGUAGE_COOKIE_NAME]
    request.META["HTTP_ACCEPT_LANGUAGE"] = headers.get(b"accept-language", "")
    return get_language_from_request(request)
