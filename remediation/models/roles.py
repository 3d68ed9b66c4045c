"""Who may do what: four groups, made after every migration and safe to make again."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission

EDITABLE = ("source", "service", "target", "rule", "playbook", "step", "ingesttoken", "maintenancewindow")

RECORD = ("incident", "remediation", "transition", "decision", "freeze", "breaker", "storm", "alert")

ROLES: dict[str, tuple[str, ...]] = {
    "viewer": (),
    "operator": ("operate",),
    "approver": ("operate", "approve"),
    "admin": (
        "operate",
        "approve",
        *(f"{verb}_{model}" for model in EDITABLE for verb in ("add", "change", "delete", "view")),
        *(f"view_{model}" for model in RECORD),
    ),
}


def ensure_roles(**_: Any) -> None:
    """Create the groups; their permissions are set to exactly what is listed here."""
    for name, codenames in ROLES.items():
        group, _created = Group.objects.get_or_create(name=name)
        permissions = Permission.objects.filter(content_type__app_label="remediation", codename__in=codenames)
        group.permissions.set(permissions)
