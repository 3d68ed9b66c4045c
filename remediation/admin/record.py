"""The record: what happened, to be read and never edited."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from remediation.admin.base import ReadOnlyAdmin
from remediation.models import Alert, Decision, Freeze, Incident, Remediation, Transition


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ("title", "service", "severity", "state", "verdict", "opened_at", "resolved_at", "needs_person")
    list_filter = ("state", "severity", "service", "needs_person", "rule")
    search_fields = ("rule__name", "service__name", "fingerprint", "reason")
    list_select_related = ("rule", "service")
    date_hierarchy = "opened_at"

    @admin.display(description=gettext_lazy("title"))
    def title(self, row: Incident) -> str:
        return row.title


@admin.register(Remediation)
class RemediationAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "incident", "playbook", "autonomy", "state", "reason", "created_at", "ended_at")
    list_filter = ("state", "verb", "autonomy", "playbook")
    search_fields = ("verb", "incident__rule__name", "playbook__name", "reason", "digest")
    list_select_related = ("incident__rule", "playbook")
    date_hierarchy = "created_at"


@admin.register(Transition)
class TransitionAdmin(ReadOnlyAdmin):
    list_display = ("at", "kind", "object_id", "from_state", "to_state", "actor", "reason")
    list_filter = ("kind", "to_state", "actor")
    search_fields = ("reason", "actor", "=object_id")
    date_hierarchy = "at"
    ordering = ("-pk",)


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ("summary", "incident", "outcome", "at", "closed_at")
    list_filter = ("outcome",)
    search_fields = ("summary", "incident__rule__name")
    list_select_related = ("incident__rule",)
    date_hierarchy = "at"


@admin.register(Freeze)
class FreezeAdmin(ReadOnlyAdmin):
    """Set and lifted on the pages and by `manage.py freeze`, so that every change leaves its line of history."""

    list_display = ("__str__", "by", "at", "until", "lifted_at", "lifted_by")
    list_filter = ("service",)
    search_fields = ("reason", "by", "service__name")
    list_select_related = ("service",)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "source", "status", "starts_at", "ends_at", "pulled", "label_text")
    list_filter = ("status", "source", "pulled")
    search_fields = ("fingerprint", "labels")
    list_select_related = ("source",)
    date_hierarchy = "starts_at"

    @admin.display(description=gettext_lazy("labels"))
    def label_text(self, row: Alert) -> SafeString:
        text = ", ".join(f'{name}="{value}"' for name, value in sorted(row.labels.items()))
        return format_html('<span class="text-xs">{}</span>', text[:300])
