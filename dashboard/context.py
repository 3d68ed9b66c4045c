"""What every page knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from dashboard import signing_in
from dashboard.pages.places import places

CAPABILITIES = {"can-approve": "remediation.approve", "can-operate": "remediation.operate"}
"""Classes on <body> that show the buttons a person may use. The server asks again: hiding is a courtesy, no lock."""

THEME_COOKIE = "homeostat_theme"
THEMES = ("light", "dark")
"""What a browser may be set to instead of following its system. theme.js writes the cookie."""


def chrome(request: HttpRequest) -> dict[str, Any]:
    return {
        "demo": settings.HOMEOSTAT_DEMO,
        "capabilities": lambda: capabilities(request),
        "places": places,
        "theme": theme(request),
        "languages": languages,
    }


def capabilities(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return ""
    held = [name for name, permission in CAPABILITIES.items() if user.has_perm(permission)]
    held += [] if signing_in.lately(request) else ["session-old"]
    return " ".join([*held, "can-edit"] if user.is_staff else held)


def theme(request: HttpRequest) -> str:
    """`light`, `dark`, or empty for the system's choice. Known before the first byte, so that nothing flashes."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


def languages() -> list[tuple[str, str]]:
    """Codes and names to choose from; none where there is nothing to choose."""
    return list(settings.LANGUAGES) if len(settings.LANGUAGES) > 1 else []
