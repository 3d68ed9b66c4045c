"""Services, and what can be acted on for them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from remediation.admin import outside
from remediation.admin.base import WIDGETS, EditAdmin, say
from remediation.admin.plugins import PluginAdmin, PluginForm
from remediation.admin.texts import PairsField
from remediation.admin.unfolded import SelectManyWidget
from remediation.checks import missing_secrets
from remediation.models import Service, Target


@admin.register(Service)
class ServiceAdmin(EditAdmin):
    list_display = ("name", "title", "team", "target_count", "rule_count")
    list_filter = ("team",)
    search_fields = ("name", "title", "team")
    instead_of_deleting = gettext_lazy("Switch off its rules and targets instead.")
    formfield_overrides = {**WIDGETS, models.URLField: {"assume_scheme": "https"}}
    fields = ("name", "title", "team", "description", "matchers", "depends_on", "runbook_url")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Service]:
        counts = {"target_total": Count("targets", distinct=True), "rule_total": Count("rules", distinct=True)}
        rows: QuerySet[Service] = super().get_queryset(request).annotate(**counts)
        return rows

    @admin.display(description=gettext_lazy("targets"), ordering="target_total")
    def target_count(self, row: Any) -> int:
        return int(row.target_total)

    @admin.display(description=gettext_lazy("rules"), ordering="rule_total")
    def rule_count(self, row: Any) -> int:
        return int(row.rule_total)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_manytomany(db_field, request, **{**kwargs, "widget": SelectManyWidget()})


class TargetForm(PluginForm):
    kind = "backend"
    params_url = "admin:remediation_target_params"
    labels = PairsField(
        label=gettext_lazy("Labels"),
        texts_only=True,
        required=False,
        help_text=gettext_lazy(
            "One name=value a line. They tie it to its series: instance=10.0.0.1:9100. An incident with another "
            "value of one of them is not about this target."
        ),
    )

    def ask_outside(self) -> None:
        self.warnings = missing_secrets(self.instance.params)
        self.good_news: list[str] = []
        try:
            said = outside.ask_target(self.instance)
        except outside.Wrong as wrong:
            self.add_error(wrong.field or None, str(wrong))
            return
        (self.good_news if said.well else self.warnings).append(said.text)


@admin.register(Target)
class TargetAdmin(PluginAdmin, EditAdmin):
    form = TargetForm
    params_kind = "backend"
    list_display = ("name", "service", "backend", "role", "enabled", "label_text")
    list_filter = ("enabled", "service", "backend", "role")
    search_fields = ("name", "service__name", "role")
    list_select_related = ("service",)
    fieldsets = (
        (None, {"fields": ("service", "name", "role", "enabled")}),
        (gettext_lazy("How it is reached"), {"fields": ("backend", "params")}),
        (gettext_lazy("Which series are its own"), {"fields": ("labels",)}),
    )

    @admin.display(description=gettext_lazy("labels"))
    def label_text(self, row: Target) -> str:
        return ", ".join(f"{name}={value}" for name, value in row.labels.items())

    def save_model(self, request: HttpRequest, obj: Target, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        say(request, messages.WARNING, dict.fromkeys(form.warnings))
        say(request, messages.INFO, form.good_news)
