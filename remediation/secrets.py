"""Secrets by reference. The database holds `env:NAME` or `file:PATH`, never the secret."""

from __future__ import annotations

import os
import re
from pathlib import Path

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation.exceptions import ConfigurationError

PATTERN = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\x00-\x1f\x7f]+)?$"
"""What a reference looks like; empty where there is no secret."""

LIMIT_BYTES = 8192
"""A secret is short: a reference to /dev/zero, or to a log, may not fill the memory."""


_resolved: dict[str, str] = {}
"""What each reference came to last in this process, so that none of it is ever stored or shown: see redact.py."""


def resolved_values() -> frozenset[str]:
    """The secrets that this process has come to know."""
    return frozenset(_resolved.copy().values())


def resolve(ref: str) -> str:
    """The secret that `ref` names. Raises ConfigurationError, which names the reference and never the value."""
    if not ref or not re.fullmatch(PATTERN[1:-1], ref):
        raise ConfigurationError(_("a secret is given as env:NAME or file:/absolute/path"))
    kind, _colon, where = ref.partition(":")
    value = os.environ.get(where, "") if kind == "env" else _read(where, ref)
    if not value.strip():
        raise ConfigurationError(format_lazy(_("the secret {ref} is missing or empty where Homeostat runs"), ref=ref))
    _resolved[ref] = value.strip()
    return value.strip()


def _read(path: str, ref: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        said = format_lazy(_("the secret {ref} cannot be read: {error}"), ref=ref, error=error.strerror)
        raise ConfigurationError(said) from None
    if len(content) > LIMIT_BYTES:
        raise ConfigurationError(format_lazy(_("the secret {ref} is longer than {n} bytes"), ref=ref, n=LIMIT_BYTES))
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(format_lazy(_("the secret {ref} is not UTF-8 text"), ref=ref)) from None
