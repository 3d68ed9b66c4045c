"""Rules that come from files or from the library: read here, changed where they come from, unless taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext

from remediation.models import Rule, record
from remediation.rules.installing import is_library

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Admin = ModelAdmin[Any]
else:
    Admin = object


class ManagedAdmin(Admin):
    """Lets nobody edit here what the next `rules apply` would turn back."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj is not None and obj.managed_by)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.managed_by)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.take_over_view)
        return [path("<int:pk>/take-over/", view, name="remediation_rule_take_over"), *super().get_urls()]

    def take_over_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        rule = get_object_or_404(Rule, pk=pk)
        owner = rule.managed_by
        if owner and Rule.objects.filter(pk=pk, managed_by=owner).update(managed_by=""):
            by = request.user.get_username()
            record(rule, "taken_over", now=timezone.now(), reason=f"it was managed by {owner}", actor=by)
            self.log_change(request, rule, f"Taken over from {owner}.")
            yours = gettext("%(rule)s is yours now.") % {"rule": rule}
            messages.success(request, f"{yours} {_what_files_do(owner)}")
        return HttpResponseRedirect(reverse("admin:remediation_rule_change", args=[pk]))


def origin(owner: str) -> str:
    """Where a rule comes from, in a few words; nothing for one that was made by hand."""
    if not owner:
        return ""
    if is_library(owner):
        return gettext("the library %(name)s") % {"name": owner.partition(":")[2].partition("@")[0]}
    return gettext("rule files (%(owner)s)") % {"owner": owner}


def sentence(owner: str) -> str:
    """Why it cannot be edited here, and what can be done instead."""
    if is_library(owner):
        return gettext(
            "This rule comes from %(origin)s and is kept up to date with it: only switching it on and off is "
            "done here. Duplicate it to have one of your own beside it, or take it over to edit this one."
        ) % {"origin": origin(owner)}
    return gettext(
        "This rule comes from %(origin)s: change it there and run manage.py rules apply --owner %(owner)s, which "
        "would undo what is changed here. Take it over if the files are no longer in use."
    ) % {"origin": origin(owner), "owner": owner}


def _what_files_do(owner: str) -> str:
    if is_library(owner):
        return gettext("Installing the library again leaves it alone.")
    return gettext("Applying its files again will leave it alone and say so, unless with --take-over.")
