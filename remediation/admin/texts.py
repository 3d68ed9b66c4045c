"""Maps and lists in one text box: `name=value` a line, or commas; JSON for what does not fit."""

from __future__ import annotations

import json
import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy

from remediation.admin.unfolded import TextareaWidget
from remediation.repair.asking import COMPARE


class _Text(forms.CharField):
    """A text box for something that is no text. texts_only: `5` stays the text "5"."""

    rows = 3
    opening: str

    def __init__(self, *, texts_only: bool = False, **options: Any) -> None:
        self.texts_only = texts_only
        options.setdefault("widget", TextareaWidget(attrs={"rows": self.rows, "spellcheck": "false"}))
        super().__init__(**options)

    def read(self, text: str) -> Any:
        raise NotImplementedError

    def write(self, value: Any) -> str:
        raise NotImplementedError

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str | None):
            return value
        text = (value or "").strip()
        return self.from_json(text) if text.startswith(self.opening) else self.read(text)

    def prepare_value(self, value: Any) -> Any:
        """What is shown; JSON where the short form would read back as something else."""
        if value is None or isinstance(value, str):
            return value
        try:
            text = self.write(value)
            if self.to_python(text) == value:
                return text
        except (ValidationError, TypeError, AttributeError):
            pass
        return json.dumps(value, indent=2, ensure_ascii=False)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((self.to_python(initial) or None) != (self.to_python(data) or None))
        except ValidationError:
            return True

    def from_json(self, text: str) -> Any:
        try:
            return json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise ValidationError(gettext_lazy("This is no JSON: %(error)s") % {"error": error}) from error

    def scalar(self, text: str) -> Any:
        """A number, true, false or null where it reads as one and may be one, else the text."""
        if self.texts_only:
            return text
        try:
            value = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return text
        return text if isinstance(value, dict | list) else value

    def plain(self, value: Any) -> str:
        if isinstance(value, str):
            return value if self.texts_only or self.scalar(value) == value else json.dumps(value)
        return json.dumps(value)


class PairsField(_Text):
    """A flat map, one `name=value` a line."""

    opening = "{"

    def read(self, text: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for line in filter(None, (line.strip() for line in text.splitlines())):
            name, equals, value = (part.strip() for part in line.partition("="))
            if not equals or not name:
                raise ValidationError(
                    gettext_lazy("Write one name=value a line; %(line)s is none.") % {"line": repr(line[:60])}
                )
            if name in found:
                raise ValidationError(gettext_lazy("%(name)s is there twice.") % {"name": name})
            found[name] = self.scalar(value)
        return found

    def write(self, value: dict[str, Any]) -> str:
        return "\n".join(f"{name}={self.plain(item)}" for name, item in value.items())


class ItemsField(_Text):
    """A flat list, separated by commas or lines."""

    rows = 2
    opening = "["

    def read(self, text: str) -> list[Any]:
        parts = (part.strip() for line in text.splitlines() for part in line.split(","))
        return [self.scalar(part) for part in parts if part]

    def write(self, value: list[Any]) -> str:
        return ", ".join(self.plain(item) for item in value)


class JsonField(_Text):
    """Anything else."""

    rows = 6
    opening = ""

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str | None):
            return value
        return self.from_json(value) if value and value.strip() else None

    def write(self, value: Any) -> str:
        return json.dumps(value, indent=2, ensure_ascii=False)


class QueriesField(_Text):
    """What else has to hold, `query < 0.05` a line; JSON for a query of several lines."""

    opening = "["
    LINE = re.compile(r"(.+)(<=|>=|==|!=|<|>)\s*(\S+)")

    def read(self, text: str) -> list[dict[str, Any]]:
        return self._checked([self._line(line) for line in filter(None, (line.strip() for line in text.splitlines()))])

    def from_json(self, text: str) -> Any:
        return self._checked(super().from_json(text))

    def write(self, value: list[dict[str, Any]]) -> str:
        return "\n".join(f"{one['query']} {one['op']} {one['value']:.12g}" for one in value)

    def _line(self, line: str) -> dict[str, Any]:
        found = self.LINE.fullmatch(line)
        value = self.scalar(found[3]) if found else None
        if found is None or not found[1].strip() or isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError(
                gettext_lazy("Write one query, a comparison and a number a line; %(line)s is none.")
                % {"line": repr(line[:60])}
            )
        return {"query": found[1].strip(), "op": found[2], "value": value}

    def _checked(self, given: Any) -> list[dict[str, Any]]:
        rows = given if isinstance(given, list) else [given]
        if not all(_is_query(row) for row in rows):
            said = gettext('Each is {"query": "...", "op": "<", "value": 0.05}, with one of %(comparisons)s')
            raise ValidationError(said % {"comparisons": _OPS})
        return rows


_OPS = ", ".join(COMPARE)


def _is_query(row: Any) -> bool:
    if not isinstance(row, dict) or row.keys() != {"query", "op", "value"}:
        return False
    query, value = row["query"], row["value"]
    whole = isinstance(query, str) and bool(query.strip())
    return whole and row["op"] in COMPARE and isinstance(value, int | float) and not isinstance(value, bool)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number here")
