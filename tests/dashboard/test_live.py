"""Live updates: who may listen, that one change is one frame, and that nothing piles up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard.asgi import application
from dashboard.live import fragments, publish
from dashboard.live import hub as hubs
from dashboard.live.hub import hub
from dashboard.live.sessions import still_valid
from dashboard.live.socket import FRAMES_WAITING, RESYNC, Socket
from dashboard.live.topics import expand
from remediation.models import change
from remediation.signals import evaluated
from remediation.states import RemediationState
from tests.dashboard import factories

pytestmark = pytest.mark.django_db(transaction=True)

ORIGIN = "http://localhost:8000"


@pytest.fixture(autouse=True)
def in_this_process(settings: Any) -> None:
    settings.HOMEOSTAT_ORIGINS = [ORIGIN]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


@pytest.fixture
def client(client: Client) -> Client:
    client.force_login(factories.a_user("approver", name="ann"))
    return client


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine and end the hub with it: each test has an event loop of its own."""

    async def whole() -> None:
        try:
            await test()
        finally:
            await hub.stop()

    async_to_sync(whole)()


class Browser:
    """The other end of a websocket, message by message."""

    def __init__(self, scope: dict[str, Any]) -> None:
        communicator: Any = ApplicationCommunicator  # asgiref gives no types for it
        self._end = communicator(application, scope)

    async def connect(self) -> bool:
        await self._end.send_input({"type": "websocket.connect"})
        return bool((await self.output())["type"] == "websocket.accept")

    async def say(self, text: str) -> None:
        await self._end.send_input({"type": "websocket.receive", "text": text})

    async def hear(self) -> str:
        message = await self.output()
        assert message["type"] == "websocket.send", message
        return str(message["text"])

    async def output(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._end.receive_output(timeout=5)
        return message

    async def hears_nothing(self, timeout: float) -> bool:
        return bool(await self._end.receive_nothing(timeout=timeout))

    async def leave(self) -> None:
        await self._end.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._end.wait(timeout=5)


def browser(client: Client | None, origin: str | None = ORIGIN, path: str = "/ws/live/") -> Browser:
    headers = [(b"origin", origin.encode())] if origin is not None else []
    if client is not None:
        cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
        headers.append((b"cookie", cookie.encode()))
    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": headers, "subprotocols": []}
    return Browser(scope)


async def shows(socket: Browser, **keys: str) -> dict[str, Any]:
    """Say what the page shows; the hello that comes back."""
    await socket.say(json.dumps({"shows": {key.replace("__", ":"): at for key, at in keys.items()}}))
    return await frame(socket)


async def frame(socket: Browser) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await socket.hear())
    return answer


# --- who may listen


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


@pytest.mark.parametrize("what", [_sign_out, _deactivate, _change_password])
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
    assert still_valid({key: ann.pk}) == {key}
    assert still_valid({key: factories.a_user("viewer").pk}) == set()
    assert still_valid({"no-such-session": ann.pk}) == set()


def test_a_browser_that_answers_no_beat_is_cut_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "BEAT_S", 0.05)
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


# --- what is sent


def test_a_page_that_is_current_gets_nothing_but_a_hello(client: Client) -> None:
    version = fragments.render(["attention"])["attention"].version

    async def test() -> None:
        socket = browser(client)
        await socket.connect()
        assert (await shows(socket, attention=version))["fragments"] == []
        await socket.leave()

    run(test)


def test_a_page_that_is_behind_gets_what_it_missed(client: Client) -> None:
    async def test() -> None:
        socket = browser(client)
        await socket.connect()
        hello = await shows(socket, attention="old", events="older")
        assert [piece["key"] for piece in hello["fragments"]] == ["attention", "events"]
        await socket.leave()

    run(test)


def test_one_change_is_one_frame_with_the_pieces_it_touches(client: Client) -> None:
    asked = factories.a_remediation(factories.an_incident(factories.a_rule(factories.a_service("web"))))
    rendered = fragments.render(["approvals", "rules"])

    async def test() -> None:
        socket = browser(client)
        await socket.connect()
        versions = {key: piece.version for key, piece in rendered.items()}
        hello = await shows(socket, **versions)
        moved = sync_to_async(change)
        assert await moved(asked, RemediationState.REJECTED, now=timezone.now(), reason="no", actor="ann")
        seen = await frame(socket)
        assert [piece["key"] for piece in seen["fragments"]] == ["approvals"]
        piece = seen["fragments"][0]
        assert "Nothing waits for approval" in piece["html"]
        assert piece["after"] == hello["frames"]["approvals"]
        assert (piece["v"], seen["v"], seen["count"]) == (hello["v"] + 1, hello["v"] + 1, 0)
        assert await socket.hears_nothing(timeout=0.3)
        await socket.leave()

    run(test)


def test_many_changes_at_once_are_one_frame_rendered_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [factories.a_rule(factories.a_service()) for _ in range(5)]
    rounds: list[list[str]] = []
    real = fragments.render

    def counted(keys: Any) -> dict[str, fragments.Rendered]:
        rounds.append(sorted(keys))
        return real(rounds[-1])

    monkeypatch.setattr(hubs, "render", counted)

    async def test() -> None:
        sockets = [browser(client) for _ in range(3)]
        for socket in sockets:
            await socket.connect()
            await shows(socket, open="", events="")
        rounds.clear()
        for rule in rules:
            await sync_to_async(factories.an_incident)(rule)
        texts = [await socket.hear() for socket in sockets]
        assert texts[0] == texts[1] == texts[2]
        assert json.loads(texts[0])["fragments"][0]["html"].count("<li id=") == 10
        for socket in sockets:
            await socket.leave()

    run(test)
    assert rounds.count(["events", "open"]) <= 2  # one burst may fall on either side of a window


def test_a_rule_that_changed_its_mind_touches_its_service(client: Client) -> None:
    service = factories.a_service("web")
    rule = factories.a_rule(service)
    series = factories.a_series(rule)

    async def test() -> None:
        socket = browser(client)
        await socket.connect()
        await shows(socket, **{f"card__{service.pk}": ""})
        await sync_to_async(type(series).objects.update)(verdict="unknown", reason="stale")
        await sync_to_async(evaluated.send)(None, rule_id=rule.pk, changed=True)
        seen = await frame(socket)
        assert "is-unknown" in seen["fragments"][0]["html"]
        await socket.leave()

    run(test)


def test_a_notice_that_was_lost_is_found_by_looking(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "LOOK_S", 0.05)
    monkeypatch.setattr(publish, "announce", lambda *_, **__: None)
    rule = factories.a_rule(factories.a_service())

    async def test() -> None:
        socket = browser(client)
        await socket.connect()
        await shows(socket, open="")
        for kept in hub.kept.values():
            kept.looked_at -= 60
        await sync_to_async(factories.an_incident)(rule)
        for kept in hub.kept.values():
            kept.looked_at -= 60
        assert [piece["key"] for piece in (await frame(socket))["fragments"]] == ["open"]
        await socket.leave()

    run(test)


def test_what_nobody_shows_is_not_kept(client: Client) -> None:
    async def test() -> None:
        socket = browser(client)
        await socket.connect()
        await shows(socket, attention="", events="")
        await shows(socket, events="")
        assert set(hub.kept) == {"events"}
        await socket.leave()
        assert (hub.kept, dict(hub.wanted), hub.sockets) == ({}, {}, set())

    run(test)


# --- gaps, and slow browsers


def test_pieces_can_be_fetched_after_a_gap(client: Client) -> None:
    factories.an_incident(factories.a_rule(factories.a_service("web")), needs_person=True)
    answer = client.get("/live/fragments/?key=attention&key=open&key=incident-head:99&key=nonsense").json()
    assert [piece["key"] for piece in answer["fragments"]] == ["attention", "open"]
    assert answer["gone"] == ["incident-head:99", "nonsense"]
    assert answer["count"] == 1
    have = answer["fragments"][0]["version"]
    again = client.get(f"/live/fragments/?key=attention&key=open&have={have}").json()
    assert [piece["key"] for piece in again["fragments"]] == ["open"]


def test_a_piece_has_nothing_that_differs_between_people(client: Client) -> None:
    asked = factories.a_remediation(factories.an_incident(factories.a_rule(factories.a_service("web"))))
    path = f"/live/fragments/?key=approvals&key=incident-repair:{asked.incident_id}&key=automation"
    mine = client.get(path).json()["fragments"]
    client.force_login(factories.a_user("viewer"))
    assert client.get(path).json()["fragments"] == mine
    assert 'name="csrfmiddlewaretoken" value=""' in mine[0]["html"]


@pytest.mark.parametrize(
    "key", ["incident-head:x", "card:-1", "card:" + "9" * 50, "service-head:\x00", "incidents:page=%00", "x" * 500]
)
def test_a_senseless_key_is_no_error(client: Client, key: str) -> None:
    assert client.get("/live/fragments/", {"key": key}).status_code == 200


def test_a_slow_browser_is_told_to_fetch_anew() -> None:
    async def test() -> None:
        sent: list[str] = []
        free = asyncio.Event()

        async def send(text: str) -> None:
            await free.wait()
            sent.append(text)

        async def close(code: int) -> None: ...

        socket = Socket(send, close, session="s", user_id=1)
        for number in range(1000):
            socket.put(f"frame {number}")
            assert len(socket._waiting) <= FRAMES_WAITING
            if not number:
                await asyncio.sleep(0)
        socket.put("x" * 600_000)
        assert socket._size < 1000
        free.set()
        await asyncio.sleep(0.05)
        assert sent == ["frame 0", RESYNC]
        socket.end()

    async_to_sync(test)()


def test_a_browser_that_never_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.live.socket.SEND_WITHIN_S", 0.05)

    async def test() -> None:
        closed: list[int] = []

        async def send(text: str) -> None:
            await asyncio.sleep(60)

        async def close(code: int) -> None:
            closed.append(code)

        socket = Socket(send, close, session="s", user_id=1)
        socket.put("frame")
        await asyncio.sleep(0.2)
        assert closed == [4408]

    async_to_sync(test)()


# --- notices


def test_a_notice_touches_the_services_that_depend_on_it() -> None:
    store = factories.a_service("store")
    web = factories.a_service("web", depends_on=(store,))
    topics = expand([{"kind": "remediation", "id": 7, "incident": 5, "service": store.pk}])
    assert topics == {
        "remediation",
        "remediation:7",
        "incident:5",
        "service",
        f"service:{store.pk}",
        f"service:{web.pk}",
    }


def test_a_broker_that_is_away_neither_raises_nor_delays(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    config = {"hosts": ["unix:///nowhere/valkey.sock"]}
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": config}}
    sender = publish.Sender()
    started = timezone.now()
    for number in range(publish.WAITING_AT_MOST * 2):
        sender.put({"kind": "incident", "id": number})
    assert (timezone.now() - started).total_seconds() < 0.5
