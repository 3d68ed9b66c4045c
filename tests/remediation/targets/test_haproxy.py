"""The HAProxy backend against a real HAProxy with two small servers behind it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from remediation import registry
from remediation.act.failover import Failover
from remediation.exceptions import ConfigurationError, EffectNotStarted, EffectUncertain, OwnProcess
from remediation.targets.base import Call, TargetRef
from remediation.targets.haproxy import Haproxy
from remediation.targets.haproxy_runtime import Runtime
from remediation.targets.request import send
from remediation.targets.wire import Answer, Deadline

from .conftest import Received, attempt, eventually, free_port, haproxy, ref

pytestmark = pytest.mark.real

backend, verb = Haproxy(), Failover()


class Member:
    """A server that says its name to whoever connects, and hangs up when the client does, unless it `hangs`."""

    def __init__(self, name: str) -> None:
        self.name, self.port, self.listener, self.hangs = name, free_port(), socket.socket(), False
        self.start()

    def start(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._greet, args=(listener.accept()[0],), daemon=True).start()

    def _greet(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.sendall(self.name.encode())
            while connection.recv(100):
                pass
            while self.hangs:
                time.sleep(0.02)

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)  # close alone would leave accept() waiting
        self.listener.close()


@dataclass
class Shop:
    """A primary `a` and a standby `b`, a third server without weight, and the port in front of them."""

    socket: str
    port: int
    a: Member
    b: Member

    def target(self, **params: Any) -> TargetRef:
        return ref("haproxy", **{"socket": self.socket, "backend": "db", "server": "a", "standby": "b", **params})

    def order(self, command: str) -> None:
        Runtime(self.socket, "db", Deadline(2)).order(command)

    def status(self, name: str) -> str:
        return Runtime(self.socket, "db", Deadline(2)).servers()[name].status

    def greeting(self) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            return connection.recv(10).decode()

    def reset(self) -> None:
        """As after HAProxy's start: `a` serves, `b` is checked and waits."""
        for name in ("a", "b"):
            self.order(f"set server db/{name} state ready")
        eventually(lambda: self.status("a").startswith("UP") and self.status("b").startswith("UP"))


@pytest.fixture(scope="module")
def running_shop(folder: Path) -> Iterator[Shop]:
    a, b, port = Member("a"), Member("b"), free_port()
    config = f"""
frontend front
 bind 127.0.0.1:{port}
 default_backend db
backend db
 default-server check inter 100ms fall 2 rise 1 on-marked-down shutdown-sessions
 server a 127.0.0.1:{a.port}
 server b 127.0.0.1:{b.port} backup
 server idle 127.0.0.1:{b.port} weight 0
backend pair
 server a 127.0.0.1:{a.port} check inter 100ms
 server b 127.0.0.1:{b.port} check inter 100ms
"""
    with haproxy(folder, config) as path:
        yield Shop(socket=path, port=port, a=a, b=b)


@pytest.fixture
def shop(running_shop: Shop) -> Shop:
    running_shop.reset()
    return running_shop


def planned(target: TargetRef) -> Call:
    return verb.preview(backend, target, registry.Params())


def test_failover_moves_the_traffic_and_undo_brings_it_back(shop: Shop) -> None:
    target = shop.target()
    backend.check(target)
    call = planned(target)
    assert call.before == {"active": "a", "admin": {"a": "ready", "b": "ready"}}
    assert call.text == "set server db/a state maint; shutdown sessions server db/a; set server db/b state ready"
    assert shop.greeting() == "a"

    verb.execute(backend, target, call, attempt())
    assert [shop.greeting() for _ in range(3)] == ["b", "b", "b"]
    assert verb.probe(backend, target, call).done is True

    verb.undo(backend, target, call, attempt())
    assert [shop.greeting() for _ in range(3)] == ["a", "a", "a"]
    assert backend.state(target) == {"active": "a", "admin": {"a": "ready", "b": "maint"}}
    assert verb.probe(backend, target, call).done is None  # b is no longer as it was


def test_failover_ends_the_sessions_of_the_one_it_fences(shop: Shop) -> None:
    with socket.create_connection(("127.0.0.1", shop.port), timeout=2) as session:
        assert session.recv(10) == b"a"
        backend.switch(shop.target(), away_from="a", towards="b", attempt=attempt())
        assert session.recv(10) == b""


def test_failover_does_not_wait_for_a_primary_that_hangs_on_a_client_that_is_gone(shop: Shop) -> None:
    shop.a.hangs = True
    try:
        assert shop.greeting() == "a"
        effect = backend.switch(shop.target(), away_from="a", towards="b", attempt=attempt())
        assert effect.output == "fenced a, ended its sessions but 1 whose client is gone, set b ready"
        assert shop.greeting() == "b"
    finally:
        shop.a.hangs = False


def test_failover_away_from_a_dead_primary(shop: Shop) -> None:
    shop.a.stop()
    try:
        eventually(lambda: shop.status("a").startswith("DOWN"))
        target = shop.target()
        assert backend.active(target) == "a"  # HAProxy asks the backup meanwhile; nobody decided that it is the primary
        verb.execute(backend, target, planned(target), attempt())
        assert backend.state(target) == {"active": "b", "admin": {"a": "maint", "b": "ready"}}
        with pytest.raises(EffectNotStarted, match=r"a cannot take over: cannot connect to 127.0.0.1 port"):
            backend.standby(target)
    finally:
        shop.a.start()


def test_a_standby_that_is_down_is_not_asked_to_take_over(shop: Shop) -> None:
    shop.b.stop()
    try:
        eventually(lambda: shop.status("b").startswith("DOWN"))
        with pytest.raises(EffectNotStarted, match=r"b is down: it cannot take over"):
            planned(shop.target())
        with pytest.raises(EffectNotStarted, match=r"b is down"):
            backend.switch(shop.target(), away_from="a", towards="b", attempt=attempt())
        assert backend.state(shop.target()) == {"active": "a", "admin": {"a": "ready", "b": "ready"}}
    finally:
        shop.b.start()


def test_promotion_comes_between_the_fence_and_the_traffic(
    shop: Shop, web: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = shop.target(promote_url=f"{web.url}/promote")
    during = []

    def watch(*args: Any, **rest: Any) -> Answer:
        during.append(backend.state(target))
        return send(*args, **rest)

    monkeypatch.setattr("remediation.targets.haproxy.send", watch)
    effect = backend.switch(target, away_from="a", towards="b", attempt=attempt())
    assert during == [{"active": "", "admin": {"a": "maint", "b": "drain"}}]
    assert [(one["method"], one["path"], one["body"]) for one in web.requests] == [
        ("POST", "/promote", '{"key": "key-1"}')
    ]
    assert effect.output == "held b back, fenced a, ended its sessions, promoted b, set b ready"


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("/status/500", "answered 500"),
        ("/status/409", "answered 409"),
        ("/away", "answered 302"),
        ("/slow", "no answer from .*: timed out"),
    ],
)
def test_a_failed_promotion_leaves_the_fence_and_is_seen_by_the_probe(
    shop: Shop, web: Received, where: str, reason: str
) -> None:
    target = shop.target(promote={"b": web.url + where})
    call = planned(target)
    with pytest.raises(EffectUncertain, match=rf"held b back, fenced a, ended its sessions; then .*{reason}"):
        verb.execute(backend, target, call, attempt(0.6))
    found = verb.probe(backend, target, call)
    assert found.done is None
    assert found.reason == "nobody serves, and something has changed: it broke off midway"
    assert "promoted" not in str(found.facts)
    with pytest.raises(EffectNotStarted, match=r"no member of thing serves now"):
        planned(target)


def test_before_the_failover_the_probe_says_it_did_not_start(shop: Shop) -> None:
    assert verb.probe(backend, shop.target(), planned(shop.target())).done is False


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"backend": "nope"}, "HAProxy has no backend nope: Can't find backend"),
        ({"server": "zz"}, "backend db has no server zz; it has a, b, idle"),
        ({"socket": "/nowhere/h"}, "cannot connect to /nowhere/h: No such file"),
        ({"standby": "idle"}, "idle has weight 0"),
        ({"backend": "pair"}, "a and b both take traffic"),
        ({"promote_url": "http://169.254.169.254/latest"}, "metadata addresses are not requested"),
    ],
)
def test_check_names_what_cannot_work(shop: Shop, params: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        backend.check(shop.target(**params))


def test_a_server_that_is_homeostat_s_own_is_refused(shop: Shop, settings: Any) -> None:
    settings.HOMEOSTAT_PORT = shop.b.port
    with pytest.raises(OwnProcess, match=rf"127.0.0.1 port {shop.b.port} is Homeostat's own"):
        backend.check(shop.target())
    with pytest.raises(OwnProcess):
        backend.switch(shop.target(), away_from="a", towards="b", attempt=attempt())
    assert backend.active(shop.target()) == "a"


def test_a_silent_socket_is_given_up_in_time(folder: Path, shop: Shop) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/silent")
        silent.listen()
        began = time.monotonic()
        with pytest.raises(EffectNotStarted, match=r"asked `show servers state db`: no answer: timed out"):
            backend.state(shop.target(socket=f"{folder}/silent"), timeout_s=0.2)
        assert time.monotonic() - began < 1
