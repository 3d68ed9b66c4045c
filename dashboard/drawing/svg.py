"""Shapes as SVG. Every text is escaped: labels and reasons come from outside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from dashboard.drawing.shapes import Area, Disc, Path2D, Point, Rect, Scene, Shape, Text

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML may hold, escaped or not."""


def svg(scene: Scene) -> str:
    """A document of its own: no script, no style, nothing from elsewhere."""
    size = f'width="{scene.width}" height="{scene.height}" viewBox="0 0 {scene.width} {scene.height}"'
    body = "".join(_shape(shape) for shape in scene.shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{FONT}">'
        f"<title>{_text(scene.title)}</title><desc>{_text(scene.description)}</desc>"
        f'<rect width="{scene.width}" height="{scene.height}" fill="{_text(scene.background)}"/>{body}</svg>'
    )


def _text(text: str) -> str:
    return escape(NOT_XML.sub("\ufffd", text), quote=True)


def _shape(shape: Shape) -> str:
    if isinstance(shape, Text):
        weight = ' font-weight="600"' if shape.bold else ""
        place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size:g}" text-anchor="{shape.anchor}"'
        return f'<text {place} fill="{_text(shape.fill)}"{weight}>{_text(shape.text)}</text>'
    name, attributes = _drawn(shape)
    if shape.title:
        return f"<{name} {attributes}><title>{_text(shape.title)}</title></{name}>"
    return f"<{name} {attributes}/>"


def _drawn(shape: Rect | Path2D | Area | Disc) -> tuple[str, str]:
    if isinstance(shape, Rect):
        place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}"'
        return "rect", f'{place} fill="{_text(shape.fill)}"{_opacity(shape.opacity, "fill")}'
    if isinstance(shape, Disc):
        return "circle", f'cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{shape.radius:.1f}" fill="{_text(shape.fill)}"'
    if isinstance(shape, Area):
        return (
            "polygon",
            f'points="{_points(shape.points)}" fill="{_text(shape.fill)}"{_opacity(shape.opacity, "fill")}',
        )
    dash = ' stroke-dasharray="4 4"' if shape.dashed else ""
    line = f'fill="none" stroke="{_text(shape.stroke)}" stroke-width="{shape.width:g}" stroke-linejoin="round"{dash}'
    return "polyline", f'points="{_points(shape.points)}" {line}{_opacity(shape.opacity, "stroke")}'


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _opacity(value: float, of: str) -> str:
    return f' {of}-opacity="{value:g}"' if value < 1 else ""
