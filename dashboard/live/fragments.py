"""The pieces pages are made of. A page and a live update show the same piece, rendered by the same function.

A fragment is named by a key, `name` or `name:argument`. It holds nothing that differs between people (buttons are shown
by a class on <body>, the CSRF token is filled in by the page), so that one rendering serves every browser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.template.loader import render_to_string

Context = dict[str, Any]

_FRAGMENTS: dict[str, Fragment] = {}
KEY_LENGTH = 300
KEYS_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """How one kind of piece is made.

    contexts: what the template needs for each of several arguments, None where there is no such thing (any more).
    topics: what it tells of; `{}` stands for the argument. A notice on one of them renders it again.
    every_s: its content moves without any state change (values, checks), so it is looked at this often; 0 never.
    kept: its context is hashable and says everything, so that an equal context is not rendered twice.
    """

    name: str
    template: str
    contexts: Callable[[Sequence[str]], dict[str, Context | None]]
    topics: tuple[str, ...] = ()
    every_s: float = 0
    kept: bool = False

    def topics_of(self, argument: str) -> set[str]:
        return {topic.replace("{}", argument) for topic in self.topics}


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """One piece as it is now. `version` is a digest of its content: equal versions look the same."""

    key: str
    html: str
    version: str


def fragment(
    name: str, template: str, *, topics: Iterable[str] = (), every_s: float = 0
) -> Callable[[Callable[[str], Context | None]], Callable[[str], Context | None]]:
    """Register the decorated function, argument -> context, as a kind of fragment."""

    def register(context: Callable[[str], Context | None]) -> Callable[[str], Context | None]:
        def each(arguments: Sequence[str]) -> dict[str, Context | None]:
            return {argument: context(argument) for argument in arguments}

        add(Fragment(name=name, template=template, contexts=each, topics=tuple(topics), every_s=every_s))
        return context

    return register


def add(kind: Fragment) -> None:
    _FRAGMENTS[kind.name] = kind


def kind_of(key: str) -> Fragment | None:
    """The kind that a key names; None for a key that means nothing."""
    return _FRAGMENTS.get(key.partition(":")[0]) if len(key) <= KEY_LENGTH else None


def topics_of(key: str) -> set[str]:
    kind = kind_of(key)
    return kind.topics_of(key.partition(":")[2]) if kind else set()


def render(keys: Iterable[str]) -> dict[str, Rendered]:
    """Every piece that exists, by key. Keys of one kind share their queries."""
    by_kind: dict[str, list[str]] = {}
    for key in dict.fromkeys(keys):
        if kind := kind_of(key):
            by_kind.setdefault(kind.name, []).append(key.partition(":")[2])
    found: dict[str, Rendered] = {}
    for name, arguments in by_kind.items():
        kind = _FRAGMENTS[name]
        for argument, context in kind.contexts(arguments).items():
            if context is not None:
                key = f"{name}:{argument}" if argument else name
                found[key] = _rendered(kind, key, context)
    return found


def _rendered(kind: Fragment, key: str, context: Context) -> Rendered:
    kept = kind.kept
    html = _kept(kind.template, tuple(context.items())) if kept else render_to_string(kind.template, context)
    html = html.strip()
    return Rendered(key=key, html=html, version=hashlib.sha256(html.encode()).hexdigest()[:12])


@lru_cache(maxsize=4096)
def _kept(template: str, context: tuple[tuple[str, Any], ...]) -> str:
    return render_to_string(template, dict(context))
