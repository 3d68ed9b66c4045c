"""Going back to an earlier version of a rule or playbook, which becomes the newest one."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from remediation.admin import versions
from remediation.exceptions import ConfigurationError
from remediation.models import Playbook, Rule, Service, Source, Step
from remediation.models.playbook import STEP_FIELDS
from remediation.models.rule import UNUSED, VERSIONED
from remediation.signals import edited

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Admin = ModelAdmin[Any]
else:
    Admin = object


class RestoreAdmin(Admin):
    """Shows what going back would change, and does it."""

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_restore"
        view = self.admin_site.admin_view(self.restore_view)
        return [path("<int:pk>/restore/<int:number>/", view, name=name), *super().get_urls()]

    def restore_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        row: Any = get_object_or_404(self.model, pk=pk)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        version = get_object_or_404(row.versions, number=number)
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk])
        if request.method == "POST":
            try:
                restore(row, version, by=request.user.get_username(), now=timezone.now())
            except (ValidationError, ConfigurationError) as error:
                messages.error(
                    request,
                    gettext_lazy("Version %(n)s cannot be restored: %(error)s") % {"n": number, "error": _words(error)},
                )
                return HttpResponseRedirect(request.path)
            note = gettext("%(name)s is again what version %(n)s was; that is version %(new)s.")
            note %= {"name": row, "n": number, "new": row.version}
            if isinstance(row, Playbook):
                note += " " + gettext("Its autonomy is %(autonomy)s.") % {"autonomy": gettext(row.autonomy)}
            self.log_change(request, row, f"Restored version {number}.")
            messages.success(request, note)
            return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Restore version %(n)s of %(name)s") % {"n": number, "name": row},
            "opts": self.opts,
            "original": row,
            "version": version,
            "page": page,
            "changes": versions.differences(row.body(), version.body),
        }
        return render(request, "admin/remediation/restore.html", context)


def restore_url(row: Model) -> Callable[[int], str]:
    """Where the version of a number is restored."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_restore"
    return lambda number: reverse(name, args=[row.pk, number])


def restore(row: Rule | Playbook, version: Any, *, by: str, now: datetime) -> None:
    """Make it what the version says, as a new version. Raises ValidationError, ConfigurationError."""
    with transaction.atomic():
        if isinstance(row, Rule):
            _restore_rule(row, version.body)
        else:
            _restore_playbook(row, version.body)
        row.keep_version(author=f"{by}, from version {version.number}"[:150], now=now)
        transaction.on_commit(lambda: edited.send(type(row), model=row._meta.model_name) and None)


def _restore_rule(rule: Rule, body: dict[str, Any]) -> None:
    for name, model in (("source_id", Source), ("service_id", Service)):
        if body.get(name) is not None and not model._default_manager.filter(pk=body[name]).exists():
            was = {"source_id": gettext("its source was deleted."), "service_id": gettext("its service was deleted.")}
            raise ConfigurationError(was[name])
    for name in VERSIONED:
        setattr(rule, name, body.get(name, deepcopy(UNUSED.get(name))))
    rule.full_clean()
    rule.save()


def _restore_playbook(playbook: Playbook, body: dict[str, Any]) -> None:
    """Steps keep their row, and so their remediations, as long as their position is still there."""
    playbook.name, playbook.matchers = body["name"], body["matchers"]
    playbook.full_clean()
    playbook.save()
    steps = {step.position: step for step in playbook.steps.all()}
    for item in body["steps"]:
        step = steps.pop(item["position"], None) or Step(playbook=playbook)
        usual = Step()
        for name in STEP_FIELDS:  # what the version leaves out was as usual
            setattr(step, name, item.get(name, getattr(usual, name)))
        step.full_clean()
        step.save()
    Step.objects.filter(pk__in=[step.pk for step in steps.values()]).delete()


def _words(error: Exception) -> str:
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
