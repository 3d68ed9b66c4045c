"""Rules, tried on live data when they are saved, and their versions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.forms.widgets import Script
from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.safestring import SafeString

from remediation.admin import outside, versions
from remediation.admin.base import EditAdmin, say
from remediation.admin.plugins import PluginAdmin, PluginForm
from remediation.admin.preview import PreviewAdmin
from remediation.admin.texts import PairsField
from remediation.admin.unfolded import TextareaWidget
from remediation.models import Rule


class RuleForm(PluginForm):
    kind = "detector"
    params_url = "admin:remediation_rule_params"
    labels = PairsField(
        texts_only=True, required=False, help_text="One name=value a line; added to the incident's own: team=shop."
    )
    annotations = PairsField(
        texts_only=True,
        required=False,
        help_text="summary, description, runbook_url, dashboard_url; {instance} is replaced by that label's value.",
    )

    class Meta:
        widgets = {
            "query": TextareaWidget(
                attrs={
                    "rows": 4,
                    "spellcheck": "false",
                    "class": "font-mono",
                    "data-preview-url": reverse_lazy("admin:remediation_rule_preview"),
                }
            )
        }

    class Media:
        js = [Script("remediation/preview.js", type="module")]

    def ask_outside(self) -> None:
        self.warnings: list[str] = []
        self.good_news: list[str] = []
        try:
            said = outside.ask_query(self.instance, now=timezone.now().timestamp())
        except outside.Wrong as wrong:
            self.add_error(wrong.field or None, str(wrong))
            return
        if said.text:
            (self.good_news if said.well else self.warnings).append(said.text)


@admin.register(Rule)
class RuleAdmin(PreviewAdmin, PluginAdmin, EditAdmin):
    form = RuleForm
    params_kind = "detector"
    list_display = ("name", "service", "severity", "detector", "enabled", "series", "evaluated", "failure", "version")
    list_filter = ("enabled", "severity", "service", "detector", "source")
    search_fields = ("name", "query", "service__name")
    list_select_related = ("service", "status")
    readonly_fields = ("version_list",)
    fieldsets = (
        (None, {"fields": ("name", "service", "severity", "enabled")}),
        ("What is asked", {"fields": ("source", "query", "interval_s")}),
        ("What counts as bad", {"fields": ("detector", "params", "for_s", "keep_firing_for_s")}),
        ("What people see", {"fields": ("labels", "annotations")}),
        ("Versions", {"fields": ("version_list",)}),
    )

    @admin.display(description="bad / unknown / all")
    def series(self, row: Rule) -> str:
        status = getattr(row, "status", None)
        return f"{status.bad} / {status.unknown} / {status.series}" if status else ""

    @admin.display(description="last evaluated", ordering="status__evaluated_at")
    def evaluated(self, row: Rule) -> Any:
        status = getattr(row, "status", None)
        return status.evaluated_at if status else None

    @admin.display(description="error")
    def failure(self, row: Rule) -> str:
        status = getattr(row, "status", None)
        return status.error if status else ""

    @admin.display(description="what changed")
    def version_list(self, row: Rule) -> SafeString:
        return versions.as_html(row.versions.all() if row.pk else [])

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        obj.keep_version(author=request.user.get_username(), now=timezone.now())
        say(request, messages.WARNING, form.warnings)
        say(request, messages.INFO, form.good_news)
