"""Pictures of charts: well-formed, escaped, bounded, in the pages' own colours."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from PIL import Image

from dashboard.drawing import chart as drawing
from dashboard.drawing.png import SCALE, png
from dashboard.drawing.shapes import Rect, Scene, Text, Theme, colour, colours, fitted
from dashboard.drawing.svg import svg
from dashboard.pages import charts
from remediation.history import History
from remediation.models import Incident, Rule
from tests.dashboard import factories

pytestmark = pytest.mark.django_db
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>\"'& \x00\x1b ]]> <img src=x onerror=alert(1)>"


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer"))
    return client


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def history(rule: Rule, *, start: float, end: float, points: int, **_: Any) -> History:
        times = [start + (end - start) * at / points for at in range(points + 1)]
        values: list[float | None] = [float(at % 7) for at in range(points + 1)]
        values[3] = None
        return History(times=times, values=values, lower=[1.0] * len(times), upper=[5.0] * len(times))

    monkeypatch.setattr(charts, "history", history)
    charts.lines.clear()
    yield
    charts.lines.clear()


def hostile_incident() -> Incident:
    rule = factories.a_rule(factories.a_service("web"), annotations={"summary": "{instance}"})
    return factories.an_incident(rule, labels={"instance": HOSTILE}, reason=HOSTILE)


def test_the_svg_holds_the_series_and_nothing_that_runs(viewer: Client) -> None:
    row = hostile_incident()
    answer = viewer.get(f"/incidents/{row.pk}/chart.svg")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    assert "sandbox" in answer["Content-Security-Policy"]
    root = ElementTree.fromstring(answer.content)  # noqa: S314 - made by us
    names = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert names == {"svg", "title", "desc", "rect", "text", "polyline", "polygon", "circle"}
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]
    lines = [element for element in root.iter(f"{SVG}polyline") if element.get("stroke-width") == "2"]
    assert len(lines) == 2, "the gap parts the line"
    assert any("<script>" in (element.text or "") for element in root.iter(f"{SVG}title"))


def test_every_event_is_marked_with_its_words(viewer: Client) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    root = ElementTree.fromstring(viewer.get(f"/incidents/{row.pk}/chart.svg").content)  # noqa: S314 - made by us
    titles = [element.text or "" for element in root.iter(f"{SVG}title")]
    assert [title for title in titles if title.endswith("UTC Out of range")]
    assert [title for title in titles if title.endswith("UTC Firing")]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("asked", "width"), [("800", 800), ("1", 320), ("99999", 1600)])
def test_the_png_is_of_that_theme_and_of_a_bounded_size(viewer: Client, theme: Theme, asked: str, width: int) -> None:
    row = hostile_incident()
    answer = viewer.get(f"/incidents/{row.pk}/chart.png?theme={theme}&width={asked}")
    image = Image.open(io.BytesIO(answer.content))
    assert (answer["Content-Type"], image.format, image.width) == ("image/png", "PNG", width * SCALE)
    corner = image.getpixel((1, 1))
    assert isinstance(corner, tuple)
    assert "#{:02x}{:02x}{:02x}".format(*corner[:3]) == colour(theme, "surface")
    line = colour(theme, "accent")
    assert tuple(int(line[at : at + 2], 16) for at in (1, 3, 5)) in {one for _, one in image.getcolors(10**7) or []}


@pytest.mark.parametrize("query", ["theme=pink", "width=", "width=-5", "width=1e9", "width=٣٢٠", "range=x&start=y"])
def test_a_senseless_wish_is_400(viewer: Client, query: str) -> None:
    row = hostile_incident()
    for kind in ("svg", "png"):
        assert viewer.get(f"/incidents/{row.pk}/chart.{kind}?{query}").status_code == 400


def test_pictures_need_a_sign_in(client: Client) -> None:
    row = hostile_incident()
    for name in ("chart.svg", "chart.png", "post-mortem.md"):
        assert client.get(f"/incidents/{row.pk}/{name}").status_code == 302


def test_an_alert_and_an_empty_series_have_a_picture_too(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    alerts = factories.a_rule(factories.a_service("a"), detector="firing_alert", params={}, query="{}")
    row = factories.an_incident(alerts)
    assert "Firing for" in viewer.get(f"/incidents/{row.pk}/chart.svg").content.decode()
    monkeypatch.setattr(
        charts, "history", lambda *_, **__: History(times=[], values=[], lower=[], upper=[], note="gone")
    )
    empty = factories.an_incident(factories.a_rule(factories.a_service("b")))
    assert ">gone<" in viewer.get(f"/incidents/{empty.pk}/chart.svg").content.decode()
    assert viewer.get(f"/incidents/{empty.pk}/chart.png").status_code == 200


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_are_those_of_the_pages(theme: Theme) -> None:
    names = {"surface", "text", "muted", "accent", "grid", "ok", "firing", "pending", "repairing", "unknown", "off"}
    assert names | {"person", "frozen"} <= colours(theme).keys()
    assert colours("light")["surface"] != colours("dark")["surface"]


def test_texts_are_cut_to_what_fits_and_escaped() -> None:
    assert fitted("a  b\nc", 10, 1000) == "a b c"
    assert fitted("x" * 100, 10, 56).endswith("…")
    assert len(fitted("宽" * 100, 10, 56)) == 6
    scene = Scene(
        width=10, height=10, background="#000000", title="<b>", description="", shapes=[
            Rect(x=0, y=0, width=1, height=1, fill='"/><script>', title="&"),
            Text(x=0, y=9, text="<\ud800\x01", size=9, fill="#ffffff"),
        ],
    )  # fmt: skip
    ElementTree.fromstring(svg(scene).encode())  # noqa: S314 - made by us


def test_a_sheer_wall_of_values_draws(viewer: Client) -> None:
    values: list[float | None] = [1e308, -1e308, 0.0, None, 5e-324]
    line = charts.Line(times=[1, 2, 3, 4, 5], values=values, lower=[None] * 5, upper=[None] * 5)
    chart = charts.Chart(start=1, end=5, line=line, stretches=[])
    scene = drawing.scene(chart, title="t", state="firing", about="", width=400, theme="dark")
    assert svg(scene).count("nan") == 0
    assert png(scene)[:4] == b"\x89PNG"
