"""What every page knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from dashboard import signing_in

CAPABILITIES = {"can-approve": "remediation.approve", "can-operate": "remediation.operate"}
"""Classes on <body> that show the buttons a person may use. The server asks again: hiding is a courtesy, no lock."""


def chrome(request: HttpRequest) -> dict[str, Any]:
    return {"demo": settings.HOMEOSTAT_DEMO, "capabilities": lambda: capabilities(request)}


def capabilities(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return ""
    held = [name for name, permission in CAPABILITIES.items() if user.has_perm(permission)]
    held += [] if signing_in.lately(request) else ["session-old"]
    return " ".join([*held, "can-edit"] if user.is_staff else held)
