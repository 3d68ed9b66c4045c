"""Field kinds and checks that several models share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy

from remediation import matchers, registry
from remediation.exceptions import ConfigurationError, MatcherError

LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
SECRET_REF = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\x00\n]+)")


def validate_matchers(text: str) -> None:
    try:
        matchers.parse(text)
    except MatcherError as error:
        raise ValidationError(str(error)) from error


def validate_labels(labels: Any) -> None:
    """A flat object of label names to texts."""
    if not isinstance(labels, dict):
        raise ValidationError(gettext_lazy('Write an object such as {"team": "shop"}.'))
    for name, value in labels.items():
        if not LABEL_NAME.fullmatch(str(name)):
            said = gettext_lazy("%(name)s is no label name: letters, digits and underscores, no digit first.")
            raise ValidationError(said, params={"name": repr(name)})
        if not isinstance(value, str) or "\x00" in value:
            said = gettext_lazy("The value of label %(name)s must be a text.")
            raise ValidationError(said, params={"name": repr(name)})


def validate_secret_ref(text: str) -> None:
    if text and not SECRET_REF.fullmatch(text):
        raise ValidationError(gettext_lazy("Write where the secret is, not the secret: env:NAME or file:/path."))


def clean_params(kind: str, name: str, params: dict[str, Any]) -> None:
    """Check a plug-in's parameters against its own schema. Raises ValidationError on `params` (or on the name)."""
    lookup = {"detector": registry.detector, "backend": registry.backend, "verb": registry.verb}[kind]
    try:
        plugin = lookup(name)
    except ConfigurationError as error:
        raise ValidationError({kind: str(error)}) from error
    try:
        plugin.parse(params)
    except ConfigurationError as error:
        raise ValidationError({"params": str(error)}) from error


if TYPE_CHECKING:
    FloatField = models.FloatField[float, float]
else:
    FloatField = models.FloatField


class Seconds(FloatField):
    """A time span in seconds."""
