"""Column charts as plain SVG: where each rectangle and each line stands. Across in per cent, so that the picture is as
wide as its place and its letters keep their size; down in pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

HEIGHT = 132
"""Of the part with columns, in pixels."""
TOP = 14
FILLED = 0.62
LABELS = 4
FEWEST_SLOTS = 6
"""A single week is a column among places for others, not a wall."""

SPANS_S = (*(1, 2, 5, 10, 20, 30), *(60, 120, 300, 600, 1200, 1800), *(3600, 7200, 14400, 28800, 43200), 86400)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A piece of a column. tone: a class that gives its colour; y and height in pixels."""

    y: float
    height: float
    tone: str


@dataclass(frozen=True, kw_only=True)
class Column:
    """x and width in per cent. title: what it says in words. No parts: nothing is known."""

    x: float
    width: float
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A line across, or a name below: its place (pixels down, or per cent across) and its words."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    columns: Sequence[Column]
    lines: Sequence[Mark]
    names: Sequence[Mark]
    base: int = TOP + HEIGHT
    height: int = TOP + HEIGHT + 20


Values = Sequence[tuple[str, float]]
"""What a column shows, as (tone, value)."""


def chart(
    slots: Sequence[tuple[str, str, Values]], *, most: float, say: Callable[[float], str], stacked: bool
) -> Chart:
    """slots: for each column its name, its title and its values. most: the value at the top line, which `say` words.
    stacked: values stand on one another, else before one another, each from the ground."""
    width = 100 / max(len(slots), FEWEST_SLOTS)
    columns = [
        Column(
            x=round(place * width + width * (1 - FILLED) / 2, 2),
            width=round(width * FILLED, 2),
            title=title,
            parts=_parts(values, most=most, stacked=stacked),
        )
        for place, (_, title, values) in enumerate(slots)
    ]
    every = -(-len(slots) // LABELS) or 1
    names = [
        Mark(at=round((place + 0.5) * width, 2), text=name)
        for place, (name, _, _) in enumerate(slots)
        if (len(slots) - 1 - place) % every == 0
    ]
    lines = [Mark(at=round(TOP + HEIGHT * (1 - part), 1), text=say(most * part)) for part in (0.5, 1.0)]
    return Chart(columns=columns, lines=lines, names=names)


def _parts(values: Values, *, most: float, stacked: bool) -> list[Part]:
    parts, ground = [], 0.0
    for tone, value in values:
        height = HEIGHT * min(1.0, value / most) if most else 0.0
        if value > 0:
            height = max(height, 1.5)  # little is not nothing
        parts.append(Part(y=round(TOP + HEIGHT - ground - height, 1), height=round(height, 1), tone=tone))
        ground += height if stacked else 0
    return parts


def round_span(seconds: float) -> float:
    """The next span that reads well, at least as long: both it and its half are whole units."""
    found = next((2 * one for one in SPANS_S if 2 * one >= seconds), None)
    return float(found if found is not None else 2 * 86400 * -(-seconds // (2 * 86400)))


def round_count(count: float) -> float:
    """The next number that reads well, as its half does: 2, 4, 10, 20, 40, 100."""
    size = 1.0
    while True:
        for factor in (2, 4, 10):
            if size * factor >= count:
                return size * factor
        size *= 10


def trend(counts: Sequence[int]) -> list[tuple[int, float, float]]:
    """Bars of a picture 8 wide a day and 20 high: x, y, height."""
    most = max([*counts, 1])
    return [(place * 8, round(20 - 18 * one / most, 1), round(18 * one / most, 1)) for place, one in enumerate(counts)]
