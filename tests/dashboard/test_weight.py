"""What a page costs on the wire: compressed, kept by the browser, and light."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.test import AsyncClient, Client, RequestFactory

from dashboard import digest as digests
from dashboard.packing import pack
from remediation.models import Rule
from tests.dashboard import every_page, factories

pytestmark = pytest.mark.django_db(transaction=True)

ALLOWED = 100_000
ADMIN_ALLOWED = 560_000
PACKED = {"accept-encoding": "gzip"}
LINKED = re.compile(r"""(?:\bhref|\bsrc)="([^"#]+\.(?:css|js|svg|woff2?))(?:#[^"]*)?\"""")
NAMED = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"|url\("?([^"')#]+)""")
CHARTS = ("chart", "uplot")
"""Pages with charts may bring one more file, which is left out of the sum."""


async def body(response: Any) -> bytes:
    """The bytes as they travel: compressed where they are."""
    if response.streaming:
        return b"".join([part async for part in cast(AsyncIterator[bytes], response.streaming_content)])
    return bytes(response.content)


class Reader:
    """Follows a page to everything it loads, as a browser with an empty cache would."""

    def __init__(self, user: User) -> None:
        self.client = AsyncClient()
        self.user = user
        self.assets: dict[str, tuple[int, dict[str, str]]] = {}

    async def read(self, path: str) -> int:
        """The bytes of the page and of all it needs."""
        await self.client.aforce_login(self.user)
        answer: Any = await self.client.get(path, headers=PACKED)
        assert answer.status_code == 200, path
        raw = await body(answer)
        plain = gzip.decompress(raw) if answer.headers.get("Content-Encoding") == "gzip" else raw
        seen: set[str] = set()
        for found in LINKED.findall(plain.decode()):
            await self._follow(urlsplit(urljoin(path, found)).path, seen)
        return len(raw) + sum(self.assets[url][0] for url in seen if not any(word in url for word in CHARTS))

    async def _follow(self, url: str, seen: set[str]) -> None:
        if url in seen or not url.startswith(static("")):
            return
        seen.add(url)
        answer: Any = await self.client.get(url, headers=PACKED)
        assert answer.status_code == 200, url
        raw = await body(answer)
        self.assets[url] = (len(raw), dict(answer.headers))
        plain = gzip.decompress(raw) if answer.headers.get("Content-Encoding") == "gzip" else raw
        if url.endswith((".js", ".css")):
            for one, other in NAMED.findall(plain.decode()):
                if not (one or other).startswith("data:"):
                    await self._follow(urljoin(url, one or other), seen)


class Visitor:
    """Asks for pages as every_page does, without a server."""

    def __init__(self, user: User) -> None:
        self.client = Client()
        self.client.force_login(user)

    def get(self, url: str, /, *, timeout: float, allow_redirects: bool) -> Any:
        return self.client.get(url)


def fill() -> None:
    """A small installation in which there is one of everything, and of incidents as many as a page lists."""
    every_page.fill()
    rule = Rule.objects.latest("pk")
    for _ in range(40):
        factories.an_incident(rule)


def weighed(reader: Reader, addresses: list[str]) -> dict[str, int]:
    async def all_of_them() -> dict[str, int]:
        return {path: await reader.read(path) for path in addresses}

    return async_to_sync(all_of_them)()


def test_every_page_is_light_and_its_files_are_kept_for_ever(settings: Any) -> None:
    settings.HOMEOSTAT_DEMO = True
    fill()
    user = factories.a_user("admin", is_staff=True, is_superuser=True)
    addresses, _ = every_page.pages(Visitor(user), "")
    assert {"/analytics/", "/styleguide/", "/demo/", "/first-run/"} <= set(addresses)
    reader = Reader(user)
    weights = weighed(reader, [*addresses, "/?view=map", "/incidents/?state=all"])
    assert {path: weight for path, weight in weights.items() if weight > ALLOWED} == {}
    assert min(weights.values()) > 10_000  # or else what the pages load was not found
    for url, (_size, headers) in reader.assets.items():
        assert "immutable" in headers["Cache-Control"], url
        assert headers.get("Content-Encoding") == "gzip" or reader.assets[url][0] < 1000, url


def test_the_admin_is_bounded_as_well() -> None:
    """Its look is a package's own, with fonts and scripts of its own: heavier, and as much as it was when measured."""
    fill()
    user = factories.a_user("admin", is_staff=True, is_superuser=True)
    weights = weighed(Reader(user), every_page.admin_pages())
    assert {path: weight for path, weight in weights.items() if weight > ADMIN_ALLOWED} == {}


def test_another_file_is_another_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "OWN", tmp_path)
    (tmp_path / "a.css").write_text("a {}")
    before = digests.digest()
    assert digests.digest() == before
    (tmp_path / "a.css").write_text("b {}")
    assert digests.digest() != before


def test_who_takes_no_compressed_files_gets_plain_ones() -> None:
    async def plain() -> bytes:
        answer: Any = await AsyncClient().get(static("dashboard/tokens.css"))
        assert "Content-Encoding" not in answer.headers
        return await body(answer)

    assert b":root" in asyncio.run(plain())


def test_a_page_is_compressed_for_who_takes_it(client: Client) -> None:
    client.force_login(factories.a_user("viewer"))
    plain, packed = client.get("/rules/"), client.get("/rules/", headers=PACKED)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert b"<title>" in gzip.decompress(packed.content)
    assert "Accept-Encoding" in packed.headers["Vary"]


def test_short_answers_and_other_kinds_are_left_as_they_are() -> None:
    request: HttpRequest = RequestFactory().get("/", headers=PACKED)
    for answer in (HttpResponse("short"), HttpResponse("x" * 5000, content_type="image/png")):
        before = answer.content
        assert cast(HttpResponse, pack(request, answer)).content == before
