"""Choosing a plug-in in the admin, and the fields that come with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.forms.widgets import Script
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, gettext_lazy

from remediation import registry
from remediation.admin.params import ParamsForm
from remediation.admin.unfolded import SelectWidget
from remediation.registry import Plugin

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Form = forms.ModelForm[Any]
    Admin = ModelAdmin[Any]
else:
    Form = forms.ModelForm
    Admin = object

PREFIX = re.compile(r"[a-zA-Z0-9_-]{0,60}params")


def installed(kind: str) -> Mapping[str, Plugin]:
    """All plug-ins of a kind, read when asked: adding one makes no migration."""
    registries: dict[str, Callable[[], Mapping[str, Plugin]]] = {
        "detector": registry.detectors,
        "backend": registry.backends,
        "verb": registry.verbs,
    }
    return registries[kind]()


class Params:
    """What is shown below the choice of a plug-in."""

    def __init__(
        self, kind: str, name: str, *, stored: Mapping[str, Any], prefix: str, data: Mapping[str, Any] | None = None
    ) -> None:
        self.kind, self.name, self.prefix, self.stored = kind, name, prefix, stored
        self.plugin = installed(kind).get(name)
        shown = data.get(f"{prefix}-of", name) if data is not None else name
        # Fields of the plug-in that was chosen before say nothing about the new one: it starts with its defaults.
        self.swapped = shown != name
        bound = None if self.swapped else data
        schema = self.plugin.Params if self.plugin else registry.Params
        self.form = ParamsForm(schema, stored={} if self.swapped else stored, data=bound, prefix=prefix)

    def render(self) -> str:
        return render_to_string(
            "admin/remediation/_params.html",
            {"params": self, "help": self.plugin.use() if self.plugin else ""},
        )

    @property
    def called(self) -> str:
        """What the kind is called: detector, backend, verb."""
        return gettext(self.kind)

    @property
    def stored_text(self) -> str:
        return json.dumps(self.stored, indent=2, ensure_ascii=False)

    @property
    def wrong(self) -> tuple[str | None, str] | None:
        """Why there is nothing to store: the field to say it at (None: the form), and the words."""
        if self.plugin is None:
            return None  # the choice of the plug-in says so itself
        if self.swapped and self.form.fields:
            return self.kind, gettext("Now these are the parameters of %(name)s: check them and save again.") % {
                "name": gettext(self.plugin.label)
            }
        if not self.swapped and not self.form.is_valid():
            return None, gettext("Some parameters of the %(kind)s are not right: see what is marked below.") % {
                "kind": self.called
            }
        return None

    @property
    def value(self) -> dict[str, Any]:
        if self.plugin is None:
            return dict(self.stored)
        return {} if self.swapped or self.wrong else self.form.value()


class ParamsWidget(forms.Widget):
    """Renders the fields; their values are read by the form in `params`, not from a field of this name."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.params = params

    def render(self, *args: Any, **kwargs: Any) -> Any:
        return self.params.render()

    def value_from_datadict(self, *args: Any) -> None:
        return None

    def value_omitted_from_data(self, *args: Any) -> bool:
        return False

    def id_for_label(self, id_: str | None) -> str:
        return ""


class ParamsField(forms.Field):
    def __init__(self, params: Params) -> None:
        super().__init__(required=False, label=gettext_lazy("Parameters"), widget=ParamsWidget(params))
        self.params = params

    def clean(self, value: Any) -> dict[str, Any]:
        """Never refuses: the marks are at the parameters themselves, not around all of them."""
        return self.params.value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.params.swapped or (self.params.form.is_bound and self.params.form.has_changed())


class PluginForm(Form):
    """A model form with the field `kind` (the plug-in's name) and its parameters in the JSON field `params`."""

    kind: ClassVar[str]
    params_url: ClassVar[str]

    class Media:
        js = [Script("remediation/params.js", type="module")]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.kind not in self.fields:
            return  # shown to somebody who may only look
        name = self._chosen()
        before = self.fields[self.kind]
        self.fields[self.kind] = forms.ChoiceField(
            choices=_choices(self.kind, name),
            label=before.label,
            help_text=before.help_text,
            widget=SelectWidget(attrs={"data-params-url": reverse(self.params_url)}),
        )
        self.fields["params"] = ParamsField(
            Params(
                self.kind,
                name,
                stored=self.instance.params if name == getattr(self.instance, self.kind) else self._proposed(name),
                prefix=self.add_prefix("params"),
                data=self.data if self.is_bound else None,
            )
        )

    def _chosen(self) -> str:
        if self.is_bound:
            return str(self.data.get(self.add_prefix(self.kind), ""))
        return str(self.initial.get(self.kind) or getattr(self.instance, self.kind) or "")

    def _proposed(self, name: str) -> dict[str, Any]:
        """What the address of the form for a new row fills in, as it does with the other fields: `params-url=…`."""
        plugin = installed(self.kind).get(name)
        known = {f"params-{one}": one for one in plugin.Params.model_fields} if plugin else {}
        return {known[key]: value for key, value in self.initial.items() if key in known}

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self._wrong:
            self.add_error(*self._wrong)
        return cleaned

    @property
    def _wrong(self) -> tuple[str | None, str] | None:
        field = self.fields.get("params")
        return field.params.wrong if isinstance(field, ParamsField) else None

    def add_error(self, field: str | None, error: Any) -> None:
        """The model checks the parameters once more; a field that has said what is wrong need not hear it twice."""
        if field is None and hasattr(error, "error_dict"):
            known = {"params"} if self._wrong else set()
            found = {
                name: said for name, said in error.error_dict.items() if name not in known and not self.has_error(name)
            }
            if not found:
                return
            error = ValidationError(found)
        super().add_error(field, error)

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound and not self.errors and (self.has_changed() or not self.empty_permitted):
            self.ask_outside()

    def ask_outside(self) -> None:
        """Hook: what only the world can tell, asked once everything else is right."""


class PluginAdmin(Admin):
    """Serves the fields of another plug-in to the page that asks for them."""

    params_kind: ClassVar[str]

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_params"
        return [path("params/", self.admin_site.admin_view(self.params_view), name=name), *super().get_urls()]

    def params_view(self, request: HttpRequest) -> HttpResponse:
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        name, prefix = request.GET.get("plugin", ""), request.GET.get("prefix", "")
        if not PREFIX.fullmatch(prefix) or (name and name not in installed(self.params_kind)):
            raise Http404
        return HttpResponse(Params(self.params_kind, name, stored={}, prefix=prefix).render())


def _choices(kind: str, stored: str) -> list[tuple[str, str]]:
    found = installed(kind)
    choices = [("", gettext("Choose…"))] + [(name, gettext(plugin.label)) for name, plugin in found.items()]
    if not stored or stored in found:
        return choices
    return [*choices, (stored, gettext("%(name)s (not installed)") % {"name": stored})]
