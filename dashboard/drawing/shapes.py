"""What a picture is made of. Coordinates in pixels from the upper left; colours as #rrggbb."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

Point = tuple[float, float]
Theme = Literal["light", "dark"]
Anchor = Literal["start", "middle", "end"]

TOKENS = Path(__file__).resolve().parent.parent / "static" / "dashboard" / "tokens.css"
TOKEN = re.compile(r"--([a-z-]+):\s*(#[0-9a-fA-F]{6})\b")
DARK = "prefers-color-scheme: dark"
PLAIN = "#808080"
NARROW, WIDE = 0.56, 1.0
"""Width of a character in parts of the size of its font: of most, and of those of East Asia."""


@dataclass(frozen=True, kw_only=True)
class Rect:
    x: float
    y: float
    width: float
    height: float
    fill: str
    opacity: float = 1.0
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Path2D:
    """A line from point to point."""

    points: Sequence[Point]
    stroke: str
    width: float = 1.0
    dashed: bool = False
    opacity: float = 1.0
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Area:
    points: Sequence[Point]
    fill: str
    opacity: float = 1.0
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Disc:
    x: float
    y: float
    radius: float
    fill: str
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Text:
    """`y` is that of the line the letters stand on."""

    x: float
    y: float
    text: str
    size: float
    fill: str
    anchor: Anchor = "start"
    bold: bool = False


Shape = Rect | Path2D | Area | Disc | Text


@dataclass(frozen=True, kw_only=True)
class Scene:
    """title, description: what the picture says, for those who do not see it."""

    width: int
    height: int
    background: str
    shapes: Sequence[Shape]
    title: str
    description: str


@lru_cache(maxsize=2)
def colours(theme: Theme) -> Mapping[str, str]:
    """Every colour that the pages have in that theme, by its name in tokens.css."""
    light, _, dark = TOKENS.read_text().partition(DARK)
    found = dict(TOKEN.findall(light))
    return found | dict(TOKEN.findall(dark)) if theme == "dark" else found


def colour(theme: Theme, name: str) -> str:
    return colours(theme).get(name, PLAIN)


def width_of(text: str, size: float) -> float:
    """About how wide a text is, where nobody knows the font it will be shown in."""
    return size * sum(WIDE if unicodedata.east_asian_width(letter) in "WF" else NARROW for letter in text)


def fitted(text: str, size: float, width: float) -> str:
    """The text, cut to what fits."""
    text = " ".join(text.split())
    if width_of(text, size) <= width:
        return text
    while text and width_of(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text.rstrip()}…"
