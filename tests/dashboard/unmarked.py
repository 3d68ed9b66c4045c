"""Finds visible texts that nobody marked for translation: in templates, in scripts, and in the Python behind pages."""

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
ATTRIBUTES_ONLY = re.compile(r"""(?:\s|\{%[^%]*%\})*[\w-]+=["']""")
"""How a piece begins that stands inside a tag of another template."""
HOLE = "\x00"
LITERAL = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
SAID_BY_FILTER = re.compile(rf"\|(?:default|default_if_none|yesno|pluralize|add):({LITERAL})")
SAID_BY_TAG = re.compile(rf"^(?:state|when)\s+\S+\s+({LITERAL})")
WITH = re.compile(rf"\b\w+=({LITERAL})")
SPOKEN = {"message", "label", "help_text", "empty_label", "verbose_name", "placeholder", "remedy"}
"""Keyword arguments that people read."""
LEVELS = {"success", "info", "warning", "error"}
SPEAKERS = {
    *LEVELS,
    *("PermissionDenied", "ValidationError", "add_error", "format_html"),
    *("Conflict", "NotAllowed", "Unconfirmed"),  # a page answers with what they say
    *("Doubt", "Criterion", "Said", "Short"),  # and shows these
    *("_error", "_warning"),  # system checks
}
"""Functions and classes whose texts people read, as `messages.success(request, …)`. Other errors of the loop are kept
in rows as well, in one language."""
TEXTS = {"Doubt", "Criterion", "Said", "Short"}
"""Those whose `text` it is; the other arguments name fields and codes."""
ARGUMENTS = {"add_error": slice(1, None), "format_html": slice(0, 1)}
"""Which of their arguments are words, where not all are: the first of `add_error` names a field."""
MARKUP = re.compile(r"<[^>]*>|\{[^}]*\}")
TITLED = {"title"}
"""Keys of a context that a page shows."""
SCRIPTED = re.compile(r"""(?:textContent\s*=|\.title\s*=|"aria-label",)\s*(`[^`]*`|"[^"]*"|'[^']*')""")


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
    inside_a_tag = bool(ATTRIBUTES_ONLY.match(text))
    page.feed("<i " if inside_a_tag else "")
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
    page.feed(">" if inside_a_tag else "")
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
        spoken: list[ast.expr] = []
        if isinstance(node, ast.Dict):
            spoken = [to for key, to in zip(node.keys, node.values, strict=True) if _is_text(key, TITLED)]
        elif isinstance(node, ast.Call):
            spoken = list(_spoken(node))
        elif isinstance(node, ast.FunctionDef) and any(_displays(one) for one in node.decorator_list):
            spoken = [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None]
        yield from (ast.unparse(one) for one in spoken if _plain(one))


def _spoken(node: ast.Call) -> Iterator[ast.expr]:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    wanted = SPOKEN | ({"text"} if called in TEXTS else set())
    yield from (one.value for one in node.keywords if one.arg in wanted)
    if called in SPEAKERS and _speaks(node.func):
        yield from node.args[ARGUMENTS.get(called, slice(None))]


def _displays(decorator: ast.expr) -> bool:
    """A column of the admin: what it returns is shown."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Attribute) and called.attr == "display"


def _is_text(node: ast.expr | None, known: set[str]) -> bool:
    return isinstance(node, ast.Constant) and node.value in known


def in_script(text: str) -> Iterator[str]:
    """Words that a script writes into the page itself, instead of taking them from there."""
    for found in SCRIPTED.findall(text):
        if says(re.sub(r"\$\{[^}]*\}", HOLE, found[1:-1])):
            yield found


def _speaks(function: ast.expr) -> bool:
    """`messages.error` speaks to people, `log.error` does not; a form's `add_error` does, whoever the form is."""
    if isinstance(function, ast.Attribute):
        of_messages = isinstance(function.value, ast.Name) and function.value.id == "messages"
        return of_messages or function.attr == "add_error"
    return isinstance(function, ast.Name) and function.id not in LEVELS


def _plain(value: ast.expr) -> bool:
    if isinstance(value, ast.JoinedStr):
        return any(isinstance(part, ast.Constant) and says(str(part.value)) for part in value.values)
    if isinstance(value, ast.IfExp):
        return _plain(value.body) or _plain(value.orelse)
    return isinstance(value, ast.Constant) and isinstance(value.value, str) and says(MARKUP.sub(HOLE, value.value))
