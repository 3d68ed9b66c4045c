"""What the pages of the admin share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from remediation.admin.pages import page_of
from remediation.admin.unfolded import ModelAdmin, NumberWidget, TextareaWidget
from remediation.models.base import Seconds
from remediation.redact import redacted_facts
from remediation.signals import edited

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    ModelForm = forms.ModelForm


WIDGETS: dict[Any, Any] = {
    Seconds: {"widget": NumberWidget()},
    models.TextField: {"widget": TextareaWidget(attrs={"rows": 3})},
}


class EditAdmin(ModelAdmin):
    """Something a person configures."""

    formfield_overrides = WIDGETS
    warn_unsaved_form = True
    view_on_site = staticmethod(page_of)
    list_filter_submit = False
    instead_of_deleting: str | Promise = gettext_lazy("Switch it off instead (enabled).")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Once everything is stored, whoever shows it is told."""
        super().save_related(request, form, formsets, change)
        transaction.on_commit(lambda: edited.send(self.model, model=self.opts.model_name) and None)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What the record refers to stays: say so in words instead of listing rows."""
        row = self.get_object(request, object_id)
        if row is not None and self.has_delete_permission(request, row):
            _, _, forbidden, protected = self.get_deleted_objects([row], request)
            if forbidden or protected:
                kept = gettext_lazy("%(row)s cannot be deleted: %(count)s records refer to it. %(instead)s")
                gone = gettext_lazy("%(row)s cannot be deleted: so would go: %(names)s. %(instead)s")
                told = {"row": row, "count": len(protected), "names": ", ".join(map(str, forbidden))}
                told["instead"] = self.instead_of_deleting
                messages.error(request, (kept if protected else gone) % told)
                return HttpResponseRedirect(reverse(f"admin:remediation_{self.opts.model_name}_change", args=[row.pk]))
        return super().delete_view(request, object_id, extra_context)


class ReadOnlyAdmin(ModelAdmin):
    """A part of the record: looked at, never edited."""

    list_per_page = 50
    view_on_site = staticmethod(page_of)
    show_full_result_count = False

    class Media:
        css = {"all": ["remediation/admin.css"]}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        return [field.name for field in self.opts.get_fields() if not field.auto_created and field.concrete]


def say(request: HttpRequest, level: int, texts: Iterable[str]) -> None:
    for text in texts:
        messages.add_message(request, level, text)


def pretty(value: Any) -> SafeString:
    """JSON for reading, inert and without secrets: what a call needs to be repeated may hold one."""
    shown = redacted_facts({"": value})[""]
    text = json.dumps(shown, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html('<pre class="text-xs whitespace-pre-wrap">{}</pre>', text)
