"""From a row's form to the page that shows it: where the admin says "View on site"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.urls import NoReverseMatch, reverse


def _within(name: str, anchor: str = "") -> Callable[[Any], str]:
    return lambda row: reverse(name) + (f"#{anchor}" if anchor else "")


PAGES: Mapping[str, Callable[[Any], str]] = {
    "source": _within("system", "sources-title"),
    "ingesttoken": _within("system", "sources-title"),
    "service": lambda row: reverse("service", args=[row.name]),
    "target": lambda row: reverse("service", args=[row.service.name]),
    "rule": lambda row: reverse("rule", args=[row.pk]),
    "playbook": lambda row: reverse("playbook", args=[row.pk]),
    "maintenancewindow": _within("system", "holding-title"),
    "breaker": _within("system", "holding-title"),
    "storm": _within("system", "holding-title"),
    "freeze": _within("system", "holding-title"),
    "incident": lambda row: reverse("incident", args=[row.pk]),
    "remediation": lambda row: reverse("incident", args=[row.incident_id]),
    "decision": lambda row: reverse("incident", args=[row.incident_id]),
    "transition": _within("audit"),
}
"""By the name of the model. Alerts and people are shown on no page."""


def page_of(row: Any) -> str | None:
    """None where there is no page, or the installation leaves it out."""
    find = PAGES.get(row._meta.model_name) if row is not None else None
    try:
        return find(row) if find else None
    except NoReverseMatch:
        return None
