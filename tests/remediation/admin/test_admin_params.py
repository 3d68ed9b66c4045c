"""Form fields that follow from a schema."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from django import forms
from pydantic import BaseModel, Field, model_validator

from remediation import registry
from remediation.admin.params import ParamsForm
from remediation.admin.texts import ItemsField, JsonField, PairsField
from remediation.registry import Params


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Nested(BaseModel):
    a: int = 1


Name = Annotated[str, Field(pattern="^[a-z]+$")]


class Everything(Params):
    number: int = Field(ge=1, le=9, description="Say <b>how many</b>.")
    share: float = Field(default=0.5, gt=0)
    switch: bool = True
    size: Size = Size.SMALL
    level: Literal[1, 2] = 1
    maybe: int | None = None
    fallback: str | None = "x"
    name: Name = "a"
    body: str = Field(default="", max_length=5000)
    headers: dict[Name, str] = {}
    values: dict[str, bool | int | float | str] = {}
    codes: list[int] = [200]
    nested: Nested = Nested()
    check_url: str = Field(default="", title="Address")

    @model_validator(mode="after")
    def _level(self) -> Everything:
        if self.level == 2 and self.number == 9:
            raise ValueError("level 2 has no number 9")
        return self


def form(stored: dict[str, Any] | None = None, **data: str) -> ParamsForm:
    data = {"number": "3", "share": "0.5", "size": "small", "level": "1", "switch": "on", "name": "a"} | data
    return ParamsForm(
        Everything, stored=stored or {}, data={f"params-{name}": value for name, value in data.items()}, prefix="params"
    )


def test_fields_follow_the_types() -> None:
    fields = ParamsForm(Everything, stored={}, prefix="params").fields
    assert {name: type(field) for name, field in fields.items()} == {
        "number": forms.IntegerField,
        "share": forms.FloatField,
        "switch": forms.BooleanField,
        "size": forms.ChoiceField,
        "level": forms.ChoiceField,
        "maybe": forms.IntegerField,
        "fallback": forms.CharField,
        "name": forms.CharField,
        "body": forms.CharField,
        "headers": PairsField,
        "values": PairsField,
        "codes": ItemsField,
        "nested": JsonField,
        "check_url": forms.CharField,
    }
    assert [name for name, field in fields.items() if field.required] == ["number"]
    assert fields["number"].help_text == "Say &lt;b&gt;how many&lt;/b&gt;."
    assert (fields["check_url"].label, fields["share"].label) == ("Address", "Share")


def test_value_holds_only_what_differs_from_the_defaults() -> None:
    shown = form(size="large", level="2", headers="x=y", codes="200, 204", values="a=5\nb=true\nc=word")
    assert shown.is_valid(), shown.errors
    assert shown.value() == {
        "number": 3,
        "fallback": None,
        "size": "large",
        "level": 2,
        "headers": {"x": "y"},
        "codes": [200, 204],
        "values": {"a": 5, "b": True, "c": "word"},
    }


def test_value_keeps_what_was_stored_explicitly() -> None:
    shown = form({"share": 0.5}, fallback="x")
    assert shown.is_valid()
    assert shown.value() == {"number": 3, "share": 0.5}


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({"number": "10"}, "number", "Ensure this value is less than or equal to 9."),
        ({"share": "0"}, "share", "Input should be greater than 0."),
        ({"share": "nan"}, "share", "Enter a number."),
        ({"name": "B"}, "name", "This is not written as it must be."),
        ({"headers": "1=y"}, "headers", "1: This is not written as it must be."),
        ({"codes": "[1"}, "codes", "This is no JSON"),
        ({"codes": "1, x"}, "codes", "1: Input should be a valid integer"),
        ({"nested": '{"b": 1'}, "nested", "This is no JSON"),
        ({"nested": '{"a": "x"}'}, "nested", "a: Input should be a valid integer"),
        ({"nested": '{"a": NaN}'}, "nested", "This is no JSON: NaN is not a number here"),
        ({"values": "[" * 100_000}, "values", "Write one name=value a line"),
        ({"values": '{"a":' + "[" * 100_000}, "values", "This is no JSON"),
        ({"number": "9", "level": "2"}, "__all__", "Level 2 has no number 9."),
    ],
)
def test_what_is_wrong_is_said_at_the_field(data: dict[str, str], field: str, words: str) -> None:
    shown = form(None, **data)
    assert list(shown.errors) == [field]
    assert str(shown.errors[field][0]).startswith(words)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        (PairsField(texts_only=True), {"a": "1", "b": "x=y"}, "a=1\nb=x=y"),
        (PairsField(), {"a": 1, "b": "1", "c": "x", "d": None}, 'a=1\nb="1"\nc=x\nd=null'),
        (PairsField(texts_only=True), {"a": "two\nlines"}, '{\n  "a": "two\\nlines"\n}'),
        (PairsField(texts_only=True), {"a ": "x"}, '{\n  "a ": "x"\n}'),
        (ItemsField(), [1, "a"], "1, a"),
        (ItemsField(texts_only=True), ["a, b"], '[\n  "a, b"\n]'),
        (JsonField(), {"a": [1]}, '{\n  "a": [\n    1\n  ]\n}'),
    ],
)
def test_text_reads_back_as_what_was_written(field: Any, value: Any, text: str) -> None:
    assert field.prepare_value(value) == text
    assert field.to_python(text) == value


@pytest.mark.parametrize("kind", ["detectors", "backends", "verbs"])
def test_every_installed_plugin_has_a_form(kind: str) -> None:
    for plugin in getattr(registry, kind)().values():
        shown = ParamsForm(plugin.Params, stored={}, prefix="params")
        assert list(shown.fields) == list(plugin.Params.model_fields)
        assert bool(str(shown)) == bool(shown.fields)
