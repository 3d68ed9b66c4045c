"""Who may listen to live updates, and for how long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from dashboard.live import hub as hubs
from dashboard.live.sessions import still_valid
from tests.dashboard import factories, live_browser
from tests.dashboard.live_browser import ORIGIN, browser, frame, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def in_this_process(settings: Any) -> None:
    live_browser.in_this_process(settings)


@pytest.fixture
def client(client: Client) -> Client:
    client.force_login(factories.a_user("approver", name="ann"))
    return client


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [
        (ORIGIN, True),
        ("http://evil.example", False),
        ("http://localhost:8001", False),
        ("https://localhost:8000", False),
        (f"{ORIGIN}.evil.example", False),
        ("null", False),
        ("", False),
        ("*", False),
        (None, False),
    ],
)
def test_only_our_own_origin_may_connect(client: Client, origin: str | None, accepted: bool) -> None:
    async def test() -> None:
        socket = browser(client, origin)
        assert await socket.connect() is accepted
        await socket.leave()

    run(test)


def test_nobody_may_connect() -> None:
    async def test() -> None:
        assert await browser(None).connect() is False

    run(test)


def test_another_address_is_refused(client: Client) -> None:
    async def test() -> None:
        assert await browser(client, path="/ws/other/").connect() is False

    run(test)


def _sign_out(client: Client) -> None:
    client.logout()


def _deactivate(client: Client) -> None:
    User.objects.update(is_active=False)


def _change_password(client: Client) -> None:
    user = User.objects.get(username="ann")
    user.set_password("another one")
    user.save()


def _take_the_group_away(client: Client) -> None:
    User.objects.get(username="ann").groups.clear()


def _take_a_permission_from_the_group(client: Client) -> None:
    group = User.objects.get(username="ann").groups.get()
    group.permissions.remove(group.permissions.get(codename="approve"))


def _end_the_session(client: Client) -> None:
    Session.objects.update(expire_date=timezone.now())


@pytest.mark.parametrize(
    "what",
    [
        _sign_out,
        _deactivate,
        _change_password,
        _take_the_group_away,
        _take_a_permission_from_the_group,
        _end_the_session,
    ],
)
def test_who_is_no_longer_signed_in_is_cut_off(
    client: Client, monkeypatch: pytest.MonkeyPatch, what: Callable[[Client], None]
) -> None:
    monkeypatch.setattr(hubs, "SESSIONS_S", 0.05)

    async def test() -> None:
        socket = browser(client)
        await socket.connect()
        await asyncio.sleep(0.15)
        assert await socket.hears_nothing(timeout=0.01)
        await sync_to_async(what)(client)
        closed = await socket.output()
        assert closed == {"type": "websocket.close", "code": 4401}

    run(test)


def test_a_session_of_somebody_else_is_not_valid(client: Client) -> None:
    key = client.session.session_key
    assert key is not None
    ann = User.objects.get(username="ann")
    assert set(still_valid({key: ann.pk})) == {key}
    assert still_valid({key: factories.a_user("viewer").pk}) == {}
    assert still_valid({"no-such-session": ann.pk}) == {}


def test_a_browser_that_answers_no_beat_is_cut_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "LOOK_S", 0.05)
    monkeypatch.setattr("dashboard.live.socket.BEAT_S", 0.05)
    monkeypatch.setattr("dashboard.live.socket.SILENT_S", 0.2)

    async def test() -> None:
        socket = browser(client)
        await socket.connect()
        for _ in range(6):
            assert "beat" in await frame(socket)
            await socket.say('{"pong":1}')
        while (message := await socket.output())["type"] == "websocket.send":
            assert "beat" in json.loads(message["text"])
        assert message == {"type": "websocket.close", "code": 4408}

    run(test)


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", '{"shows": 3}', '{"approve": 1}', '{"shows": {"nonsense": "x"}}', "[" * 9999]
)
def test_what_makes_no_sense_is_left_aside(client: Client, text: str) -> None:
    async def test() -> None:
        socket = browser(client)
        await socket.connect()
        await socket.say(text)
        await socket.say('{"shows": {}}')
        assert "hello" in await frame(socket)
        await socket.leave()

    run(test)


def test_all_sessions_are_checked_by_the_same_four_queries(django_assert_num_queries: Any) -> None:
    asked: dict[str, int] = {}
    for number in range(12):
        person, session = factories.a_user("viewer", name=f"person {number}"), Client()
        session.force_login(person)
        asked[str(session.session.session_key)] = person.pk
        if number in (0, 11):
            with django_assert_num_queries(5):
                assert set(still_valid(asked)) == set(asked)
