"""The same pieces over plain HTTP: for a gap, a reconnect, and browsers whose websockets are blocked."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from dashboard.live.fragments import KEYS_AT_ONCE, render
from dashboard.live.shown import known_language
from dashboard.pages import chrome  # registers what every page shows


@require_GET
def fragments(request: HttpRequest) -> JsonResponse:
    """The pieces named by `key`, as often as wanted. Those whose version is in `have` are left out.

    `language` is that of the page, which another tab may have changed since.
    """
    keys = request.GET.getlist("key")[:KEYS_AT_ONCE]
    have = set(request.GET.get("have", "").split(","))
    found = render(keys, known_language(request.GET.get("language")) or None)
    pieces = [
        {"key": one.key, "html": one.html, "version": one.version} for one in found.values() if one.version not in have
    ]
    answer = {
        "fragments": pieces,
        "gone": [key for key in keys if key not in found],
        "count": chrome.waiting_count(),
        "at": timezone.now().timestamp(),
    }
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})
