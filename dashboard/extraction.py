"""Finds the texts that are marked for translation: templates by Django's own lexer, Python by its syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from django.template.base import DebugLexer, Token, TokenType
from django.utils.text import smart_split
from django.utils.translation import trim_whitespace

from dashboard.catalogue import DOMAIN, Message, read, write

WITH_CONTEXT = {"pgettext", "pgettext_lazy", "npgettext", "npgettext_lazy"}
WITH_PLURAL = {"ngettext", "ngettext_lazy", "npgettext", "npgettext_lazy"}
MARKS = {"gettext", "gettext_lazy", "gettext_noop", *WITH_CONTEXT, *WITH_PLURAL}
DECLARED = {"Field": ("title", "description"), "Fault": ("title", "what", "expect")}
DERIVED = "(derived)"
CONSTANT = re.compile(r"""_\(\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\)""")


class Unreadable(ValueError):
    """A mark that cannot be found again when the page is made: its text is put together there."""


# --- templates ---


def in_template(text: str) -> Iterator[Message]:
    """What `{% translate %}`, `{% blocktranslate %}` and `_("…")` mark, as Django looks it up."""
    tokens = iter(DebugLexer(text).tokenize())
    for token in tokens:
        if token.token_type not in (TokenType.BLOCK, TokenType.VAR):
            continue
        bits = list(smart_split(token.contents))
        if bits[:1] == ["comment"]:
            _until(tokens, "endcomment")
        elif bits[0] in ("translate", "trans") and bits[1][:1] in "\"'":
            context = _unquoted(bits[bits.index("context") + 1]) if "context" in bits else ""
            yield Message(id=_unquoted(bits[1]).replace("%", "%%"), context=context)
        elif bits[0] in ("blocktranslate", "blocktrans"):
            yield _block(bits, _until(tokens, f"end{bits[0]}"))
        yield from (Message(id=_unquoted(found).replace("%", "%%")) for found in CONSTANT.findall(token.contents))


def _until(tokens: Iterator[Token], end: str) -> list[Token]:
    found: list[Token] = []
    for token in tokens:
        if token.token_type == TokenType.BLOCK and token.contents.split()[:1] == [end]:
            return found
        found.append(token)
    raise Unreadable(f"nothing ends with {end}")


def _block(bits: list[str], inside: list[Token]) -> Message:
    forms: list[str] = [""]
    for token in inside:
        if token.token_type == TokenType.TEXT:
            forms[-1] += token.contents.replace("%", "%%")
        elif token.token_type == TokenType.VAR:
            forms[-1] += f"%({token.contents.strip()})s"
        elif token.contents.split()[:1] == ["plural"]:
            forms.append("")
        else:
            raise Unreadable(f"a text to translate holds a tag: {token.contents}")
    if "trimmed" in bits:
        forms = [trim_whitespace(form) for form in forms]
    context = _unquoted(bits[bits.index("context") + 1]) if "context" in bits else ""
    return Message(id=forms[0], plural=forms[1] if len(forms) > 1 else "", context=context)


def _unquoted(text: str) -> str:
    return str(ast.literal_eval(text))


# --- Python ---


def in_python(text: str) -> Iterator[Message]:
    """What is marked by a function of django.utils.translation, under whatever name it was imported."""
    tree = ast.parse(text)
    names = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
        if alias.name in MARKS
    }
    for node in ast.walk(tree):
        yield from _declared(node)
        mark = names.get(node.func.id) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
        if mark is not None and isinstance(node, ast.Call):
            yield from _marked(mark, node)


def _declared(node: ast.AST) -> Iterator[Message]:
    """What a plug-in declares: its label, when to use it, what people read of its parameters and of the demo's faults,
    and what its parameters are refused with."""
    texts: list[ast.expr] = []
    if isinstance(node, ast.ClassDef):
        bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
        texts += _refusals(node) if any(base.endswith("Params") for base in bases) else []
        labels = [one.value for one in node.body if isinstance(one, ast.Assign) and _names_label(one)]
        texts += labels
        if labels and "Guard" not in bases and (about := first_paragraph(ast.get_docstring(node) or "")):
            yield Message(id=about)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in DECLARED:
        texts += [one.value for one in node.keywords if one.arg in DECLARED[node.func.id]]
    for text in texts:
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value:
            yield Message(id=text.value)


def _names_label(node: ast.Assign) -> bool:
    return any(isinstance(to, ast.Name) and to.id == "label" for to in node.targets)


def first_paragraph(docstring: str) -> str:
    """In one line, as it is looked up."""
    return " ".join(docstring.split("\n\n", maxsplit=1)[0].split())


def _refusals(node: ast.ClassDef) -> list[ast.expr]:
    raised = [one.exc for one in ast.walk(node) if isinstance(one, ast.Raise)]
    calls = [one for one in raised if isinstance(one, ast.Call) and ast.unparse(one.func) == "ValueError"]
    return [text for one in calls for text in one.args]


def _marked(mark: str, call: ast.Call) -> Iterator[Message]:
    """A variable is looked up by what it holds: its text is marked where it stands (gettext_noop)."""
    wanted = 1 + (mark in WITH_CONTEXT) + (mark in WITH_PLURAL)
    texts = [one.value for one in call.args[:wanted] if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if any(isinstance(one, ast.JoinedStr) for one in call.args[:wanted]):
        raise Unreadable(f"line {call.lineno}: an f-string is made after the text was looked up")
    if len(texts) < wanted:
        return
    context = texts.pop(0) if mark in WITH_CONTEXT else ""
    yield Message(id=texts[0], plural=texts[1] if mark in WITH_PLURAL else "", context=context)


# --- catalogues ---


def marked(base: Path, sources: list[Path]) -> dict[tuple[str, str], Message]:
    """All marked texts below these directories, each once, with the files that hold it.

    Unreadable names the file of a mark that cannot work.
    """
    found: dict[tuple[str, str], Message] = {}
    for path in sorted(path for source in sources for path in source.rglob("*") if path.suffix in (".html", ".py")):
        read_marks = in_template if path.suffix == ".html" else in_python
        place = path.relative_to(base).as_posix()
        try:
            for one in read_marks(path.read_text(encoding="utf-8")):
                before = found.get(one.key, one)
                if before.plural != one.plural:
                    raise Unreadable(f"“{one.id}” is counted in one place and not in another; give one a context")
                places = tuple(dict.fromkeys([*before.places, place]))
                found[one.key] = replace(before, places=places)
        except Unreadable as error:
            raise Unreadable(f"{place}: {error}") from error
    return found


def brought_up_to_date(
    base: Path, locale: Path, language: str, sources: list[Path], derived: Iterable[str] = ()
) -> list[Message]:
    """The catalogue with what is marked now: translations are kept, texts that are gone are left out.

    derived: texts that are made by code instead of being marked.
    """
    path = locale / language / "LC_MESSAGES" / DOMAIN
    before = {one.key: one for one in read(path)} if path.exists() else {}
    named = {("", text): Message(id=text, places=(DERIVED,)) for text in derived}
    return [
        replace(one, strings=kept.strings, fuzzy=kept.fuzzy)
        if (kept := before.get(key)) and bool(kept.plural) == bool(one.plural)
        else one
        for key, one in (named | marked(base, sources)).items()
    ]


def save(locale: Path, language: str, messages: list[Message]) -> None:
    write(locale / language / "LC_MESSAGES" / DOMAIN, language, messages)
