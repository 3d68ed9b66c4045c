"""What is done to several rules at once: on, off, duplicated. Each leaves its line of history."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy, ngettext

from remediation.models import Rule, record
from remediation.rules.installing import is_library
from remediation.signals import edited

if TYPE_CHECKING:
    Admin = admin.ModelAdmin[Any]
else:
    Admin = object

LONGEST_NAME = 100


class BulkAdmin(Admin):
    actions = ("switch_on", "switch_off", "duplicate_all")

    def get_urls(self) -> list[URLPattern]:
        views = {"duplicate": self.duplicate_view, "switch": self.switch_view}
        own = [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(view), name=f"remediation_rule_{name}")
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    @admin.action(description=gettext_lazy("Enable"), permissions=["change"])
    def switch_on(self, request: HttpRequest, rows: QuerySet[Rule]) -> None:
        self._switch(request, rows, enabled=True)

    @admin.action(description=gettext_lazy("Disable"), permissions=["change"])
    def switch_off(self, request: HttpRequest, rows: QuerySet[Rule]) -> None:
        self._switch(request, rows, enabled=False)

    @admin.action(description=gettext_lazy("Duplicate"), permissions=["add"])
    def duplicate_all(self, request: HttpRequest, rows: QuerySet[Rule]) -> None:
        copies = [duplicate(rule, by=request.user.get_username(), now=timezone.now()) for rule in rows]
        names = ", ".join(str(copy) for copy in copies[:5]) + (", …" if len(copies) > 5 else "")
        messages.success(request, gettext_lazy("%(names)s: disabled until somebody enables it.") % {"names": names})

    def duplicate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        copy = duplicate(get_object_or_404(Rule, pk=pk), by=request.user.get_username(), now=timezone.now())
        self.log_addition(request, copy, "Duplicated.")
        messages.success(request, gettext_lazy("This is %(rule)s: disabled until you enable it.") % {"rule": copy})
        return HttpResponseRedirect(reverse("admin:remediation_rule_change", args=[copy.pk]))

    def switch_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The button of one rule: `to` is on or off."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._switch(request, Rule.objects.filter(pk=pk), enabled=request.POST.get("to") == "on")
        return HttpResponseRedirect(reverse("admin:remediation_rule_change", args=[pk]))

    def _switch(self, request: HttpRequest, rows: QuerySet[Rule], *, enabled: bool) -> None:
        word = "enabled" if enabled else "disabled"
        now, by = timezone.now(), request.user.get_username()
        elsewhere = [rule.name for rule in rows if rule.managed_by and not is_library(rule.managed_by)]
        moved = [rule for rule in rows if rule.name not in elsewhere and switch(rule, enabled=enabled, by=by, now=now)]
        for rule in moved:
            self.log_change(request, rule, f"{word.capitalize()}.")
        if moved:
            on = ngettext("%(count)s rule enabled.", "%(count)s rules enabled.", len(moved))
            off = ngettext("%(count)s rule disabled.", "%(count)s rules disabled.", len(moved))
            messages.success(request, (on if enabled else off) % {"count": len(moved)})
        elif not elsewhere:
            were = gettext_lazy("All of them were enabled already."), gettext_lazy("All of them were disabled already.")
            messages.info(request, were[not enabled])
        if elsewhere:
            files = gettext_lazy("Managed in files, so switch them there: %(names)s.")
            messages.warning(request, files % {"names": ", ".join(elsewhere)})


def switch(rule: Rule, *, enabled: bool, by: str, now: datetime) -> bool:
    """On or off, with its line of history; asks nothing of the source. False when it was so already."""
    with transaction.atomic():
        if not Rule.objects.filter(pk=rule.pk, enabled=not enabled).update(enabled=enabled):
            return False
        note_switched(rule, enabled=enabled, by=by, now=now)
        transaction.on_commit(lambda: edited.send(Rule, model="rule") and None)
    return True


def note_switched(rule: Rule, *, enabled: bool, by: str, now: datetime) -> None:
    words = ("disabled", "enabled")
    record(rule, words[enabled], now=now, actor=by, from_state=words[not enabled])


def duplicate(rule: Rule, *, by: str, now: datetime) -> Rule:
    """A copy of a rule that is judged the same, disabled, made by hand."""
    with transaction.atomic():
        copy = Rule(**{name: getattr(rule, name) for name in rule.body()} | {"name": _free_name(rule.name)})
        copy.enabled = False
        copy.save()
        copy.keep_version(author=f"{by}, copy of {rule.name}"[:150], now=now)
        transaction.on_commit(lambda: edited.send(Rule, model="rule") and None)
    return copy


def _free_name(name: str) -> str:
    """`X (copy)`, or with a number where that is taken."""
    taken = set(Rule.objects.values_list("name", flat=True))
    number = 1
    while True:
        ending = " (copy)" if number == 1 else f" (copy {number})"
        found = name[: LONGEST_NAME - len(ending)] + ending
        if found not in taken:
            return found
        number += 1
