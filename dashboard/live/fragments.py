"""The pieces pages are made of. A page and a live update show the same piece, rendered by the same function.

A fragment is named by a key, `name` or `name:argument`. It holds nothing that differs between people (buttons are shown
by a class on <body>, the CSRF token is filled in by the page), so that one rendering serves all who read the language.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

from django.template.loader import render_to_string
from django.utils import translation

Context = dict[str, Any]
T = TypeVar("T")

_FRAGMENTS: dict[str, Fragment] = {}
KEY_LENGTH = 300
KEYS_AT_ONCE = 1000
KEPT_AT_MOST = 8192
"""Renderings in memory, about a kilobyte each: a card per service and language, and the pieces of the overview."""

LOST_S = 60.0
"""How long a piece that only notices move may be old, while somebody shows it, when its notice was lost."""

_look: ContextVar[dict[object, Any] | None] = ContextVar("look", default=None)


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """How one kind of piece is made.

    contexts: what the template needs for each of several arguments, None where there is no such thing (any more).
    topics: what it tells of; `{}` stands for the argument. A notice on one of them renders it again.
    every_s: its content moves without any state change (values, checks), so it is looked at this often; 0: only a
        notice moves it, and it is looked at once in LOST_S in case one was lost.
    kept: its context is hashable and says everything, so that an equal context is not rendered twice.
    """

    name: str
    template: str
    contexts: Callable[[Sequence[str]], dict[str, Context | None]]
    topics: tuple[str, ...] = ()
    every_s: float = 0
    kept: bool = False

    @property
    def looked_at_every_s(self) -> float:
        return self.every_s if self.every_s > 0 else LOST_S

    def topics_of(self, argument: str) -> set[str]:
        return {topic.replace("{}", argument) for topic in self.topics}


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """One piece as it is now. `version` is a digest of its content: equal versions look the same."""

    key: str
    html: str
    version: str


def fragment(
    name: str, template: str, *, topics: Iterable[str] = (), every_s: float = 0, kept: bool = False
) -> Callable[[Callable[[str], Context | None]], Callable[[str], Context | None]]:
    """Register the decorated function, argument -> context, as a kind of fragment."""

    def register(context: Callable[[str], Context | None]) -> Callable[[str], Context | None]:
        def each(arguments: Sequence[str]) -> dict[str, Context | None]:
            return {argument: context(argument) for argument in arguments}

        add(Fragment(name=name, template=template, contexts=each, topics=tuple(topics), every_s=every_s, kept=kept))
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


@contextmanager
def one_look() -> Iterator[None]:
    """Within it, what is marked `once` is read one time, however many pieces need it. Looks do not nest: the outermost
    one counts, so that a page and all of its pieces show the same moment."""
    if _look.get() is not None:
        yield
        return
    token = _look.set({})
    try:
        yield
    finally:
        _look.reset(token)


def once(read: Callable[[], T]) -> Callable[[], T]:
    """A reading that pieces share within one look; outside of one it reads each time."""

    @wraps(read)
    def shared() -> T:
        seen = _look.get()
        if seen is None:
            return read()
        # What was read may hold words of the language it was read in.
        key = (read, translation.get_language())
        if key not in seen:
            seen[key] = read()
        return cast(T, seen[key])

    return shared


def render(keys: Iterable[str], language: str | None = None) -> dict[str, Rendered]:
    """Every piece that exists, by key, in this language (the active one unless named). Keys of one kind share their
    queries, and all kinds one look."""
    active = translation.get_language() or ""
    if language is not None and language != active:
        with translation.override(language):
            return render(keys)
    by_kind: dict[str, list[str]] = {}
    for key in dict.fromkeys(keys):
        if kind := kind_of(key):
            by_kind.setdefault(kind.name, []).append(key.partition(":")[2])
    found: dict[str, Rendered] = {}
    with one_look():
        for name, arguments in by_kind.items():
            kind = _FRAGMENTS[name]
            for argument, context in kind.contexts(arguments).items():
                if context is not None:
                    key = f"{name}:{argument}" if argument else name
                    html, version = _rendered(kind, context, active)
                    found[key] = Rendered(key=key, html=html, version=version)
    return found


def _rendered(kind: Fragment, context: Context, language: str) -> tuple[str, str]:
    """Its text in the active language, which is `language`, and the version of it."""
    if kind.kept:
        return _kept(kind.template, language, tuple(context.items()))
    return _made(kind.template, context)


def _made(template: str, context: Context) -> tuple[str, str]:
    html = render_to_string(template, context).strip()
    return html, hashlib.sha256(html.encode()).hexdigest()[:12]


@lru_cache(maxsize=KEPT_AT_MOST)
def _kept(template: str, language: str, context: tuple[tuple[str, Any], ...]) -> tuple[str, str]:
    """The language is a part of what is kept: the same context reads differently in each."""
    return _made(template, dict(context))
