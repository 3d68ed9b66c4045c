"""Live updates: that one change is one frame, rendered once, and reaches what it touches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from dashboard.live import fragments, publish
from dashboard.live import hub as hubs
from dashboard.live import shown as showing
from dashboard.live.hub import hub
from dashboard.live.topics import expand
from remediation.models import Rule, change
from remediation.signals import evaluated
from remediation.states import RemediationState
from tests.dashboard import factories, live_browser
from tests.dashboard.live_browser import Browser, browser, frame, run, shows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def in_this_process(settings: Any) -> None:
    live_browser.in_this_process(settings)


@pytest.fixture
def client(client: Client) -> Client:
    client.force_login(factories.a_user("approver", name="ann"))
    return client


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


@transaction.atomic
def open_together(rules: list[Rule]) -> None:
    for rule in rules:
        factories.an_incident(rule)


def test_many_changes_at_once_are_one_frame_rendered_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [factories.a_rule(factories.a_service()) for _ in range(5)]
    rounds: list[list[str]] = []
    real = fragments.render

    def counted(keys: Any, language: str) -> dict[str, fragments.Rendered]:
        rounds.append(sorted(keys))
        return real(rounds[-1], language)

    monkeypatch.setattr(showing, "render", counted)

    async def test() -> None:
        sockets = [browser(client) for _ in range(3)]
        for socket in sockets:
            await socket.connect()
            await shows(socket, open="", events="")
        rounds.clear()
        await sync_to_async(open_together)(rules)
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
        for kept in hub.shown.kept.values():
            kept.looked_at -= 60
        await sync_to_async(factories.an_incident)(rule)
        for kept in hub.shown.kept.values():
            kept.looked_at -= 60
        assert [piece["key"] for piece in (await frame(socket))["fragments"]] == ["open"]
        await socket.leave()

    run(test)


def test_a_piece_that_only_notices_move_is_looked_at_once_in_a_while(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "LOOK_S", 0.05)
    monkeypatch.setattr(publish, "announce", lambda *_, **__: None)
    kind = fragments.kind_of("services")
    assert kind is not None and kind.every_s == 0

    async def test() -> None:
        socket = browser(client)
        await socket.connect()
        await shows(socket, services="")
        (kept,) = hub.shown.kept.values()
        await sync_to_async(factories.a_service)("new")
        kept.looked_at -= fragments.LOST_S / 2
        assert await socket.hears_nothing(0.3)
        kept.looked_at -= fragments.LOST_S / 2
        assert [piece["key"] for piece in (await frame(socket))["fragments"]] == ["services"]
        await socket.leave()

    run(test)


def test_what_nobody_shows_is_not_kept(client: Client) -> None:
    async def test() -> None:
        socket = browser(client)
        await socket.connect()
        await shows(socket, attention="", events="")
        await shows(socket, events="")
        assert set(hub.shown.kept) == {("en", "events")}
        await socket.leave()
        assert (hub.shown.kept, hub.shown.views, hub.sockets) == ({}, {}, set())
        assert (hub.shown._wanted, hub.shown._by_topic) == ({}, {})

    run(test)


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
    sender._queue.queue.clear()  # its thread lives on and would tell the next test's broker


def test_each_browser_hears_its_own_language_rendered_once_per_language(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = factories.a_rule(factories.a_service("web"))
    rounds: list[tuple[str, list[str]]] = []
    real = fragments.render

    def counted(keys: Any, language: str) -> dict[str, fragments.Rendered]:
        rounds.append((language, sorted(keys)))
        return real(rounds[-1][1], language)

    monkeypatch.setattr(showing, "render", counted)

    async def test() -> None:
        said = ["en", "zh-hans", "zh-hans", "no such language", None]
        sockets = [browser(client) for _ in said]
        for socket, language in zip(sockets, said, strict=True):
            await socket.connect()
            await socket.say(json.dumps({"shows": {"open": ""}, "language": language}))
            await frame(socket)
        rounds.clear()
        await sync_to_async(factories.an_incident)(rule)
        texts = [await socket.hear() for socket in sockets]
        assert texts[1] == texts[2]
        assert texts[0] == texts[3] == texts[4]  # as the browser asked for its page, which is English here
        for text, language in zip(texts[:2], ("en", "zh-hans"), strict=True):
            whole = (await sync_to_async(real)(["open"], language))["open"]
            assert json.loads(text)["fragments"][0]["version"] == whole.version
        assert texts[0] != texts[1]
        for socket in sockets:
            await socket.leave()

    run(test)
    assert sorted(language for language, keys in rounds if keys == ["open"]) == ["en", "zh-hans"]


def test_queries_do_not_grow_with_the_browsers(client: Client) -> None:
    service = factories.a_service("web")
    rule = factories.a_rule(service)
    counted: list[int] = []

    async def test() -> None:
        sockets: list[Browser] = []
        for many in (1, 20):
            while len(sockets) < many:
                sockets.append(browser(client))
                await sockets[-1].connect()
                await shows(sockets[-1], open="", events="", **{f"card__{service.pk}": ""})
            with queries_of_the_hub() as made:
                await sync_to_async(factories.an_incident)(rule)
                for socket in sockets:
                    await frame(socket)
            counted.append(len(made))
        for socket in sockets:
            await socket.leave()

    run(test)
    assert counted[0] == counted[1] > 0


@contextmanager
def queries_of_the_hub() -> Iterator[list[str]]:
    """Statements of the thread that makes frames."""
    made: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        made.append(sql)
        return execute(sql, params, many, context)

    thread = hub._thread
    assert thread is not None
    wrapped: list[Any] = thread.submit(lambda: connection.execute_wrappers).result()
    wrapped.append(note)
    try:
        yield made
    finally:
        wrapped.remove(note)


def test_a_thousand_that_come_at_once_are_one_rendering(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[list[str]] = []
    real = fragments.render

    def counted(keys: Any, language: str) -> dict[str, fragments.Rendered]:
        rounds.append(sorted(keys))
        return real(rounds[-1], language)

    monkeypatch.setattr(showing, "render", counted)

    async def test() -> None:
        sockets = [browser(client) for _ in range(20)]
        for socket in sockets:
            await socket.connect()
        hellos = await asyncio.gather(*(shows(socket, open="", events="") for socket in sockets))
        assert {len(hello["fragments"]) for hello in hellos} == {2}
        for socket in sockets:
            await socket.leave()

    run(test)
    assert rounds == [["events", "open"]]
