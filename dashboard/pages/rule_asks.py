"""What a rule asks, in words: each condition with its detector and parameters, and where the rule comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from dashboard.pages.changes import said
from dashboard.pages.words import fact_word
from remediation import registry
from remediation.models import Rule
from remediation.rules.installing import OWNER, is_library

SHOWN_ELSEWHERE = ("summary", "description", "runbook_url", "dashboard_url")
"""Annotations that have a place of their own on the page."""

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One question of a rule. name: empty for its own query. given: its parameters as (words, value); usual: those that
    nobody set, with their defaults."""

    name: str
    query: str
    detector: str
    given: Pairs
    usual: Pairs

    @property
    def installed(self) -> bool:
        return self.detector in registry.detectors()


def conditions(rule: Rule) -> list[Condition]:
    """The rule's own query first. Whatever a file or a write past all checks has stored is shown as it is."""
    own = _condition("", {"query": rule.query, "detector": rule.detector, "params": rule.params})
    further = [one for one in rule.conditions if isinstance(one, dict)] if isinstance(rule.conditions, list) else []
    return [own, *(_condition(_name(one, at), one) for at, one in enumerate(further, start=2))]


def _name(stored: Mapping[str, Any], at: int) -> str:
    return str(stored.get("name") or "") or _("Condition %(n)s") % {"n": at}


def _condition(name: str, stored: Mapping[str, Any]) -> Condition:
    detector, params = str(stored.get("detector", "")), stored.get("params") or {}
    params = params if isinstance(params, dict) else {"": params}
    return Condition(
        name=name,
        query=str(stored.get("query", "")),
        detector=detector,
        given=[(_title(detector, key), _value(value)) for key, value in params.items()],
        usual=list(_usual(detector, params)),
    )


def _title(detector: str, name: str) -> str:
    """The name of a parameter as its form has it; of one that the detector does not know, as it is stored."""
    found = registry.detectors().get(detector)
    info = found.Params.model_fields.get(name) if found else None
    return _(info.title) if info is not None and info.title else fact_word(name)


def _usual(detector: str, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    found = registry.detectors().get(detector)
    for name, info in found.Params.model_fields.items() if found else ():
        if name in given or info.is_required():
            continue
        value = info.get_default(call_default_factory=True)
        if value not in (None, "", [], {}):
            yield _title(detector, name), _value(value)


def _value(value: Any) -> str:
    """Numbers without a needless `.0`; a limit keeps all of its figures."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return said(value)


def origin(owner: str) -> str:
    """Where a rule comes from, and so where it is edited."""
    if not owner:
        return _("made by hand")
    if is_library(owner):
        name = owner.removeprefix(OWNER).partition("@")[0]
        return _("the library %(name)s, which keeps it up to date") % {"name": name}
    return _("rule files (%(owner)s), where it is edited") % {"owner": owner}


def further_annotations(rule: Rule) -> Pairs:
    """Those that have no place of their own."""
    return [(name, str(text)) for name, text in sorted(rule.annotations.items()) if name not in SHOWN_ELSEWHERE]
