"""The HTTP backend against a small server of our own."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from remediation.act.run import Run
from remediation.exceptions import ConfigurationError, EffectError, EffectNotStarted, EffectUncertain, OwnProcess
from remediation.targets import request
from remediation.targets.base import Attempt
from remediation.targets.http import Http, shorten

from .conftest import Received, attempt, free_port, ref

backend, verb = Http(), Run()


def test_a_request_carries_its_key_and_says_what_was_answered(web: Received) -> None:
    target = ref("http", url=f"{web.url}/status/202?a=1%202", body='{"who": "me"}', headers={"X-Team": "shop"})
    backend.check(target)
    call = verb.preview(backend, target, verb.parse({"arguments": {"size": 3, "label": "; reboot $(x) {{7*7}}"}}))
    effect = verb.execute(backend, target, call, attempt())
    sent = web.requests[-1]
    assert (sent["method"], sent["path"]) == ("POST", "/status/202?a=1%202")
    assert json.loads(sent["body"]) == {"who": "me", "size": 3, "label": "; reboot $(x) {{7*7}}"}
    assert sent["headers"] | {
        "Idempotency-Key": "key-1", "Homeostat-Fence": "1", "X-Team": "shop", "Content-Type": "application/json",
    } == sent["headers"]  # fmt: skip
    assert effect.facts == {"status": 202}


def test_an_expected_status_is_the_effect(web: Received) -> None:
    effect = backend.run(ref("http", url=f"{web.url}/status/200", method="PUT"), {}, attempt())
    assert effect.output == f"PUT {web.url}/status/200 answered 200: as asked"
    backend.run(ref("http", url=f"{web.url}/status/409", expect_status=[200, 409]), {}, attempt())


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("/status/404", EffectNotStarted, "answered 404: as asked; expected 200 or 201 or 202 or 204"),
        ("/status/503", EffectUncertain, "answered 503"),
        ("/status/206", EffectUncertain, "answered 206"),
        ("/away", EffectUncertain, "answered 302; redirects are not followed"),
        ("/slow", EffectUncertain, "no answer from 127.0.0.1:[0-9]+: timed out"),
        ("/drip", EffectUncertain, "no answer from 127.0.0.1:[0-9]+: timed out"),
    ],
)
def test_any_other_answer_says_what_is_certain(
    web: Received, path: str, error: type[EffectError], message: str
) -> None:
    began = time.monotonic()
    with pytest.raises(error, match=message):
        backend.run(ref("http", url=web.url + path, timeout_s=0.4), {}, attempt())
    assert time.monotonic() - began < 1
    assert len(web.requests) == 1


def test_the_attempt_s_deadline_holds_too(web: Received) -> None:
    with pytest.raises(EffectUncertain, match=r"timed out"):
        backend.run(ref("http", url=f"{web.url}/slow"), {}, attempt(0.2))


def test_a_refused_connection_did_not_start_anything() -> None:
    with pytest.raises(EffectNotStarted, match=r"127.0.0.1 port [0-9]+: Connection refused"):
        backend.run(ref("http", url=f"http://127.0.0.1:{free_port()}/"), {}, attempt())


def test_a_server_that_hangs_up_leaves_it_uncertain() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(EffectUncertain, match=r"no answer"):
            backend.run(ref("http", url=f"http://127.0.0.1:{listener.getsockname()[1]}/"), {}, attempt())


def test_a_certificate_nobody_vouches_for_is_refused_before_anything_is_sent(web: Received) -> None:
    with pytest.raises(EffectNotStarted, match=r"cannot connect"):
        backend.run(ref("http", url=web.url.replace("http:", "https:")), {}, attempt(2))
    assert web.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "169.254.1.1", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]",
        "[fe80::1]", "[fd00:ec2::254]", "0", "[::]", "224.0.0.1", "255.255.255.255", "100.100.100.200", "2852039166",
        "0xa9.0xfe.0xa9.0xfe",
    ],
)  # fmt: skip
def test_metadata_and_link_local_addresses_are_refused(host: str) -> None:
    target = ref("http", url=f"http://{host}/latest/meta-data")
    for act in (lambda: backend.check(target), lambda: backend.run(target, {}, attempt())):
        with pytest.raises(ConfigurationError, match=r"metadata addresses are not requested"):
            act()


def test_a_name_that_points_to_metadata_is_refused_when_it_is_used(
    web: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = ref("http", url=f"{web.url}/status/200")
    backend.check(target)
    monkeypatch.setattr(request, "resolve", lambda *_: ["127.0.0.1", "169.254.169.254"])  # it moved after the check
    with pytest.raises(ConfigurationError, match=r"not requested"):
        backend.run(target, {}, attempt())
    assert web.requests == []


def test_homeostat_s_own_address_is_refused(web: Received, settings: Any) -> None:
    settings.HOMEOSTAT_PORT = int(web.url.rpartition(":")[2])
    for host in ("127.0.0.1", "localhost", "[::1]"):
        target = ref("http", url=f"http://{host}:{settings.HOMEOSTAT_PORT}/")
        with pytest.raises(OwnProcess, match=r"Homeostat's own web server"):
            backend.check(target)
        with pytest.raises(OwnProcess):
            backend.run(target, {}, attempt())
    assert web.requests == []


def test_a_token_is_sent_and_never_shown(web: Received, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("t0p-secret\n")
    target = ref("http", url=f"{web.url}/echo", body='{"a": 1}', secret_ref=f"file:{secret}")
    effect = backend.run(target, {}, attempt())
    assert web.requests[-1]["headers"]["Authorization"] == "Bearer t0p-secret"
    assert 'Bearer *** {"a": 1} xxx' in effect.output
    assert len(effect.output) < 600
    assert "t0p-secret" not in f"{effect} {target} {backend.run_text(target, {})}"
    secret.write_text("two\nlines")
    with pytest.raises(ConfigurationError, match=r"holds characters that no token has") as caught:
        backend.check(target)
    assert "two" not in str(caught.value)


def test_state_and_probe_ask_only_where_they_were_told(web: Received) -> None:
    plain = ref("http", url=f"{web.url}/status/200")
    call = verb.preview(backend, plain, verb.parse({}))
    assert call.before == {}
    assert verb.probe(backend, plain, call).done is None
    assert web.requests == []

    assert backend.state(ref("http", url=web.url, state_url=f"{web.url}/status/503")) == {"status": 503}
    for path, done in [("/done/true", True), ("/done/false", False), ("/done/null", None), ("/status/200", None),
                       ("/status/500", None)]:  # fmt: skip
        assert verb.probe(backend, ref("http", url=web.url, probe_url=web.url + path), call).done is done
    with pytest.raises(EffectNotStarted, match=r"Connection refused"):
        verb.probe(backend, ref("http", url=web.url, probe_url=f"http://127.0.0.1:{free_port()}"), call)


def test_a_probe_says_which_request_it_asks_about_and_who_asks(web: Received) -> None:
    target = ref("http", url=web.url, probe_url=f"{web.url}/done/true")
    call = verb.preview(backend, target, verb.parse({}))
    later = Attempt(key="key-1", fence=4, timeout_s=1)
    assert verb.probe(backend, target, call, later).done is True
    sent = web.requests[-1]["headers"]
    assert (sent["Idempotency-Key"], sent["Homeostat-Fence"]) == ("key-1", "4")
    verb.probe(backend, target, call)
    assert not {"Idempotency-Key", "Homeostat-Fence"} & set(web.requests[-1]["headers"])


@pytest.mark.parametrize("name", ["homeostat-fence", "Idempotency-Key"])
def test_nobody_configures_what_names_an_attempt(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is set by Homeostat"):
        backend.parse({"url": "http://shop.example/", "headers": {name: "1"}})


def test_arguments_need_a_body_they_can_go_into() -> None:
    target = ref("http", url="http://shop.example/", body="[1]")
    with pytest.raises(ConfigurationError, match=r"only be added to a body that is a JSON object"):
        verb.preview(backend, target, verb.parse({"arguments": {"a": 1}}))


def test_shown_answers_are_short_and_printable() -> None:
    assert shorten(b"<b>\x00\x1b[31m\r\nred\xff", "") == "<b> [31m red�"
    assert shorten(b"x" * 1000, "") == "x" * 500 + "…"
