"""Form fields from a plug-in's own schema: a new plug-in brings its form along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic
from django import forms
from django.utils.html import escape
from django.utils.translation import gettext, gettext_lazy
from pydantic_core import PydanticUndefined

from remediation.admin.texts import ItemsField, JsonField, PairsField
from remediation.admin.unfolded import (
    BooleanWidget,
    IntegerWidget,
    NumberWidget,
    SelectWidget,
    TextareaWidget,
    TextWidget,
)
from remediation.schema_errors import in_words

LONG_TEXT = 300
SCALARS = {"string", "integer", "number", "boolean", "null"}
WORDS = {"url": "URL", "ref": "reference", "http": "HTTP", "tls": "TLS", "id": "ID"}
EMPTY: tuple[Any, ...] = (None, "", {}, [])


class ParamsForm(forms.Form):
    """The parameters of one plug-in. What the schema says about a field is said at that field."""

    def __init__(
        self,
        params: type[pydantic.BaseModel],
        *,
        stored: Mapping[str, Any],
        data: Mapping[str, Any] | None = None,
        prefix: str,
    ) -> None:
        self.params = params
        self.stored = stored
        self.properties = _properties(params)
        super().__init__(data, prefix=prefix, initial={name: self._initial(name) for name in params.model_fields})
        for name in params.model_fields:
            self.fields[name] = field_for(name, params.model_fields[name], self.properties[name])

    def unused(self) -> dict[str, Any]:
        """Stored parameters that the plug-in does not have (any more); saving drops them."""
        return {name: value for name, value in self.stored.items() if name not in self.params.model_fields}

    def clean(self) -> dict[str, Any]:
        values = {name: value for name in self.fields for value in self._given(name)}
        try:
            self.typed = self.params.model_validate(values)
        except pydantic.ValidationError as error:
            self._report(error)
        return values

    def value(self) -> dict[str, Any]:
        """What is stored: what differs from the defaults, and what was stored explicitly before. Only when valid."""
        found = self.typed.model_dump(mode="json")
        defaults = {name: _default(info) for name, info in self.params.model_fields.items()}
        return {name: value for name, value in found.items() if name in self.stored or value != defaults[name]}

    def _given(self, name: str) -> list[Any]:
        """The value of a field in a list, which is empty where the default is to hold."""
        value = self.cleaned_data.get(name)
        if value not in EMPTY:
            return [_choice(self.properties[name], value)]
        emptied = value in EMPTY and name in self.cleaned_data and _nullable(self.properties[name])
        return [None] if emptied and _default(self.params.model_fields[name]) is not None else []

    def _initial(self, name: str) -> Any:
        return self.stored.get(name, _default(self.params.model_fields[name]))

    def _report(self, error: pydantic.ValidationError) -> None:
        for item in error.errors(include_url=False):
            place = [str(part) for part in item["loc"]]
            name = place[0] if place and place[0] in self.fields else None
            if name is None or not self.has_error(name):
                self.add_error(name, _words(item, inside=place[1:2]))


def field_for(name: str, info: pydantic.fields.FieldInfo, schema: Mapping[str, Any]) -> forms.Field:
    """The form field of one parameter. The schema has the last word; this one makes typing easy."""
    kind = _solid(schema)
    options: dict[str, Any] = {
        "label": gettext_lazy(info.title or label_of(name)),
        "help_text": escape(gettext_lazy(info.description)) if info.description else "",
        "required": info.is_required(),
    }
    if "enum" in kind or "const" in kind:
        values = kind.get("enum", [kind.get("const")])
        blank = (
            [("", gettext_lazy("Choose…") if info.is_required() else gettext_lazy("None"))]
            if info.is_required() or _nullable(schema)
            else []
        )
        choices = blank + [(str(value), str(value)) for value in values]
        return forms.ChoiceField(choices=choices, widget=SelectWidget(), **options)
    field, special = _field_kind(kind)
    return field(**options | special)


def _field_kind(kind: Mapping[str, Any]) -> tuple[type[forms.Field], dict[str, Any]]:
    """The class of a form field, and the options that come from the type."""
    found: tuple[type[forms.Field], dict[str, Any]] = (JsonField, {})
    match kind.get("type"):
        case "boolean":  # unchecked is an answer too
            found = (forms.BooleanField, {"required": False, "widget": BooleanWidget()})
        case "integer":
            found = (forms.IntegerField, {**_limits(kind), "widget": IntegerWidget()})
        case "number":
            found = (forms.FloatField, {**_limits(kind), "widget": NumberWidget()})
        case "string" if kind.get("maxLength", 0) > LONG_TEXT:
            box = TextareaWidget(attrs={"rows": 4, "spellcheck": "false"})
            found = (forms.CharField, {"max_length": kind["maxLength"], "strip": False, "widget": box})
        case "string":
            found = (forms.CharField, {"max_length": kind.get("maxLength"), "widget": TextWidget()})
        case "object" if "properties" not in kind and _types(_values(kind)) <= SCALARS:
            found = (PairsField, {"texts_only": _types(_values(kind)) == {"string"}})
        case "array" if _types(kind.get("items")) <= SCALARS:
            found = (ItemsField, {"texts_only": _types(kind["items"]) == {"string"}})
    return found


def _properties(params: type[pydantic.BaseModel]) -> dict[str, dict[str, Any]]:
    """The JSON schema of each field, with references followed."""
    schema = params.model_json_schema()
    definitions = schema.get("$defs", {})

    def follow(part: Any) -> Any:
        if isinstance(part, list):
            return [follow(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return definitions.get(part["$ref"].rpartition("/")[2], {})
        return {key: follow(item) for key, item in part.items()}

    return {name: follow(part) for name, part in schema.get("properties", {}).items()}


def _solid(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What remains of `X | None`; a schema with several other possibilities says nothing about its type."""
    rest = [item for item in schema.get("anyOf", []) if item.get("type") != "null"]
    return rest[0] if len(rest) == 1 else schema


def _nullable(schema: Mapping[str, Any]) -> bool:
    return any(item.get("type") == "null" for item in schema.get("anyOf", []))


def _values(kind: Mapping[str, Any]) -> Any:
    """The schema of a map's values; names with a pattern of their own have it elsewhere."""
    patterns = list(kind.get("patternProperties", {}).values())
    return patterns[0] if len(patterns) == 1 else kind.get("additionalProperties")


def _types(schema: Any) -> set[str]:
    """The types that a schema allows; {"any"} when it does not say."""
    if not isinstance(schema, dict):
        return {"any"}
    if "anyOf" in schema:
        return {name for item in schema["anyOf"] for name in _types(item)}
    return {schema.get("type", "any")}


def _limits(kind: Mapping[str, Any]) -> dict[str, Any]:
    """Only closed limits: a box cannot say "more than", so that is left to the schema."""
    return {"min_value": kind.get("minimum"), "max_value": kind.get("maximum")}


def _choice(schema: Mapping[str, Any], value: Any) -> Any:
    """The value that a choice's text stands for."""
    kind = _solid(schema)
    return next((item for item in kind.get("enum", [kind.get("const")]) if str(item) == value), value)


def _default(info: pydantic.fields.FieldInfo) -> Any:
    value = info.get_default(call_default_factory=True, validated_data={})
    return None if value is PydanticUndefined else pydantic.TypeAdapter(Any).dump_python(value, mode="json")


def label_of(name: str) -> str:
    """How a parameter without a title is called, in English, as translations know it."""
    words = [WORDS.get(word, word) for word in name.removesuffix("_s").split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:] + (" (s)" if name.endswith("_s") else "")


def _words(item: Any, *, inside: list[str]) -> str:
    """One finding of the schema for people."""
    match item["type"]:
        case "missing":
            text = gettext("This field is required.")
        case "string_pattern_mismatch":
            text = gettext("This is not written as it must be.")
        case "value_error":
            text = in_words(item)
            text = text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
        case _:
            text = f"{in_words(item)}."
    return f"{inside[0]}: {text}" if inside else text
