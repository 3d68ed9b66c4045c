"""Sources, and the tokens that may post alerts in their name."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy

from remediation.admin import outside
from remediation.admin.base import EditAdmin, ModelForm, say
from remediation.models import IngestToken, Source


class SourceForm(ModelForm):
    """Asks the source for a sign of life once everything else is right."""

    warnings: list[str]
    good_news: list[str]

    def full_clean(self) -> None:
        super().full_clean()
        self.warnings, self.good_news = [], []
        if not self.is_bound or self.errors:
            return
        try:
            said = outside.ask_source(self.instance)
        except outside.Wrong as wrong:
            self.add_error(wrong.field or None, str(wrong))
            return
        (self.good_news if said.well else self.warnings).append(said.text)


@admin.register(Source)
class SourceAdmin(EditAdmin):
    form = SourceForm
    list_display = ("name", "url", "enabled", "answered", "failure")
    list_filter = ("enabled", "auth")
    search_fields = ("name", "url")
    list_select_related = ("status",)
    fieldsets = (
        (None, {"fields": ("name", "url", "alertmanager_url", "enabled")}),
        (gettext_lazy("Access"), {"fields": ("auth", "username", "secret_ref", "verify_tls", "timeout_s")}),
        (gettext_lazy("Freshness"), {"fields": ("stale_after_s", "pull_alerts_s")}),
    )

    @admin.display(description=gettext_lazy("last answer"), ordering="status__answered_at")
    def answered(self, row: Source) -> Any:
        status = getattr(row, "status", None)
        return status.answered_at if status else None

    @admin.display(description=gettext_lazy("error"))
    def failure(self, row: Source) -> str:
        status = getattr(row, "status", None)
        return status.error if status and status.failing else ""

    def save_model(self, request: HttpRequest, obj: Source, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        say(request, messages.WARNING, form.warnings)
        say(request, messages.INFO, form.good_news)


@admin.register(IngestToken)
class IngestTokenAdmin(EditAdmin):
    """The token itself is seen once, when it is made."""

    list_display = ("name", "source", "created_at", "expires_at", "revoked_at", "last_used_at")
    list_filter = ("source",)
    search_fields = ("name",)
    instead_of_deleting = gettext_lazy("Revoke it instead.")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        new = ["source", "name", "expires_at"]
        return new if obj is None else [*new, "revoked_at", "created_at", "last_used_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else ["source", "created_at", "last_used_at"]

    def save_model(self, request: HttpRequest, obj: IngestToken, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        token = secrets.token_urlsafe(32)
        obj.hash = IngestToken.hash_of(token)
        super().save_model(request, obj, form, change)
        text = "The token, shown only this once: {} Put it into Alertmanager's webhook_config as authorization."
        messages.warning(request, format_html(text, format_html("<code>{}</code>", token)))
