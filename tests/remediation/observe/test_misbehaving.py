"""A source that answers badly, late, too much or not at all: an ObserveError in plain words, in bounded time."""

from __future__ import annotations

import gzip
import ipaddress
import socket
import time
import tracemalloc
from http.server import BaseHTTPRequestHandler

import pytest

from remediation.exceptions import ConfigurationError, ObserveError, QueryRefused, SourceFailed
from remediation.observe import session
from remediation.observe.base import Access
from remediation.observe.prometheus import Prometheus

from .servers import EMPTY, Behaviour, answer, free_port, serving

Handler = BaseHTTPRequestHandler
ZEROS = bytes(64 * 1024)
BOMB = gzip.compress(bytes(50 * 2**20))


def client(url: str, **access: object) -> Prometheus:
    return Prometheus(Access(url=url, timeout_s=0.5, max_bytes=1024 * 1024, **access))  # type: ignore[arg-type]


def always(body: bytes, **options: object) -> Behaviour:
    return lambda handler: answer(handler, body, **options)  # type: ignore[arg-type]


def dripping(handler: Handler) -> None:
    """A byte now and then keeps a timeout per read from ever passing."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    drip(handler)


def dripping_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(handler)


def dripping_chunk_size(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    drip(handler)


def drip(handler: Handler) -> None:
    for _ in range(50):
        handler.wfile.write(b"1")
        time.sleep(0.1)


def endless(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(50 * 16):
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(ZEROS), ZEROS))


def bomb(handler: Handler) -> None:
    answer(handler, BOMB, Content_Encoding="gzip")


def hanging(handler: Handler) -> None:
    time.sleep(2)


def hang_up(handler: Handler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def cut(handler: Handler) -> None:
    answer(handler, EMPTY[:30], length=len(EMPTY))
    hang_up(handler)


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        (always(b"<html>secret page", kind="text/html"), "not Prometheus' JSON (text/html)"),
        (always(EMPTY[:-9]), "not Prometheus' JSON; is this the right address?"),
        (always(b"[]"), "not Prometheus' JSON"),
        (always(b'{"status":"success"}'), "not Prometheus' JSON"),
        (always(EMPTY.replace(b"[]", b'[{"metric":{}}]')), "not Prometheus' JSON"),
        (always(EMPTY.replace(b"[]", b'[{"metric":{"a":1},"value":[1,"1"]}]')), "not Prometheus' JSON"),
        (always(EMPTY.replace(b"[]", b'[{"metric":{},"value":[1,"one"]}]')), "not Prometheus' JSON"),
        (always(EMPTY.replace(b"[]", b'[{"metric":{},"value":[1,2]}]')), "not Prometheus' JSON"),
        (always(EMPTY.replace(b"[]", b'[{"metric":{},"value":["x","1"]}]')), "not Prometheus' JSON"),
        (always(EMPTY.replace(b"vector", b"surprise")), "not Prometheus' JSON"),
        (always(EMPTY.replace(b"[]", b'[{"metric":{"a":"\\ud800"},"value":[1,"1"]}]')), "not Prometheus' JSON"),
        (always(EMPTY.replace(b"[]", b'[{"metric":{"a":"\xed\xa0\x80"},"value":[1,"1"]}]')), "not Prometheus' JSON"),
        (always(b"[" * 100_000), "not Prometheus' JSON"),
        (always(b'{"status":"error","errorType":"unavailable","error":"starting"}', status=503), "HTTP 503: starting"),
        (always(b'{"status":"error","errorType":"internal","error":"oh\\nno"}'), "oh no"),
        (always(b"secret page", status=500), "HTTP 500; is Prometheus at this address?"),
        (always(b"secret page", status=404), "HTTP 404; is Prometheus"),
        (always(b"secret page", status=401), "does not accept the credentials (HTTP 401)"),
        (always(b"", status=302, Location="http://127.0.0.1:1/"), "redirects elsewhere (HTTP 302)"),
        (dripping, "did not answer in full within 0.5 s"),
        (dripping_headers, "did not answer in full within 0.5 s"),
        (dripping_chunk_size, "did not answer in full within 0.5 s"),
        (hanging, "did not answer in full within 0.5 s"),
        (cut, "broke off"),
        (hang_up, "broke off"),
        (lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n"), "broke off"),
    ],
)
def test_misbehaving_source_has_failed(behaviour: Behaviour, text: str) -> None:
    with serving(behaviour) as server:
        begun = time.monotonic()
        with pytest.raises(SourceFailed) as caught:
            client(server.url).instant("up", at=1.0)
    assert text in str(caught.value)
    assert "secret page" not in str(caught.value)
    assert time.monotonic() - begun < 1.5


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        (always(EMPTY.replace(b"[]", b'[{"metric":{},"histogram":[1,{}]}]')), "native histograms"),
        (always(EMPTY.replace(b"vector", b"string")), "gives a text"),
        (always(EMPTY.replace(b"[]", b'[{"metric":{"a":"b\\u0000"},"value":[1,"1"]}]')), "holds a NUL character"),
        (always(EMPTY.replace(b"[]", b'[{"metric":{"a\\u0000":"b"},"value":[1,"1"]}]')), "holds a NUL character"),
        (always(b'{"status":"error","errorType":"timeout","error":"too slow"}', status=503), "HTTP 503: too slow"),
        (always(b'{"status":"error","errorType":"timeout","error":"too slow"}'), "too slow"),
        (always(b"x" * 2**21), "is larger than 1 MiB"),
        (endless, "is larger than 1 MiB"),
        (bomb, "is larger than 1 MiB"),
    ],
)
def test_an_answer_that_is_unusable_for_one_query_is_not_the_sources_failure(behaviour: Behaviour, text: str) -> None:
    with serving(behaviour) as server, pytest.raises(ObserveError) as caught:
        client(server.url).instant("up", at=1.0)
    assert text in str(caught.value)
    assert not isinstance(caught.value, SourceFailed | QueryRefused)


@pytest.mark.parametrize("behaviour", [endless, bomb])
def test_a_large_answer_takes_bounded_memory(behaviour: Behaviour) -> None:
    with serving(behaviour) as server, Prometheus(Access(url=server.url, max_bytes=2**20)) as source:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        with pytest.raises(ObserveError, match="larger than 1 MiB"):
            source._get("/api/v1/rules")
        grown = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
    assert grown < 8 * 2**20


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_query_repeats_the_source_words(status: int) -> None:
    body = b'{"status":"error","errorType":"bad_data","error":"1:4: parse error: unclosed %s"}' % (b"(" * 1000)
    with serving(always(body, status=status)) as server, pytest.raises(QueryRefused) as caught:
        client(server.url).instant("up(", at=1.0)
    assert str(caught.value).startswith("1:4: parse error: unclosed ((((")
    assert len(str(caught.value)) == 300


def test_nobody_there() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(SourceFailed) as caught:
        client(url).instant("up", at=1.0)
    assert str(caught.value) == f"cannot reach {url}: refused; is Prometheus running there?"


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(ObserveError, match=r"cannot reach http://no-such-host\.invalid: its name is not known here"):
        client("http://no-such-host.invalid").instant("up", at=1.0)


def test_a_redirect_takes_no_credentials_along() -> None:
    with serving(always(EMPTY)) as other:
        with (
            serving(lambda handler: answer(handler, b"", status=307, Location=other.url)) as first,
            pytest.raises(ObserveError, match="redirects elsewhere"),
        ):
            client(first.url, auth="bearer", secret="s3cret").instant("up", at=1.0)
        assert (len(first.asked), other.asked) == (1, [])


@pytest.mark.parametrize(
    ("access", "header"),
    [
        ({"auth": "bearer", "secret": "s3cret"}, "Bearer s3cret"),
        ({"auth": "basic", "username": "jo", "secret": "pä:ss"}, "Basic am86cMOkOnNz"),
        ({}, None),
    ],
)
def test_credentials_are_sent_and_never_shown(
    access: dict[str, str], header: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with serving(always(EMPTY)) as server:
        source = client(server.url, **access)
        source.instant("up", at=1.0)
    assert {headers.get("Authorization") for _, headers in server.asked} == {header}
    assert {headers["Accept-Encoding"] for _, headers in server.asked} == {"identity"}
    assert all(access.get("secret", "s3cret") not in repr(item) for item in (source, source.access))
    with pytest.raises(ObserveError) as caught:
        client(f"http://127.0.0.1:{free_port()}", **access).instant("up", at=1.0)
    assert access.get("secret", "s3cret") not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_far_sources_are_asked_to_compress() -> None:
    source = Prometheus(
        Access(url="https://prometheus.example:9090/prefix/", extra={"headers": {"X-Scope-OrgID": "a"}})
    )
    assert (source.headers["Accept-Encoding"], source.headers["X-Scope-OrgID"]) == ("gzip", "a")
    assert (source.url, source.origin) == ("https://prometheus.example:9090/prefix", "https://prometheus.example:9090")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("file:///etc/passwd", "starts with http"),
        ("ftp://x", "starts with http"),
        ("127.0.0.1:9090", "starts with http"),
        ("", "starts with http"),
        ("http://", "starts with http"),
        ("http://x:99999", "cannot be read"),
        ("http://jo:secret@x", "holds no user name"),
        ("http://x/?a=b", "holds no user name, query"),
        ("http://169.254.169.254", "link-local"),
        ("http://[fe80::1]:9090", "link-local"),
        ("http://[::ffff:169.254.169.254]", "link-local"),
        ("http://[fd00:ec2::254]", "link-local"),
    ],
)
def test_addresses_that_are_never_tried(url: str, text: str) -> None:
    with pytest.raises(SourceFailed, match=text) as caught:
        client(url)
    assert isinstance(caught.value, ConfigurationError) and "secret" not in str(caught.value)


@pytest.mark.parametrize("secret", ["", "a b", "a\r\nX: y", "naïve"])
def test_a_token_that_would_break_the_header_is_refused_unshown(secret: str) -> None:
    with pytest.raises(ObserveError) as caught:
        client("http://127.0.0.1:9090", auth="bearer", secret=secret)
    assert not secret or secret not in str(caught.value)


def test_a_name_that_turns_link_local_is_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(always(EMPTY)) as server:
        source = client(server.url, auth="bearer", secret="s3cret")
        monkeypatch.setattr(session, "REFUSED", [ipaddress.ip_network("127.0.0.0/8")])
        with pytest.raises(ObserveError, match="link-local"):
            source.instant("up", at=1.0)
    assert server.asked == []


def test_the_connection_is_kept_and_renewed_when_the_server_dropped_it() -> None:
    connections: list[object] = []

    def moody(handler: Handler) -> None:
        if connections[-1:] == [handler.connection]:
            hang_up(handler)  # says nothing to the second question on one connection
            return
        connections.append(handler.connection)
        answer(handler, EMPTY)

    with serving(moody) as server:
        source = client(server.url)
        for _ in range(3):
            source._get("/api/v1/query")
    assert (len(server.asked), len(connections)) == (5, 3)


def test_long_queries_are_sent_as_a_form() -> None:
    with serving(always(EMPTY)) as server:
        client(server.url).instant("up" + " " * 3000, at=1.0)
    path, headers = server.asked[-1]
    assert headers["Content-Type"] == "application/x-www-form-urlencoded" and path.startswith("/api/v1/query?")


def test_the_inherited_methods_are_bounded_too() -> None:
    for behaviour in (dripping, endless, always(b"", status=302, Location="http://127.0.0.1:1/")):
        with serving(behaviour) as server, pytest.raises(ObserveError):
            client(server.url).all_metrics()


def old_server(handler: Handler) -> None:
    """Takes no notice of lookback_delta, and refuses what Homeostat made of the query."""
    if "last_over_time" in handler.path:
        answer(handler, b'{"status":"error","errorType":"bad_data","error":"not in your words"}', status=400)
    else:
        answer(handler, EMPTY)


def new_server(handler: Handler) -> None:
    if "lookback_delta=senseless" in handler.path:
        answer(handler, b'{"status":"error","errorType":"bad_data","error":"no duration"}', status=400)
    else:
        answer(handler, EMPTY)


def test_a_server_that_knows_lookback_gets_the_query_unchanged() -> None:
    with serving(new_server) as server:
        source = client(server.url, stale_after_s=15.0)
        for _ in range(2):
            source.instant("up", at=1.0)
    assert [path for path, _ in server.asked][1:] == [
        "/api/v1/query?time=1.000&timeout=450ms&query=up&lookback_delta=15000ms"
    ] * 2


def test_staleness_that_cannot_be_told_is_no_answer() -> None:
    with serving(old_server) as server, pytest.raises(ObserveError, match="cannot leave stale samples out"):
        client(server.url).instant("up", at=1.0)
