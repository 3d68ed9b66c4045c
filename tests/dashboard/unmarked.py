"""Finds visible texts that nobody marked for translation: in templates, and in the Python that makes pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser

from django.template.base import DebugLexer, Token, TokenType

ATTRIBUTES = {"title", "aria-label", "placeholder", "alt", "aria-description", "data-label"}
SILENT = {"code", "pre", "kbd", "script", "style"}
NAMES = {
    "Homeostat",
    "UTC",
    "PromQL",
    "Prometheus",
    "Alertmanager",
    "JSON",
    "YAML",
    "Ctrl",
    "Esc",
    "Enter",
    "SVG",
    "PNG",
}
"""What is called the same in every language."""
SILENT_TEXTS = {"light dark", "locked", 'severity="critical", service=~"cart|pay"'}
"""No person reads these, or they are an example of a syntax."""
WORD = re.compile(r"[A-Za-z]{2,}")
HOLE = "\x00"
LITERAL = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
SAID_BY_FILTER = re.compile(rf"\|(?:default|default_if_none|yesno|pluralize|add):({LITERAL})")
SAID_BY_TAG = re.compile(rf"^(?:state|when)\s+\S+\s+({LITERAL})")
WITH = re.compile(rf"\b\w+=({LITERAL})")
SPOKEN = {"message", "label", "help_text", "empty_label", "verbose_name", "placeholder"}
"""Keyword arguments that people read."""
SPEAKERS = {"success", "info", "warning", "error", "PermissionDenied", "ValidationError"}
"""Functions whose texts people read, as `messages.success(request, …)`."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in SILENT
        self.found += [f"{name}: {value}" for name, value in attrs if name in ATTRIBUTES and says(value or "")]

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in SILENT

    def handle_data(self, data: str) -> None:
        if not self.silent and says(data):
            self.found.append(data.strip().replace(HOLE, "…"))


def says(text: str) -> bool:
    """Whether there is a word in it that is no name."""
    return text.strip("'") not in SILENT_TEXTS and any(word not in NAMES for word in WORD.findall(text))


def in_template(text: str) -> Iterator[str]:
    """Texts of nodes and attributes, and literal arguments of tags and filters that people get to read."""
    page, block = _Page(), ""
    for token in DebugLexer(text).tokenize():
        name = token.contents.split()[0] if token.token_type == TokenType.BLOCK and token.contents else ""
        if block:
            block = "" if name == f"end{block}" else block
        elif token.token_type == TokenType.TEXT:
            page.feed(token.contents)
        elif name in ("blocktranslate", "comment"):
            block = name
            page.feed(HOLE)
        elif token.token_type in (TokenType.VAR, TokenType.BLOCK):
            page.feed(HOLE if token.token_type == TokenType.VAR else "")
            yield from _arguments(token, name)
    page.close()
    yield from page.found


def _arguments(token: Token, name: str) -> Iterator[str]:
    said = SAID_BY_FILTER.findall(token.contents) + SAID_BY_TAG.findall(token.contents)
    if name == "include":
        said += [text for text in WITH.findall(token.contents) if " " in text or text[1:2].isupper()]
    yield from (text for text in said if says(text) and not _is_address(text))


def _is_address(text: str) -> bool:
    return "/" in text or "?" in text or "#" in text or text[1:-1].startswith("is-")


def in_python(text: str) -> Iterator[str]:
    """Plain texts and f-strings where a translated one is expected."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        spoken = [one.value for one in node.keywords if one.arg in SPOKEN]
        spoken += node.args if called in SPEAKERS and _speaks(node.func) else []
        yield from (ast.unparse(one) for one in spoken if _plain(one))


def _speaks(function: ast.expr) -> bool:
    """`messages.error` speaks to people, `log.error` does not."""
    return not isinstance(function, ast.Attribute) or (
        isinstance(function.value, ast.Name) and function.value.id == "messages"
    )


def _plain(value: ast.expr) -> bool:
    if isinstance(value, ast.JoinedStr):
        return any(isinstance(part, ast.Constant) and says(str(part.value)) for part in value.values)
    if isinstance(value, ast.IfExp):
        return _plain(value.body) or _plain(value.orelse)
    return isinstance(value, ast.Constant) and isinstance(value.value, str) and says(value.value)
