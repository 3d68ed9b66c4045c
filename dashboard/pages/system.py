"""System: whether Homeostat itself is well: its sources, stages, configuration and versions, and what holds it."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from django.conf import settings
from django.core import checks
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from dashboard.live.fragments import Context, fragment
from dashboard.pages import chrome, queues  # noqa: F401 - its piece stands on this page
from remediation.models import Heartbeat, RuleStatus, Source

SAID = {
    "rung": gettext_noop("work found"),
    "not_well": gettext_noop("series that are not well"),
    "rules": gettext_noop("rules"),
}
"""Numbers in the details of heartbeats, in words."""
PACKAGES = ("django", "celery", "channels", "channels-redis", "prometheus-api-client", "redis", "uvicorn")


def system(request: HttpRequest) -> HttpResponse:
    return render(request, "system/index.html", {"page": "system", "versions": _versions()})


@fragment("sources", "system/_sources.html", topics=("rule", "source"), every_s=5)
def sources(_: str) -> Context:
    return {"sources": [(row, getattr(row, "status", None)) for row in Source.objects.select_related("status")]}


@fragment("failing", "system/_failing.html", topics=("rule",), every_s=5)
def failing(_: str) -> Context:
    rows = RuleStatus.objects.filter(rule__enabled=True).exclude(error="").select_related("rule__source")
    return {"failing": list(rows.order_by("rule__name")[:100]), "rules": RuleStatus.objects.count()}


@fragment("heartbeats", "system/_heartbeats.html", every_s=5)
def heartbeats(_: str) -> Context:
    now = timezone.now()
    rows = Heartbeat.objects.order_by("stage")
    return {"beats": [(row, chrome.is_stalled(row, now), _told(row.detail)) for row in rows]}


def _told(detail: Mapping[str, object]) -> dict[str, object]:
    """What a stage says of itself; of numbers by source their sum, as sources have a panel of their own."""
    return {
        gettext(SAID[name]) if name in SAID else name: sum(value.values()) if isinstance(value, Mapping) else value
        for name, value in detail.items()
    }


@fragment("checks", "system/_checks.html", topics=("catalogue",), every_s=5)
def failed_checks(_: str) -> Context:
    """What is configured and cannot work. These checks look at rows, so each of them is quick."""
    found = checks.run_checks(tags=["homeostat"], include_deployment_checks=True, databases=["default"])
    return {
        "problems": [
            {"level": "firing" if one.is_serious() else "pending", "text": one.msg, "hint": one.hint} for one in found
        ]
    }


def _own_version() -> str:
    """As the project says it; it runs from its folder, so no package knows."""
    try:
        project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    except (OSError, KeyError, ValueError):
        return ""
    return str(project["version"])


@cache
def _versions() -> list[tuple[str, str]]:
    found = [("Homeostat", _own_version()), ("Python", platform.python_version())]
    found.append((gettext_noop("Database"), connection.vendor))
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, ""))
    return found
