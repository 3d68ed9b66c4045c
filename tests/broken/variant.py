"""One way to break the product, and the clause of an invariant whose test has to notice."""

from __future__ import annotations
import __future__

import importlib
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

import pytest

Breaks = Callable[[pytest.MonkeyPatch], None]


class DoesNotFit(Exception):
    """The product is no longer as this variant expects it: mend the variant, for it proves nothing as it is."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A broken product. name: what it does wrong; breaks: a patch of the product, undone after the test."""

    name: str
    breaks: Breaks
    quick: bool = False
    """Tried in the fast suite as well."""


@dataclass(frozen=True, kw_only=True)
class Clause:
    """One thing that an invariant says. held_by: the files that hold it; node: the test (with all its parameters
    unless it names some) that passes, and fails with each of the variants."""

    number: int
    says: str
    held_by: tuple[str, ...]
    node: str
    variants: tuple[Variant, ...]


def edit(where: str, before: str, after: str, *more: tuple[str, str]) -> Breaks:
    """Replace a text, which has to occur exactly once, in the source of a function; further replacements in `more`.

    where: "module:function" or "module:Class.method". It is changed in place, under whatever name it was imported.
    Breaking raises DoesNotFit when the text is not there.
    """

    def breaks(patch: pytest.MonkeyPatch) -> None:
        function = _function(where)
        patch.setattr(function, "__code__", _edited(function, where, [(before, after), *more]))

    return breaks


def instead(where: str, value: Any) -> Breaks:
    """Put a value in the place of a module's or a class's attribute. where: "module:name" or "module:Class.name"."""

    def breaks(patch: pytest.MonkeyPatch) -> None:
        owner, name = _owner(where)
        if not hasattr(owner, name):
            raise DoesNotFit(f"there is no {where}")
        patch.setattr(owner, name, value)

    return breaks


def together(*parts: Breaks) -> Breaks:
    """Several patches as one variant."""

    def breaks(patch: pytest.MonkeyPatch) -> None:
        for part in parts:
            part(patch)

    return breaks


def _owner(where: str) -> tuple[Any, str]:
    module, _, path = where.partition(":")
    *outer, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in outer:
        owner = getattr(owner, part, None)
    return owner, name


def _function(where: str) -> FunctionType:
    owner, name = _owner(where)
    found = inspect.getattr_static(owner, name, None)
    found = getattr(found, "__func__", None) or getattr(found, "fget", None) or found
    found = inspect.unwrap(found) if callable(found) else found
    if not isinstance(found, FunctionType):
        raise DoesNotFit(f"there is no function {where}")
    return found


def _edited(function: FunctionType, where: str, changes: list[tuple[str, str]]) -> CodeType:
    source = textwrap.dedent(inspect.getsource(function))
    for before, after in changes:
        if source.count(before) != 1:
            raise DoesNotFit(f"{where} has {source.count(before)} times: {before}")
        source = source.replace(before, after)
    # Decorators stay those of the function that is there; only its own code is exchanged.
    source = source[source.index("def ") :]
    flags = __future__.annotations.compiler_flag
    names: dict[str, Any] = dict(function.__globals__)
    code = compile(source, f"<broken {where}>", "exec", flags=flags, dont_inherit=True)
    exec(code, names)  # noqa: S102 - our own source, with one text exchanged
    found: CodeType = names[function.__name__].__code__
    return found
