"""What only the world can tell about a configuration: does the query work, is the target there, is the secret set.

Wrong is an error at the field. A target or source that is not reachable now is a warning: a configuration may be
written before its world is up. What speaks against a rule is a doubt, on which a person may insist where that is sane.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy

from remediation import registry
from remediation.checks import plain, refuse_source_address
from remediation.exceptions import ConfigurationError, OwnProcess
from remediation.models import Rule, Source, Target
from remediation.observe.clients import access_of
from remediation.observe.prometheus import Prometheus
from remediation.rules import doubts
from remediation.rules.doubts import Asked, Doubt, Found

PATIENCE_S = 4.0
"""Seconds a person waits for an answer from outside while saving."""


class Wrong(Exception):
    """The world says that this cannot work. field: where to say so; empty for the form as a whole."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, kw_only=True)
class Said:
    """What is worth telling; `well` when nothing is amiss."""

    text: str
    well: bool


def ask_rule(rule: Rule, *, now: float) -> Found:
    """What speaks against a rule: its query, its further conditions and its traffic, asked of its source.

    The rule's parameters are valid. Raises nothing."""
    try:
        client = client_of(rule.source)
    except Exception as error:  # noqa: BLE001 - a source may be written before its secret is there
        return Found(doubts=(doubts.away(error),))
    found = doubts.find(client, Asked.of(rule.query, rule.detector, rule.params, interval_s=rule.interval_s), now=now)
    more = list(found.doubts)
    if not any(doubt.code == "unreachable" for doubt in more):
        for field, place, asked in _further(rule):
            more += [_elsewhere(doubt, field, place) for doubt in doubts.find(client, asked, now=now).doubts]
    return replace(found, doubts=tuple(more))


def _further(rule: Rule) -> Iterator[tuple[str, Promise | None, Asked]]:
    """Field, what the further query is called there, and what is asked."""
    for number, item in enumerate(rule.conditions, start=2):  # the query is the first
        try:
            place = format_lazy(gettext_lazy("Condition {n}"), n=number)
            yield "conditions", place, Asked.of(item["query"], item["detector"], item.get("params") or {})
        except (ConfigurationError, KeyError, TypeError):
            continue  # the model refuses it with its own words
    if rule.traffic_query:
        yield "traffic_query", None, Asked.of(rule.traffic_query, "threshold", {"op": ">", "value": 0})


def _elsewhere(doubt: Doubt, field: str, place: Promise | None) -> Doubt:
    """The same doubt at the field that holds the further query."""
    return replace(doubt, field=field, text=format_lazy("{}: {}", place, doubt.text) if place else doubt.text)


def ask_target(target: Target) -> Said:
    """Let the backend look for the target. Raises Wrong for what is a part of Homeostat."""
    try:
        backend = registry.backend(target.backend)
        backend.check(replace(target.ref(), id=target.pk or 0), timeout_s=PATIENCE_S)
    except OwnProcess as error:
        raise Wrong("", str(error)) from error
    except Exception as error:  # noqa: BLE001 - whatever the world does, the person's work is saved
        said = gettext("%(target)s cannot be acted on as it stands: %(error)s")
        return Said(text=said % {"target": target.name, "error": plain(error)}, well=False)
    said = gettext("%(backend)s knows %(target)s.")
    return Said(text=said % {"backend": gettext(backend.label), "target": target.name}, well=True)


def ask_source(source: Source) -> Said:
    """Ask the source for a sign of life. Raises Wrong for an address that is never asked."""
    for field in ("url", "alertmanager_url"):
        _refuse_own(source, field)
    try:
        took = client_of(source).ping()
    except Exception as error:  # noqa: BLE001 - whatever the world does, the person's work is saved
        said = gettext("%(source)s could not be asked: %(error)s")
        return Said(text=said % {"source": source.name, "error": plain(error)}, well=False)
    said = gettext("%(source)s answers, in %(ms)s ms.")
    return Said(text=said % {"source": source.name, "ms": f"{took * 1000:.0f}"}, well=True)


def _refuse_own(source: Source, field: str) -> None:
    url = getattr(source, field)
    if not url:
        return
    try:
        refuse_source_address(url)
    except ConfigurationError as error:
        raise Wrong(field, str(error)) from error


def client_of(source: Source) -> Prometheus:
    """A client that waits as long as a person does. Raises ConfigurationError, ObserveError."""
    access = access_of(source)
    return Prometheus(replace(access, timeout_s=min(access.timeout_s, PATIENCE_S)))
