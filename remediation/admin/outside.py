"""What only the world can tell about a configuration: does the query work, is the target there, is the secret set.

Wrong is an error at the field. Not reachable now is a warning: a configuration may be written before its world is up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from remediation import matchers, registry
from remediation.checks import plain, refuse_source_address
from remediation.exceptions import ConfigurationError, OwnProcess, QueryRefused
from remediation.models import Rule, Source, Target
from remediation.observe import window
from remediation.observe.base import Question
from remediation.observe.clients import access_of
from remediation.observe.prometheus import Prometheus

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


def ask_query(rule: Rule, *, now: float) -> Said:
    """Ask the rule's source its question as the loop would. Raises Wrong."""
    detector = registry.detector(rule.detector)
    if detector.source == "alerts":
        return _ask_matchers(rule)
    params = detector.parse(rule.params)
    question = Question(query=rule.query, window_s=detector.window_s(params), step_s=detector.step_s(params))
    try:
        matrix = window.fetch(_client(rule.source), question, now=now)
    except QueryRefused as error:
        raise Wrong("query", f"{rule.source} refuses this query: {error}") from error
    except Exception as error:  # noqa: BLE001 - whatever the world does, the person's work is saved
        return Said(text=f"The query was not tried: {plain(error)}", well=False)
    if not matrix.labels:
        return Said(text=f"The query matches no series with a fresh sample on {rule.source} now.", well=False)
    count = len(matrix.labels)
    return Said(text=f"The query gives {count} series on {rule.source} now.", well=True)


def _ask_matchers(rule: Rule) -> Said:
    try:
        matchers.parse(rule.query)
    except ConfigurationError as error:
        raise Wrong("query", str(error)) from error
    return Said(text="", well=True)


def ask_target(target: Target) -> Said:
    """Let the backend look for the target. Raises Wrong for what is a part of Homeostat."""
    try:
        backend = registry.backend(target.backend)
        backend.check(replace(target.ref(), id=target.pk or 0), timeout_s=PATIENCE_S)
    except OwnProcess as error:
        raise Wrong("", str(error)) from error
    except Exception as error:  # noqa: BLE001 - whatever the world does, the person's work is saved
        return Said(text=f"{target.name} cannot be acted on as it stands: {plain(error)}", well=False)
    return Said(text=f"{backend.label} knows {target.name}.", well=True)


def ask_source(source: Source) -> Said:
    """Ask the source for a sign of life. Raises Wrong for an address that is never asked."""
    for field in ("url", "alertmanager_url"):
        _refuse_own(source, field)
    try:
        took = _client(source).ping()
    except Exception as error:  # noqa: BLE001 - whatever the world does, the person's work is saved
        return Said(text=f"{source.name} could not be asked: {plain(error)}", well=False)
    return Said(text=f"{source.name} answers, in {took * 1000:.0f} ms.", well=True)


def _refuse_own(source: Source, field: str) -> None:
    url = getattr(source, field)
    if not url:
        return
    try:
        refuse_source_address(url)
    except ConfigurationError as error:
        raise Wrong(field, str(error)) from error


def _client(source: Source) -> Prometheus:
    access = access_of(source)
    return Prometheus(replace(access, timeout_s=min(access.timeout_s, PATIENCE_S)))
