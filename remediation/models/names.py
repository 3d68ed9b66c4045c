"""The names of models, fields and choices in the reader's language.

They follow from the code (`for_s` is "for s"), so that none of them is written twice: the derived English name is what
is looked up. Migrations do not see it, because a field's own description stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import AppConfig
from django.db.models import Field, Model
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from remediation.states import IncidentState, RemediationState


def named(app: AppConfig) -> Iterator[str]:
    """Every derived name in English, as translations know it."""
    for model in app.get_models():
        yield str(model._meta.verbose_name)
        yield str(model._meta.verbose_name_plural)
        for field in _fields(model):
            yield str(field.verbose_name)
            yield from (str(label) for value, label in field.flatchoices if value not in ("", None))


def of_states() -> Iterator[str]:
    """Every state inside a sentence, in English, as translations know it."""
    return (name.replace("_", " ") for name in (*RemediationState, *IncidentState))


def of_state(name: str) -> Promise:
    """A state inside a sentence, looked up when it is shown."""
    return gettext_lazy(name.replace("_", " "))


def translate(app: AppConfig) -> None:
    """Look each name up when it is shown."""
    for model in app.get_models():
        meta: Any = model._meta
        meta.verbose_name = gettext_lazy(str(meta.verbose_name))
        meta.verbose_name_plural = gettext_lazy(str(meta.verbose_name_plural))
        for field in _fields(model):
            field.verbose_name = gettext_lazy(str(field.verbose_name))
            if field.choices and not callable(field.choices):
                field.choices = [(value, gettext_lazy(str(label))) for value, label in field.flatchoices]


def _fields(model: type[Model]) -> list[Field[Any, Any]]:
    return [field for field in model._meta.get_fields() if isinstance(field, Field)]
