"""The admin's name, colours and navigation, and the way back to the pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

TITLES = {
    "site_title": "Homeostat",
    "site_header": "Homeostat",
    "site_subheader": gettext_lazy("Configuration"),
    "site_url": "/",
}
# The accent of the pages (#3b4fd0, in the dark #6f83ff) in unfold's steps.
ACCENT = {
    "50": "oklch(96.2% .018 274)",
    "100": "oklch(93% .034 274)",
    "200": "oklch(87% .065 275)",
    "300": "oklch(78.5% .115 275)",
    "400": "oklch(67% .18 276)",
    "500": "oklch(66% .18 276)",
    "600": "oklch(48% .21 272)",
    "700": "oklch(43% .2 272)",
    "800": "oklch(38% .16 272)",
    "900": "oklch(34% .12 273)",
    "950": "oklch(25% .08 275)",
}
NAVIGATION = (
    (
        gettext_lazy("Configuration"),
        ("source", "ingesttoken", "service", "target", "rule", "playbook", "maintenancewindow"),
    ),
    (
        gettext_lazy("Record"),
        ("incident", "remediation", "decision", "transition", "freeze", "breaker", "storm", "alert"),
    ),
    (gettext_lazy("People"), ("user", "group")),
)
ICONS = {
    "source": "dns",
    "ingesttoken": "key",
    "service": "deployed_code",
    "target": "memory",
    "rule": "rule",
    "playbook": "menu_book",
    "incident": "warning",
    "remediation": "build",
    "decision": "gavel",
    "transition": "history",
    "maintenancewindow": "construction",
    "freeze": "ac_unit",
    "breaker": "electric_bolt",
    "storm": "thunderstorm",
    "alert": "notifications",
    "user": "person",
    "group": "group",
}


def extra_context(context: dict[str, Any], request: HttpRequest) -> dict[str, Any]:
    """What unfold asks its site for on every page."""
    colors = {**(context.get("colors") or {}), "primary": ACCENT}
    return {
        **context,
        **TITLES,
        "site_symbol": "cardiology",
        "site_favicons": [{"rel": "icon", "href": static("remediation/icon.svg"), "type": "image/svg+xml"}],
        "colors": colors,
        "sidebar_navigation": navigation(context.get("available_apps") or [], request.path),
    }


def navigation(apps: list[dict[str, Any]], path: str) -> list[dict[str, Any]]:
    """What this person may see, by what it is for; apps that we do not know keep a group of their own."""
    models = {model["object_name"].lower(): model for app in apps for model in app["models"] if model.get("admin_url")}
    groups = [("", [_item(gettext_lazy("Back to Homeostat"), "/", "arrow_back", path)])]
    for title, names in NAVIGATION:
        groups.append((str(title), [_model(models.pop(name), path) for name in names if name in models]))
    groups.append((gettext("More"), [_model(model, path) for model in models.values()]))
    return [{"title": title, "items": items} for title, items in groups if items]


def _model(model: dict[str, Any], path: str) -> dict[str, Any]:
    icon = ICONS.get(model["object_name"].lower(), "category")
    return _item(str(model["name"]), model["admin_url"], icon, path)


def _item(title: str | Promise, link: str, icon: str, path: str) -> dict[str, Any]:
    active = link != "/" and path.startswith(link)
    return {"title": title, "link": link, "icon": icon, "active": active, "has_permission": True}


def may_enter(request: HttpRequest) -> bool:
    """Staff. Others who signed in are sent to the sign-in where they look, and refused where they change something."""
    user = request.user
    staff = user.is_active and user.is_staff
    if not staff and user.is_authenticated and request.method == "POST" and not request.path.endswith("/login/"):
        raise PermissionDenied(gettext_lazy("Configuring takes staff status."))
    return staff


admin.site.has_permission = may_enter  # type: ignore[method-assign]
admin.site.extra_context = extra_context  # type: ignore[attr-defined] # unfold's hook
admin.site.site_title = admin.site.site_header = "Homeostat"
admin.site.index_title = gettext_lazy("Configuration")
