"""What holds automation: maintenance windows to be planned, breakers to be looked at and closed, storms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy, override

from remediation import breakers
from remediation.admin.base import EditAdmin, ReadOnlyAdmin
from remediation.decide import windows
from remediation.exceptions import ConfigurationError, Conflict
from remediation.models import Breaker, MaintenanceWindow, Storm, record
from remediation.signals import edited

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[MaintenanceWindow]
else:
    ModelForm = forms.ModelForm

REASON_LENGTH = 500


class WindowForm(ModelForm):
    def clean(self) -> dict[str, Any]:
        """What cannot be read would hold for ever: it is refused here."""
        found = super().clean() or self.cleaned_data
        row = MaintenanceWindow(**{name: value for name, value in found.items() if value is not None})
        if row.starts_at is None:
            return found
        self._refuse("timezone", lambda: windows.local(row, row.starts_at))
        self._refuse("weekdays", lambda: windows.weekdays_of(row))
        if self.errors:
            return found
        if row.weekdays and row.begins is None:
            self.add_error(
                "begins", gettext("A window that holds every week needs the time of day at which it begins.")
            )
        if not row.weekdays and row.ends_at is None:
            self.add_error("ends_at", gettext("A window that holds once needs an end."))
        if row.ends_at is not None and row.ends_at <= row.starts_at:
            self.add_error("ends_at", gettext("It ends before it starts."))
        return found

    def _refuse(self, field: str, look: Any) -> None:
        try:
            look()
        except ConfigurationError as error:
            self.add_error(field, str(error))


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(EditAdmin):
    """Every change of one leaves a line of history: while it holds, nothing is repaired."""

    form = WindowForm
    list_display = ("name", "service", "when", "holds", "enabled")
    list_filter = ("enabled", "service")
    search_fields = ("name", "service__name")
    list_select_related = ("service",)
    fieldsets = (
        (None, {"fields": ("name", "service", "enabled")}),
        (gettext_lazy("When"), {"fields": (("starts_at", "ends_at"), "timezone")}),
        (gettext_lazy("Every week"), {"fields": ("weekdays", ("begins", "lasts_s"))}),
    )

    @admin.display(description=gettext_lazy("when"))
    def when(self, row: MaintenanceWindow) -> str:
        if row.weekdays:
            said = gettext("%(days)s at %(begins)s %(timezone)s for %(minutes)d min")
            return said % {
                "days": row.weekdays,
                "begins": row.begins,
                "timezone": row.timezone,
                "minutes": round(row.lasts_s / 60),
            }
        if row.ends_at is None:
            return gettext("from then on")
        ends = {"begin": f"{row.starts_at:%Y-%m-%d %H:%M %Z}", "end": f"{row.ends_at:%Y-%m-%d %H:%M %Z}"}
        return gettext("%(begin)s to %(end)s") % ends

    @admin.display(description=gettext_lazy("holds now"), boolean=True)
    def holds(self, row: MaintenanceWindow) -> bool | None:
        try:
            return row.enabled and windows.occurrence(row, timezone.now()) is not None
        except ConfigurationError:
            return None

    def save_model(self, request: HttpRequest, obj: MaintenanceWindow, form: Any, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            self._record(request, obj, "changed" if change else "added")

    def delete_model(self, request: HttpRequest, obj: MaintenanceWindow) -> None:
        with transaction.atomic():
            self._record(request, obj, "deleted")
            super().delete_model(request, obj)
        edited.send(MaintenanceWindow, model="maintenancewindow")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[MaintenanceWindow]) -> None:
        for row in queryset:
            self.delete_model(request, row)

    def _record(self, request: HttpRequest, row: MaintenanceWindow, what: str) -> None:
        with override("en"):  # what is kept stays in one language
            when = self.when(row)
        facts = {"service": row.service.name if row.service else "", "when": when, "enabled": row.enabled}
        record(row, what, now=timezone.now(), reason=row.name, actor=request.user.get_username(), facts=facts)


@admin.register(Breaker)
class BreakerAdmin(ReadOnlyAdmin):
    """Looked at, and closed by a person who vouches for the step and says why."""

    list_display = ("playbook", "position", "service", "state", "bad", "reason", "changed_at", "to_close")
    list_filter = ("state", "playbook", "service")
    search_fields = ("playbook__name", "service__name", "reason")
    list_select_related = ("playbook", "service")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), "to_close"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.close_view)
        return [path("<int:pk>/close/", view, name="remediation_breaker_close"), *super().get_urls()]

    @admin.display(description=gettext_lazy("close"))
    def to_close(self, row: Breaker) -> SafeString | str:
        if row.state == Breaker.State.CLOSED:
            return ""
        page = reverse("admin:remediation_breaker_close", args=[row.pk])
        return format_html('<a href="{}">{}</a>', page, gettext("Close it"))

    def close_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not request.user.has_perm("remediation.approve"):
            raise PermissionDenied
        row = get_object_or_404(Breaker.objects.select_related("playbook", "service"), pk=pk)
        page = reverse("admin:remediation_breaker_changelist")
        if request.method == "POST":
            reason = request.POST.get("reason", "").replace("\x00", "").strip()[:REASON_LENGTH]
            if not reason:
                messages.error(request, gettext_lazy("Say why: it opened because the step did not help."))
                return HttpResponseRedirect(request.path)
            try:
                breakers.close(row, by=request.user.get_username(), reason=reason, now=timezone.now())
                messages.success(
                    request,
                    gettext_lazy("Closed: %(playbook)s, step %(n)s.") % {"playbook": row.playbook, "n": row.position},
                )
            except Conflict as error:
                messages.error(request, str(error))
            return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Close the breaker"),
            "opts": self.opts,
            "page": page,
        }
        return render(request, "admin/remediation/breaker_close.html", {**context, "original": row})


@admin.register(Storm)
class StormAdmin(ReadOnlyAdmin):
    list_display = ("source", "began_at", "last_at", "ended_at", "reason")
    list_filter = ("source",)
    list_select_related = ("source",)
    date_hierarchy = "began_at"
