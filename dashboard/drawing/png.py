"""Shapes as PNG, for mail and chat that show no SVG. Drawn at twice the size, so that it is sharp on small screens."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageColor, ImageDraw, ImageFont

from dashboard.drawing.shapes import Area, Disc, Path2D, Point, Rect, Scene, Shape, Text

SCALE = 2
DASH = 4.0
FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
)
"""Where machines have letters of East Asia. Without one those letters are boxes; the SVG and the page have them."""
PLAIN_FONTS = ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",)
"""More letters (Greek, Cyrillic) than the one that comes with Pillow."""
EAST_ASIA = "\u2e80"
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def png(scene: Scene) -> bytes:
    image = Image.new("RGB", (scene.width * SCALE, scene.height * SCALE), scene.background)
    draw = ImageDraw.Draw(image, "RGBA")
    for shape in scene.shapes:
        _draw(draw, shape)
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def _draw(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    if isinstance(shape, Text):
        _write(draw, shape)
    elif isinstance(shape, Rect):
        right, bottom = shape.x + max(shape.width, 0.5), shape.y + max(shape.height, 0.5)
        draw.rectangle([*_at((shape.x, shape.y)), *_at((right, bottom))], fill=_ink(shape.fill, shape.opacity))
    elif isinstance(shape, Disc):
        low, high = (shape.x - shape.radius, shape.y - shape.radius), (shape.x + shape.radius, shape.y + shape.radius)
        draw.ellipse([*_at(low), *_at(high)], fill=shape.fill)
    elif isinstance(shape, Area):
        if len(shape.points) > 2:
            draw.polygon([_at(point) for point in shape.points], fill=_ink(shape.fill, shape.opacity))
    else:
        _draw_line(draw, shape)


def _draw_line(draw: ImageDraw.ImageDraw, shape: Path2D) -> None:
    ink, width = _ink(shape.stroke, shape.opacity), max(1, round(shape.width * SCALE))
    if not shape.dashed:
        draw.line([_at(point) for point in shape.points], fill=ink, width=width, joint="curve")
        return
    for start, end in _dashes(shape.points):
        draw.line([_at(start), _at(end)], fill=ink, width=width)


def _dashes(points: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    """Every other piece of DASH along the way, as SVG's stroke-dasharray has it."""
    gone = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        length = math.hypot(x1 - x0, y1 - y0)
        at = 0.0
        while at < length:
            phase = (gone + at) % (2 * DASH)
            step = min((DASH if phase < DASH else 2 * DASH) - phase, length - at)
            step = max(step, 1e-3)
            if phase < DASH:
                yield (
                    (x0 + (x1 - x0) * at / length, y0 + (y1 - y0) * at / length),
                    (x0 + (x1 - x0) * (at + step) / length, y0 + (y1 - y0) * (at + step) / length),
                )
            at += step
        gone += length


def _at(point: Point) -> tuple[float, float]:
    return point[0] * SCALE, point[1] * SCALE


def _ink(fill: str, opacity: float) -> tuple[int, ...]:
    return (*ImageColor.getrgb(fill)[:3], round(255 * opacity))


def _write(draw: ImageDraw.ImageDraw, shape: Text) -> None:
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in shape.text)
    font = _font(round(shape.size * SCALE), any(letter >= EAST_ASIA for letter in text))
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
    weight = 1 if shape.bold else 0
    draw.text(_at((shape.x, shape.y)), text, fill=shape.fill, font=font, anchor=anchor, stroke_width=weight * 0.5)


@lru_cache(maxsize=32)
def _font(size: int, east_asia: bool) -> Font:
    for path in (*FONTS, *PLAIN_FONTS) if east_asia else PLAIN_FONTS:
        if Path(path).is_file():
            return ImageFont.truetype(path, size)
    return ImageFont.load_default(size)
