"""A chart as shapes: the series, what was expected, how it stood, and a mark for everything that happened."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from dashboard.drawing.shapes import Area, Disc, Path2D, Point, Rect, Scene, Shape, Text, Theme, colour, fitted
from dashboard.pages.charts import Chart
from dashboard.pages.words import number, state_word, tone

WIDTHS = (320, 1600)
"""Pixels; a picture costs memory by its square."""
USUAL_WIDTH = 800
MARGIN, TOP, FOOT, STRIP = 14.0, 66.0, 54.0, 6.0
TIME_STEPS_S = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400, 172800, 604800)
LARGEST = 1e300
"""Beyond this the arithmetic of axes overflows; what is larger is drawn at the edge."""
LONELY = 40
"""With fewer points than this each gets a dot: one between two gaps would be no line."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where the plot lies, and what its edges mean."""

    left: float
    top: float
    width: float
    height: float
    start: float
    end: float
    low: float
    high: float
    theme: Theme

    def x(self, at: float) -> float:
        share = (at - self.start) / max(self.end - self.start, 1e-9)
        return self.left + min(max(share, 0.0), 1.0) * self.width

    def y(self, value: float) -> float:
        share = (value - self.low) / max(self.high - self.low, 1e-300)
        return self.top + (1 - min(max(share, 0.0), 1.0)) * self.height

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def ink(self, name: str) -> str:
        return colour(self.theme, name)


def scene(chart: Chart, *, title: str, state: str, about: str, width: int, theme: Theme) -> Scene:
    """width: pixels, brought into bounds. state: of the incident. about: a line below the title, from outside too."""
    width = min(max(width, WIDTHS[0]), WIDTHS[1])
    height = 180 if chart.of_states else round(min(max(width * 0.45, 230), 560))
    frame = _frame(chart, width, height, theme)
    shapes: list[Shape] = [*_heading(frame, width, title, state, about)]
    shapes += _time_axis(frame)
    if chart.of_states:
        shapes += _lane(frame, chart, top=frame.top, height=frame.height)
    elif _known(chart.line.values):
        shapes += [*_value_axis(frame), *_band(frame, chart), *_line(frame, chart)]
        shapes += _lane(frame, chart, top=frame.bottom - STRIP, height=STRIP)
    else:
        why = str(chart.line.error) or _(chart.line.note) or _("No samples of this series in this range.")
        middle = frame.left + frame.width / 2
        said = fitted(why, 12, frame.width - 20)
        shapes.append(
            Text(x=middle, y=frame.top + frame.height / 2, text=said, size=12, fill=frame.ink("muted"), anchor="middle")
        )
    shapes += _marks(frame, chart.markers)
    shapes += _legend(frame, chart, width, height)
    return Scene(
        width=width,
        height=height,
        background=frame.ink("surface"),
        shapes=shapes,
        title=title,
        description=_described(chart, state),
    )


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _frame(chart: Chart, width: int, height: int, theme: Theme) -> Frame:
    line = chart.line
    low, high = _bounds(_known([*line.values, *line.lower, *line.upper]))
    left = MARGIN if chart.of_states else 62.0
    return Frame(
        left=left,
        top=TOP,
        width=width - left - MARGIN,
        height=height - TOP - FOOT,
        start=chart.start,
        end=chart.end,
        low=low,
        high=high,
        theme=theme,
    )


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """Room above and below; zero stays in sight when it is near."""
    if not values:
        return 0.0, 1.0
    low, high = max(min(values), -LARGEST), min(max(values), LARGEST)
    room = (high - low or abs(high) or 1.0) * 0.12
    near_zero = low >= 0 and low - room < (high - low) * 0.25
    return (0.0 if near_zero else low - room), high + room


def _heading(frame: Frame, width: int, title: str, state: str, about: str) -> Iterator[Shape]:
    yield Disc(x=MARGIN + 5, y=22, radius=5, fill=frame.ink(_ink_of(tone(state))))
    word = state_word(state)
    yield Text(
        x=MARGIN + 16, y=27, text=fitted(title, 15, width - 2 * MARGIN - 16), size=15, fill=frame.ink("text"), bold=True
    )
    said = fitted(f"{word} · {about}" if about else word, 12, width - 2 * MARGIN - 16)
    yield Text(x=MARGIN + 16, y=45, text=said, size=12, fill=frame.ink("muted"))


def _time_axis(frame: Frame) -> Iterator[Shape]:
    length = frame.end - frame.start
    room = max(2, int(frame.width // 90))
    step = next((one for one in TIME_STEPS_S if length / one <= room), TIME_STEPS_S[-1])
    pattern = "%H:%M:%S" if step < 60 else "%H:%M" if step < 43200 else "%b %d"
    at = math.ceil(frame.start / step) * step
    while at <= frame.end:
        x = frame.x(at)
        yield Path2D(points=[(x, frame.top), (x, frame.bottom)], stroke=frame.ink("grid"))
        said = datetime.fromtimestamp(at, UTC).strftime(pattern)
        if frame.left + 12 < x < frame.left + frame.width - 12:
            yield Text(x=x, y=frame.bottom + 15, text=said, size=11, fill=frame.ink("muted"), anchor="middle")
        at += step


def _value_axis(frame: Frame) -> Iterator[Shape]:
    step = _nice((frame.high - frame.low) / 4)
    at = math.ceil(frame.low / step)
    while at * step <= frame.high:
        y = frame.y(at * step)
        yield Path2D(points=[(frame.left, y), (frame.left + frame.width, y)], stroke=frame.ink("grid"))
        yield Text(x=frame.left - 7, y=y + 4, text=number(at * step), size=11, fill=frame.ink("muted"), anchor="end")
        at += 1


def _nice(rough: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    if not (math.isfinite(rough) and rough > 0):
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)


def _runs(times: Sequence[float], values: Sequence[float | None]) -> Iterator[list[Point]]:
    """Stretches of points without a gap."""
    run: list[Point] = []
    for at, value in zip(times, values, strict=True):
        if value is not None:
            run.append((at, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _band(frame: Frame, chart: Chart) -> Iterator[Shape]:
    line, ink = chart.line, frame.ink("accent")
    both = [
        (at, low, high) for at, low, high in zip(line.times, line.lower, line.upper, strict=True)
        if low is not None and high is not None and low != high
    ]  # fmt: skip
    if both:
        above = [(frame.x(at), frame.y(high)) for at, _low, high in both]
        below = [(frame.x(at), frame.y(low)) for at, low, _high in reversed(both)]
        yield Area(points=[*above, *below], fill=ink, opacity=0.13)
    for edge in (line.lower, line.upper):
        for run in _runs(line.times, edge):
            if len(run) > 1:
                yield Path2D(points=[(frame.x(at), frame.y(value)) for at, value in run], stroke=ink, dashed=True)


def _line(frame: Frame, chart: Chart) -> Iterator[Shape]:
    ink = frame.ink("accent")
    few = len(chart.line.times) < LONELY
    for run in _runs(chart.line.times, chart.line.values):
        points = [(frame.x(at), frame.y(value)) for at, value in run]
        if len(points) > 1:
            yield Path2D(points=points, stroke=ink, width=2)
        if few or len(points) == 1:
            for x, y in points:
                yield Disc(x=x, y=y, radius=2.5, fill=ink)


def _lane(frame: Frame, chart: Chart, *, top: float, height: float) -> Iterator[Shape]:
    """How it stood: height as well as colour tells the states apart."""
    tall = height > STRIP
    if tall:
        yield Rect(x=frame.left, y=top + height / 2 - 1, width=frame.width, height=2, fill=frame.ink("ok"), opacity=0.6)
    for one in chart.stretches:
        share = {"firing": 1.0, "pending": 0.6}.get(tone(one.state), 0.35)
        x0, x1 = frame.x(one.start), max(frame.x(one.end), frame.x(one.start) + 1.5)
        deep = height * share
        place = top + (height - deep) / 2 if tall else top + height - deep
        yield Rect(
            x=x0,
            y=place,
            width=x1 - x0,
            height=deep,
            fill=frame.ink(_ink_of(tone(one.state))),
            opacity=0.8,
            title=one.said,
        )


def _marks(frame: Frame, markers: Sequence[Any]) -> Iterator[Shape]:
    for mark in markers:
        if not frame.start <= mark["at"] <= frame.end:
            continue
        x, ink = frame.x(mark["at"]), frame.ink(_ink_of(mark["tone"]))
        clock = datetime.fromtimestamp(mark["at"], UTC).strftime("%H:%M:%S")
        points = [(x, frame.top), (x, frame.bottom)]
        yield Path2D(points=points, stroke=ink, opacity=0.75, dashed=mark["tone"] == "note")
        yield _sign(mark["tone"], x, frame.top - 7, ink, f"{clock} UTC {mark['text']}")


def _sign(kind: str, x: float, y: float, ink: str, title: str) -> Shape:
    """The shapes of the badges, small."""
    if kind == "firing":
        return Area(points=[(x, y - 5), (x + 5, y + 4), (x - 5, y + 4)], fill=ink, title=title)
    if kind == "repairing":
        return Area(points=[(x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y)], fill=ink, title=title)
    if kind in ("ok", "pending"):
        return Disc(x=x, y=y, radius=4 if kind == "ok" else 3, fill=ink, title=title)
    return Rect(x=x - 3, y=y - 3, width=6, height=6, fill=ink, title=title)


def _ink_of(kind: str) -> str:
    return "off" if kind == "note" else kind


def _legend(frame: Frame, chart: Chart, width: int, height: int) -> Iterator[Shape]:
    """One line: what is drawn, and the range in full."""
    y = height - 14.0
    span = f"{_moment(frame.start)} – {_moment(frame.end)} UTC"  # noqa: RUF001 - a range is written with this dash
    parts = [span]
    if not chart.of_states and (_known(chart.line.lower) or _known(chart.line.upper)):
        parts.append(_("dashed: expected"))
    if chart.markers:
        parts.append(_("marks: what happened"))
    said = fitted("   ·   ".join(parts), 11, width - 2 * MARGIN)
    yield Text(x=MARGIN, y=y, text=said, size=11, fill=frame.ink("muted"))


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def _described(chart: Chart, state: str) -> str:
    known = _known(chart.line.values)
    parts = [state_word(state)]
    if known:
        parts.append(_("last value %(value)s") % {"value": number(known[-1])})
    parts += [one.said for one in chart.stretches[-3:]]
    return ", ".join(parts)
