"""Playbooks with their ladder of steps."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, F, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from remediation.admin import versions
from remediation.admin.base import WIDGETS, EditAdmin
from remediation.admin.plugins import PluginAdmin, PluginForm
from remediation.admin.restoring import RestoreAdmin, restore_url
from remediation.admin.texts import QueriesField
from remediation.admin.unfolded import InlineFormSet, StackedInline
from remediation.models import Playbook, Step, record
from remediation.states import Autonomy

OUT_OF_THE_WAY = 10_000
"""Where positions wait while they change places: two steps may not hold one position, not even for a moment."""

STEP_HELP = {
    "position": gettext_lazy("Its place on the ladder: 1 is tried first, the next where that did not help."),
    "timeout_s": gettext_lazy("An effect that takes longer is cut off and counts as unknown until a probe tells."),
    "max_targets": gettext_lazy("An incident that fits more targets is left to a person."),
    "approvals": gettext_lazy("How many distinct people must approve, where the playbook asks."),
    "approval_ttl_s": gettext_lazy("Unanswered for so long it expires, and a person is called."),
    "budget_window_s": gettext_lazy("The time in which the effects below are counted."),
    "good_samples": gettext_lazy("So many good samples in a row, each from after the effect, count as proof."),
    "verify_within_s": gettext_lazy("Without proof within this it did not help, or nobody can tell."),
}
"""For the fields whose names alone do not say enough. Not in the model: help is no reason for a migration."""


class StepForm(PluginForm):
    kind = "verb"
    params_url = "admin:remediation_playbook_params"
    verify_queries = QueriesField(
        label=gettext_lazy("Verify also"),
        required=False,
        help_text=gettext_lazy(
            "More that has to hold, for every series it gives, until it counts as verified: one a line, such as "
            "sum(rate(errors_total[1m])) < 0.05."
        ),
    )

    def _get_validation_exclusions(self) -> set[str]:
        """Positions are compared by the form set: two steps that change places are no conflict."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc] # Django's own, unknown to its stubs
        return excluded | {"position"}


class StepFormSet(InlineFormSet):
    def clean(self) -> None:
        super().clean()
        seen: set[int] = set()
        for form in self.forms:
            position = getattr(form, "cleaned_data", {}).get("position")
            if position is None or form in self.deleted_forms or (form.empty_permitted and not form.has_changed()):
                continue
            if position in seen:
                form.add_error("position", ValidationError(gettext_lazy("Another step has this position.")))
            seen.add(position)

    def save(self, commit: bool = True) -> Any:
        if commit:
            self.make_way()
        return super().save(commit=commit)

    def make_way(self) -> None:
        """Move the steps that stay to where they will be, all at once."""
        steps = Step.objects.filter(playbook=self.instance)
        steps.update(position=F("position") + OUT_OF_THE_WAY)
        for form in self.initial_forms:
            if form not in self.deleted_forms:
                steps.filter(pk=form.instance.pk).update(position=form.cleaned_data["position"])


class StepInline(StackedInline):
    model = Step
    form = StepForm
    formset = StepFormSet
    extra = 0
    formfield_overrides = {**StackedInline.formfield_overrides, **WIDGETS}
    fieldsets = (
        (None, {"fields": ("position", "verb", "params", ("timeout_s", "max_attempts"))}),
        (gettext_lazy("Targets"), {"fields": ("select", ("max_targets", "rollout"), ("min_healthy", "domain"))}),
        (gettext_lazy("Approval"), {"fields": (("approvals", "approval_ttl_s"),)}),
        (gettext_lazy("Limits"), {"fields": (("cooldown_s", "budget_window_s"), ("budget", "budget_per_target"))}),
        (
            gettext_lazy("Proof"),
            {"fields": (("good_samples", "verify_within_s"), ("settle_s", "relapse_s"), "verify_queries")},
        ),
        (gettext_lazy("If it makes things worse"), {"fields": (("collateral", "undo"),)}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        found = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and not found.help_text:
            found.help_text = STEP_HELP.get(db_field.name, "")
        return found

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 1 if obj is None else 0


@admin.register(Playbook)
class PlaybookAdmin(RestoreAdmin, PluginAdmin, EditAdmin):
    params_kind = "verb"
    inlines = (StepInline,)
    list_display = ("name", "matchers", "autonomy", "enabled", "step_count", "priority", "version")
    list_filter = ("enabled", "autonomy")
    search_fields = ("name", "matchers", "description")
    readonly_fields = ("version_list",)
    fieldsets = (
        (None, {"fields": ("name", "description", "matchers", "autonomy", "priority", "enabled")}),
        (
            gettext_lazy("Earning autonomy"),
            {
                "fields": (
                    ("shadow_window_s", "silence_days"),
                    ("promote_after", "promote_lift"),
                    ("masking_after", "masking_window_s"),
                ),
                "classes": ("collapse",),
            },
        ),
        (gettext_lazy("Versions"), {"fields": ("version_list",), "classes": ("collapse",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Autonomy is earned and lost: a form that was opened before it was lost must not give it back."""
        fields = super().get_readonly_fields(request, obj)
        return fields if obj is None else (*fields, "autonomy")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Playbook]:
        rows: QuerySet[Playbook] = super().get_queryset(request).annotate(step_total=Count("steps"))
        return rows

    @admin.display(description=gettext_lazy("steps"), ordering="step_total")
    def step_count(self, row: Any) -> int:
        return int(row.step_total)

    @admin.display(description=gettext_lazy("what changed"))
    def version_list(self, row: Playbook) -> SafeString:
        return versions.as_html(row.versions.all(), restore_url=restore_url(row)) if row.pk else versions.as_html([])

    def save_model(self, request: HttpRequest, obj: Playbook, form: Any, change: bool) -> None:
        if change:  # the loop may have taken autonomy away since it was loaded
            kept = {"id", "autonomy", "autonomy_since", "autonomy_reason", "version"}
            obj.save(update_fields=[field.name for field in obj._meta.concrete_fields if field.name not in kept])
            obj.refresh_from_db(fields=["autonomy", "autonomy_since", "autonomy_reason", "version"])
            return
        super().save_model(request, obj, form, change)
        record(obj, f"autonomy {obj.autonomy}", now=timezone.now(), actor=request.user.get_username(), reason="created")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The version comes last, when the steps are stored too."""
        super().save_related(request, form, formsets, change)
        playbook: Playbook = form.instance
        trusted = playbook.autonomy == Autonomy.AUTO
        playbook.keep_version(author=request.user.get_username(), now=timezone.now())
        if trusted and playbook.autonomy != Autonomy.AUTO:
            messages.warning(
                request,
                gettext_lazy(
                    "%(playbook)s does something else now, so it asks before it acts: its autonomy went from auto to "
                    "%(autonomy)s. Once you trust the new version, set it to auto on its page."
                )
                % {"playbook": playbook, "autonomy": gettext(playbook.autonomy)},
            )
        if not playbook.steps.exists():
            messages.warning(
                request, gettext_lazy("%(playbook)s has no step yet, so it can do nothing.") % {"playbook": playbook}
            )
