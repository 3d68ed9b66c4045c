"""Which language a page and a websocket speak."""

from __future__ import annotations

import asyncio

import pytest
from django.conf import settings
from django.test import AsyncClient, Client
from django.utils import translation

from dashboard.language import of_scope
from tests.dashboard import factories

COOKIE = settings.LANGUAGE_COOKIE_NAME


def language_of(client: Client, **headers: str) -> str:
    return client.get("/login/", headers=headers)["Content-Language"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"),
        ("zh", "zh-hans"),
        ("de-DE,de;q=0.9,en;q=0.8,zh;q=0.5", "en"),
        ("xx", "en"),
        ("zh-CN" * 1000, "en"),
    ],
)
def test_the_browsers_language_is_taken(asked: str, expected: str) -> None:
    headers = {"Accept-Language": asked} if asked else {}
    assert language_of(Client(), **headers) == expected
    scope = {"headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()]}
    assert of_scope(scope) == expected


@pytest.mark.parametrize(
    ("chosen", "expected"), [("en", "en"), ("zh-hans", "zh-hans"), ("de", "zh-hans"), ("../x", "zh-hans")]
)
def test_what_was_chosen_goes_first(chosen: str, expected: str) -> None:
    client = Client()
    client.cookies[COOKIE] = chosen
    assert language_of(client, **{"Accept-Language": "zh-CN"}) == expected
    scope = {"headers": [(b"Accept-Language", b"zh-CN")], "cookies": {COOKIE: chosen}}
    assert of_scope(scope) == expected


def test_chosen_also_before_signing_in() -> None:
    client = Client()
    answer = client.post("/language/", {"language": "zh-hans", "next": "/login/"})
    assert (answer.status_code, answer["Location"]) == (302, "/login/")
    assert client.cookies[COOKIE].value == "zh-hans"
    assert language_of(client) == "zh-hans"


def test_choosing_leads_to_no_other_site() -> None:
    answer = Client().post("/language/", {"language": "zh-hans", "next": "https://elsewhere.example/"})
    assert answer["Location"] == "/"


@pytest.mark.django_db
def test_a_request_leaves_no_language_behind() -> None:
    client = Client(headers={"Accept-Language": "zh-CN"})
    client.force_login(factories.a_user("viewer"))
    assert client.get("/system/")["Content-Language"] == "zh-hans"
    assert translation.get_language() == "en"


def test_requests_at_once_keep_their_languages() -> None:
    async def both() -> list[str]:
        asked = [AsyncClient().get("/login/", headers={"Accept-Language": one}) for one in ("zh-CN", "en") * 5]
        return [answer["Content-Language"] for answer in await asyncio.gather(*asked)]

    assert asyncio.run(both()) == ["zh-hans", "en"] * 5


def test_a_cache_between_keeps_languages_apart() -> None:
    vary = {name.strip() for name in Client().get("/login/")["Vary"].split(",")}
    assert {"Accept-Language", "Cookie"} <= vary
