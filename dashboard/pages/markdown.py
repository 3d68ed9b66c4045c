"""Text from outside as Markdown that says the same and does nothing else: no table, link or HTML of its own."""

from __future__ import annotations

import re
import unicodedata

SPECIAL = re.compile(r"([\\`*_\[\]#|~])")
BEGINNING = re.compile(r"\A([-+=]|\d+(?=[.)]))")
"""What makes a list or a heading of a text, at its beginning only: a hyphen within stays readable as it is."""
LONGEST = 20_000
"""Characters of one text. What is longer is cut, and says so."""
ORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")
"""They change the order in which the text around them is read, or break lines where nobody sees it."""


def inline(text: object) -> str:
    """For a line or the cell of a table: no line break, and every sign that means something escaped."""
    line = " ".join(_clean(str(text)).split())
    safe = SPECIAL.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    safe = BEGINNING.sub(lambda found: found[1] + "\\" if found[1][0].isdigit() else "\\" + found[1], safe)
    # GitHub and its kin link and notify what follows these by themselves.
    return safe.replace("@", "&#64;").replace("www.", "www&#46;").replace("://", "\\://")


def quoted(text: str) -> str:
    """For what a person wrote: a quotation, line by line."""
    return "\n".join(f"> {inline(line)}".rstrip() for line in _clean(text).splitlines() or [""])


def fenced(text: str) -> str:
    """For code and output: a block whose fence is longer than any in it."""
    clean = _clean(text)
    runs = [len(run) for run in re.findall("`+", clean)]
    fence = "`" * max(3, *(run + 1 for run in runs), 3)
    return f"{fence}text\n{clean.rstrip()}\n{fence}"


def row(*cells: object) -> str:
    """A line of a table; a cell that is marked by `raw` is ours and goes in as it is."""
    return f"| {' | '.join(cell if isinstance(cell, Raw) else inline(cell) for cell in cells)} |"


class Raw(str):
    """Markdown of our own, such as a link that was made here."""


def _clean(text: str) -> str:
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}\n… cut here"
    unix = cut.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(_seen(letter) for letter in unix)


def _seen(letter: str) -> str:
    if letter in "\n\t":
        return letter
    return "\ufffd" if letter in ORDERING or unicodedata.category(letter) in ("Cc", "Cs") else letter
