"""What the backends accept as parameters; everything hostile is refused by the parameter's own pattern."""

from __future__ import annotations

from typing import Any

import pytest

from remediation import registry
from remediation.exceptions import ConfigurationError

SUPERVISORD = {"url": "unix:///run/s.sock", "process": "shop:web"}
HAPROXY = {"socket": "/run/h.sock", "backend": "db", "server": "a", "standby": "b"}
HTTP = {"url": "http://shop.example/heal"}
GOOD = {"supervisord": SUPERVISORD, "haproxy": HAPROXY, "http": HTTP}

HOSTILE = ["; reboot", "$(reboot)", "`id`", "a\nb", "a\n", "a\x00b", "--force", "-f", "a b", "{{7*7}}", "{x.__class__}",
           "<img onerror=alert(1)>", "../../etc/passwd", "a:b:c", "*", "shop:*", "é", "a" * 300]  # fmt: skip
NAMES = [("supervisord", "process"), ("supervisord", "group"), ("haproxy", "backend"), ("haproxy", "server"),
         ("haproxy", "standby")]  # fmt: skip


@pytest.mark.parametrize(
    ("backend", "change"),
    [
        ("supervisord", {}),
        ("supervisord", {"process": "web"}),
        ("supervisord", {"process": "web-1.a@b+c:web_00"}),
        ("supervisord", {"process": "", "group": "web", "minimum": 0, "maximum": 4}),
        ("supervisord", {"url": "http://127.0.0.1:9001", "username": "op", "secret_ref": "env:SUPERVISOR_PASSWORD"}),
        ("supervisord", {"url": "http://[::1]:9001/", "secret_ref": "file:/run/secrets/it"}),
        ("haproxy", {}),
        ("haproxy", {"server": "db_1.eu:5432"}),
        ("haproxy", {"promote_url": "http://127.0.0.1:8008/promote"}),
        ("haproxy", {"promote": {"a": "http://a.example/", "b": "https://b.example/p?x=1"}}),
        ("http", {}),
        ("http", {"url": "https://[::1]:8443/a;b,c/%20?q=~x&y='", "method": "PUT", "body": '{"a": [1]}'}),
        ("http", {"body": "plain", "content_type": "text/plain", "expect_status": [204], "headers": {"X-A": "b c"}}),
    ],
)
def test_good_parameters_are_taken(backend: str, change: dict[str, Any]) -> None:
    registry.backend(backend).parse({**GOOD[backend], **change})


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(("backend", "field"), NAMES)
def test_hostile_names_are_refused(backend: str, field: str, value: str) -> None:
    if (backend, value) == ("haproxy", "a:b:c"):  # HAProxy's names may hold colons, and mean nothing more
        return
    change = {"process": "", field: value} if backend == "supervisord" else {field: value}
    with pytest.raises(ConfigurationError, match=field):
        registry.backend(backend).parse({**GOOD[backend], **change})


@pytest.mark.parametrize(
    ("backend", "change", "wrong"),
    [
        *[("supervisord", {"url": url}, "url") for url in (
            "", "unix://relative", "unix:///a b", "unix:///" + "x" * 107, "unix:///a\n", "https://h:1", "file:///x",
            "http://u:p@h:1", "http://h:1/path", "http://h;reboot", "http://h\x00", "-s http://h")],
        ("supervisord", {"group": "g"}, "name either a process or a group"),
        ("supervisord", {"process": ""}, "name either a process or a group"),
        ("supervisord", {"minimum": -1}, "minimum"),
        ("supervisord", {"minimum": 3, "maximum": 2}, "the maximum is below the minimum"),
        ("supervisord", {"username": "a:b"}, "username"),
        ("supervisord", {"secret_ref": "hunter2"}, "secret_ref"),
        ("supervisord", {"secret_ref": "file:relative"}, "secret_ref"),
        ("supervisord", {"secret_ref": "env:A\n"}, "secret_ref"),
        ("supervisord", {"password": "hunter2"}, "password: Extra inputs"),
        *[("haproxy", {"socket": path}, "socket") for path in (
            "", "h.sock", "/a b", "/a\n", "/a\x00", "/" + "x" * 107)],
        ("haproxy", {"standby": "a"}, "server and standby are the same"),
        ("haproxy", {"promote": {"c": "http://x/"}}, "promote names c, which is neither"),
        ("haproxy", {"promote": {"b": "file:///x"}}, "promote.b"),
        ("haproxy", {"promote": {"b": "http://x/"}, "promote_url": "http://x/"}, "both say how"),
        *[("http", {"url": url}, "url") for url in (
            "", "ftp://h/", "file:///etc/passwd", "//h/", "http://", "http:///p", "http://:80/", "http://h:99999/",
            "http://h:x/", "http://h:0/", "http://u:p@h/", "http://u@h/", "http://h/a b", "http://h/\r\nX: y",
            "http://h/\x00", "http://h/é", 'http://h/"', "http://h/<", "http://h/{label}", "javascript:alert(1)",
            "http://[::1/", "--url=http://h/")],
        ("http", {"state_url": "gopher://h/"}, "state_url"),
        ("http", {"probe_url": "http://h/\n"}, "probe_url"),
        ("http", {"method": "CONNECT"}, "method"),
        ("http", {"method": "GET\r\nX: y"}, "method"),
        ("http", {"body": "{no json"}, "the body is not JSON"),
        ("http", {"body": "[" * 20000}, "the body is not JSON"),
        ("http", {"expect_status": []}, "expect_status"),
        ("http", {"expect_status": [99]}, "expect_status"),
        ("http", {"timeout_s": 0}, "timeout_s"),
        ("http", {"timeout_s": float("inf")}, "timeout_s"),
        ("http", {"headers": {"X-A": "b\r\nX-B: c"}}, "headers"),
        ("http", {"headers": {"X A": "b"}}, "headers"),
        ("http", {"headers": {"authorization": "Bearer x"}}, "a token goes into secret_ref"),
        ("http", {"headers": {"Idempotency-Key": "x"}}, "Idempotency-Key is set by Homeostat"),
        ("http", {"secret_ref": "Bearer x"}, "secret_ref"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_named(backend: str, change: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        registry.backend(backend).parse({**GOOD[backend], **change})
    assert wrong in str(caught.value)


@pytest.mark.parametrize("backend", GOOD)
def test_every_parameter_is_described(backend: str) -> None:
    schema = registry.backend(backend).Params.model_json_schema()
    assert [name for name, one in schema["properties"].items() if not one.get("description")] == []
