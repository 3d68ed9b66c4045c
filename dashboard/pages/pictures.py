"""A chart of an incident as a picture, for notifications, post-mortems and whoever cannot run the page."""

from __future__ import annotations

from typing import cast

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_GET

from dashboard.drawing.chart import USUAL_WIDTH, WIDTHS, scene
from dashboard.drawing.png import png
from dashboard.drawing.shapes import Scene, Theme
from dashboard.drawing.svg import svg
from dashboard.pages import charts, condition_charts
from remediation.models import Incident

ALONE = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""The policy of a picture that is opened by itself: it may do nothing at all."""


@require_GET
def as_svg(request: HttpRequest, pk: int, number: int = 1) -> HttpResponse:
    """number: of the rule's condition, of which the first is the series that fired."""
    return _answer(svg(_scene(request, pk, number)).encode(), "image/svg+xml", f"{_name(pk, number)}.svg")


@require_GET
def as_png(request: HttpRequest, pk: int, number: int = 1) -> HttpResponse:
    return _answer(png(_scene(request, pk, number)), "image/png", f"{_name(pk, number)}.png")


def _name(pk: int, number: int) -> str:
    return f"incident-{pk}" if number == 1 else f"incident-{pk}-condition-{number}"


def _answer(content: bytes, kind: str, name: str) -> HttpResponse:
    headers = {
        "Content-Security-Policy": ALONE,
        "Content-Disposition": f'inline; filename="{name}"',
        "Cache-Control": "private, max-age=5",
    }
    return HttpResponse(content, content_type=kind, headers=headers)


def _scene(request: HttpRequest, pk: int, number: int) -> Scene:
    related = ("rule", "rule_version", "service")
    row = get_object_or_404(Incident.objects.select_related(*related), pk=pk)
    now = timezone.now()
    theme, width = _looks(request)
    asked = request.GET if "range" in request.GET or "start" in request.GET else {"range": "incident"}
    wanted = charts.asked_range(asked, now=now, incident=row)
    about = " · ".join(part for part in (str(row.service or ""), row.reason) if part)
    if number != 1:
        panel = condition_charts.panel_of(row, number)
        chart, about = condition_charts.chart_of(row, panel, wanted, now=now), f"{panel.name} · {about}"
    else:
        chart = charts.of_incident(row, wanted, now=now)
    return scene(chart, title=row.title, state=row.state, about=about, width=width, theme=theme)


def _looks(request: HttpRequest) -> tuple[Theme, int]:
    """Theme and width (pixels, brought into bounds). Raises BadRequest."""
    theme = request.GET.get("theme", "light")
    if theme not in ("light", "dark"):
        raise BadRequest("theme is light or dark")
    width = request.GET.get("width", str(USUAL_WIDTH))
    if not (width.isascii() and width.isdecimal() and len(width) < 7):
        raise BadRequest("width is a number of pixels")
    return cast(Theme, theme), min(max(int(width), WIDTHS[0]), WIDTHS[1])
