"""Rules: tried on their source before they are saved, with their versions, their noise and where they come from."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from remediation.admin import doubting, versions
from remediation.admin.base import EditAdmin, say
from remediation.admin.bulk import BulkAdmin, note_switched
from remediation.admin.conditions import FIELDS as CONDITIONS
from remediation.admin.conditions import ConditionsForm
from remediation.admin.doubting import DoubtingForm
from remediation.admin.managed import ManagedAdmin, sentence
from remediation.admin.plugins import PluginAdmin
from remediation.admin.preview import PreviewAdmin
from remediation.admin.restoring import RestoreAdmin, restore_url
from remediation.admin.shelves import ShelvesAdmin
from remediation.admin.standing import AloneFilter, ManagedFilter, NoiseFilter, StandingAdmin, StateFilter
from remediation.admin.texts import PairsField
from remediation.admin.unfolded import TextareaWidget
from remediation.models import Rule
from remediation.rules.installing import is_library


class RuleForm(ConditionsForm, DoubtingForm):
    kind = "detector"
    params_url = "admin:remediation_rule_params"
    labels = PairsField(
        label=gettext_lazy("Labels"),
        texts_only=True,
        required=False,
        help_text=gettext_lazy("One name=value a line; added to the incident's own: team=shop."),
    )
    annotations = PairsField(
        label=gettext_lazy("Annotations"),
        texts_only=True,
        required=False,
        help_text=gettext_lazy(
            "summary, description, runbook_url, dashboard_url; {instance} is replaced by that label's value."
        ),
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
        css = {"all": ["remediation/admin.css"]}


@admin.register(Rule)
class RuleAdmin(
    ManagedAdmin, BulkAdmin, StandingAdmin, RestoreAdmin, ShelvesAdmin, PreviewAdmin, PluginAdmin, EditAdmin
):
    form = RuleForm
    params_kind = "detector"
    list_display = ("name", "state", "noise", "service", "severity", "detector", "series", "evaluated", "managed")
    list_filter = (
        *("service", "severity", StateFilter, NoiseFilter, AloneFilter),
        *("source", "detector", ManagedFilter, "enabled"),
    )
    search_fields = ("name", "query", "service__name", "status__error")
    list_select_related = ("service", "status", "source")
    readonly_fields = ("version_list",)
    list_before_template = "admin/remediation/rule/_list.html"
    change_form_outer_before_template = "admin/remediation/rule/_around.html"
    change_form_before_template = "admin/remediation/rule/_insist.html"
    list_fullwidth = True

    class Media:
        css = {"all": ["remediation/admin.css"]}

    fieldsets = (
        (None, {"fields": ("name", "service", "severity", "enabled")}),
        (gettext_lazy("What is asked"), {"fields": ("source", "query", "interval_s")}),
        (gettext_lazy("What counts as bad"), {"fields": ("detector", "params", "for_s", "keep_firing_for_s")}),
        (gettext_lazy("What else must be so"), {"fields": CONDITIONS}),
        (gettext_lazy("What people see"), {"fields": ("labels", "annotations")}),
        (gettext_lazy("Versions"), {"fields": ("version_list",)}),
    )

    @admin.display(description=gettext_lazy("what changed"))
    def version_list(self, row: Rule) -> SafeString:
        if not row.pk:
            return versions.as_html([])
        return versions.as_html(row.versions.all(), restore_url=None if row.managed_by else restore_url(row))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        rule = kwargs.get("obj")
        if isinstance(rule, Rule):
            context |= {
                "managed": sentence(rule.managed_by) if rule.managed_by else "",
                "may_take_over": self.has_change_permission(request),
                "from_library": is_library(rule.managed_by),
                "may_add": self.has_add_permission(request),
                "failure": getattr(getattr(rule, "status", None), "error", ""),
            }
        shown: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return shown

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        by, now = request.user.get_username(), timezone.now()
        obj.keep_version(author=doubting.author_of(by, form.insisted), now=now)
        doubting.note(obj, form.insisted, by=by)
        if change and "enabled" in form.changed_data:
            note_switched(obj, enabled=obj.enabled, by=by, now=now)
        said = gettext("Saved all the same: %(doubt)s")
        say(request, messages.WARNING, [said % {"doubt": doubt.text} for doubt in form.insisted])
        say(request, messages.INFO, form.good_news)
