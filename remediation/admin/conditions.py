"""Further conditions of a rule in its form: blocks of a query, a detector and the detector's own fields."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.widgets import Script
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from remediation.admin.plugins import Params, PluginForm, installed
from remediation.admin.unfolded import BooleanWidget, NumberWidget, SelectWidget, TextareaWidget, TextWidget

MOST = 20
"""Conditions that a form may hold."""
NEW = "__new__"
"""Stands for the number of a block that is added in the browser."""


class ConditionForm(forms.Form):
    """A condition without its parameters."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        required=False,
        max_length=60,
        widget=TextWidget(),
        help_text=gettext_lazy("What the reason of an incident calls it: errors."),
    )
    query = forms.CharField(
        label=gettext_lazy("Query"),
        required=False,
        widget=TextareaWidget(attrs={"rows": 3, "spellcheck": "false", "class": "font-mono"}),
        help_text=gettext_lazy("Its series belong to those of the rule's query that agree in all labels both have."),
    )
    detector = forms.ChoiceField(required=False)
    remove = forms.BooleanField(
        label=gettext_lazy("Remove"),
        required=False,
        widget=BooleanWidget(),
        help_text=gettext_lazy("Take this condition away when you save."),
    )

    def __init__(self, *args: Any, chosen: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = installed("detector")
        choices = [("", gettext("Choose…")), *((name, gettext(plugin.label)) for name, plugin in found.items())]
        if chosen and chosen not in found:
            choices.append((chosen, gettext("%(name)s (not installed)") % {"name": chosen}))
        widget = SelectWidget(attrs={"data-params-url": reverse("admin:remediation_rule_params")})
        label = gettext("Detector")
        self.fields["detector"] = forms.ChoiceField(label=label, required=False, choices=choices, widget=widget)


class Block:
    """One condition in the form. number: 2 for the first, since the rule's own query counts; 0 for a new one."""

    def __init__(self, number: int, prefix: str, stored: Mapping[str, Any], data: Mapping[str, Any] | None) -> None:
        self.number, self.prefix = number, prefix
        before = str(stored.get("detector", ""))
        chosen = before if data is None else str(data.get(f"{prefix}-detector", ""))
        self.form = ConditionForm(data, prefix=prefix, initial=dict(stored), chosen=chosen)
        params = stored.get("params") or {}
        self.params = Params(
            "detector", chosen, stored=params if chosen == before else {}, prefix=f"{prefix}-params", data=data
        )

    @property
    def is_gone(self) -> bool:
        """Nothing was written into it, or it is to be taken away."""
        given = self.form.cleaned_data if self.form.is_valid() else {"query": "?"}
        return bool(given.get("remove")) or not any(given.get(name) for name in ("name", "query", "detector"))

    @cached_property
    def wrong(self) -> str:
        """Why it cannot be stored; what is wrong with single fields is said at them."""
        if not self.form.is_valid():
            return gettext("see what is marked.")
        for name in ("query", "detector"):
            if not self.form.cleaned_data[name].strip():
                self.form.add_error(name, gettext("A condition needs a %(field)s.") % {"field": gettext(name)})
                return gettext("it needs a %(field)s.") % {"field": gettext(name)}
        return self.params.wrong[1] if self.params.wrong else ""

    @property
    def value(self) -> dict[str, Any]:
        given = self.form.cleaned_data
        name = given["name"].strip()
        own = {"query": given["query"].strip(), "detector": given["detector"], "params": self.params.value}
        return ({"name": name} if name else {}) | own

    def params_html(self) -> str:
        return self.params.render()


class Blocks:
    """All further conditions of a form, stored or sent."""

    def __init__(self, name: str, stored: list[dict[str, Any]], data: Mapping[str, Any] | None = None) -> None:
        self.name = name
        count = len(stored) if data is None else _count(data, f"{name}-count") + _count(data, f"{name}-more")
        self.rows = [
            Block(at + 2, f"{name}-{at}", stored[at] if at < len(stored) else {}, data)
            for at in range(min(count, max(MOST, len(stored))))
        ]

    @property
    def kept(self) -> list[Block]:
        return [row for row in self.rows if not row.is_gone]

    @property
    def wrong(self) -> list[str]:
        place = gettext("Condition %(n)d")
        return [f"{place % {'n': row.number}}: {row.wrong}" for row in self.kept if row.wrong]

    @property
    def value(self) -> list[dict[str, Any]]:
        return [row.value for row in self.kept]

    def render(self) -> SafeString:
        shown = {
            "blocks": self,
            "new": Block(0, f"{self.name}-{NEW}", {}, None),
            "next": Block(len(self.rows) + 2, f"{self.name}-{len(self.rows)}", {}, None),
        }
        return render_to_string("admin/remediation/_conditions.html", shown)


class ConditionsWidget(forms.Widget):
    stored: list[dict[str, Any]]

    class Media:
        js = [Script("remediation/conditions.js", type="module")]

    def render(self, name: str, value: Any, *args: Any, **kwargs: Any) -> SafeString:
        blocks = value if isinstance(value, Blocks) else Blocks(name, value if isinstance(value, list) else [])
        return blocks.render()

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Blocks:
        return Blocks(name, self.stored, data)

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return f"{name}-count" not in data

    def id_for_label(self, id_: str | None) -> str:
        return ""


class ConditionsField(forms.Field):
    widget = ConditionsWidget

    def __init__(self) -> None:
        super().__init__(required=False, label=gettext_lazy("Further conditions"))

    def clean(self, value: Any) -> list[dict[str, Any]]:
        if value.wrong:
            raise ValidationError(value.wrong)
        found: list[dict[str, Any]] = value.value
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data.wrong) or data.value != (initial or [])


class _Number(forms.FloatField):
    """Nothing is 0."""

    def clean(self, value: Any) -> float:
        return super().clean(value) or 0.0


class ConditionsForm(PluginForm):
    """The part of a rule's form that says what is asked beside its query."""

    conditions = ConditionsField()
    need = forms.CharField(
        required=False,
        empty_value="all",
        max_length=10,
        initial="all",
        widget=TextWidget(),
        label=gettext_lazy("Conditions needed"),
        help_text=gettext_lazy("How many must be bad, the rule's own query counted: all, any, or a number."),
    )
    traffic_query = forms.CharField(
        required=False,
        label=gettext_lazy("Traffic"),
        widget=TextareaWidget(attrs={"rows": 2, "spellcheck": "false", "class": "font-mono"}),
        help_text=gettext_lazy(
            "PromQL of the traffic behind the value; added up over the series that agree in their labels."
        ),
    )
    minimum_traffic = _Number(
        required=False,
        min_value=0,
        widget=NumberWidget(),
        label=gettext_lazy("Minimum traffic"),
        help_text=gettext_lazy(
            "With less of it bad is taken for unknown, so that one odd request among three is no fault."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "conditions" in self.fields:
            self.fields["conditions"].widget.stored = self.instance.conditions


FIELDS = ("conditions", "need", "traffic_query", "minimum_traffic")


def _count(data: Mapping[str, Any], name: str) -> int:
    text = str(data.get(name, "0"))
    return int(text) if text.isdecimal() and len(text) < 4 else 0
