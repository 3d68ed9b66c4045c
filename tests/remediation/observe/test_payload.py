from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.observe.base import SeenAlert
from remediation.observe.payload import Delivery, PayloadError, prometheus_alerts, timestamp, webhook
from remediation.series import fingerprint

ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "CartDown", "instance": "a:80", "empty": ""},
    "annotations": {"summary": "cart is down"},
    "startsAt": "2026-01-01T12:00:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
    "fingerprint": "whatever",
}
MESSAGE: dict[str, Any] = {"version": "4", "groupKey": "{}", "truncatedAlerts": 3, "new": {"a": []}, "alerts": [ALERT]}


def message(**changes: Any) -> bytes:
    """The message with one alert, in which fields are changed; None takes one away."""
    alert = {name: value for name, value in (ALERT | changes).items() if value is not None}
    return json.dumps(MESSAGE | {"alerts": [alert]}).encode()


def test_webhook() -> None:
    found = webhook(json.dumps(MESSAGE).encode())
    assert found.truncated == 3
    assert found.alerts == [
        SeenAlert(
            labels={"alertname": "CartDown", "instance": "a:80"},
            annotations={"summary": "cart is down"},
            status="firing",
            starts_at=1767268800.1234567,
            ends_at=None,
            generator_url="http://prometheus:9090/graph?g0.expr=up",
        )
    ]


def test_webhook_resolved_has_an_end() -> None:
    found = webhook(message(status="resolved", endsAt="2026-01-01T13:00:05+01:00")).alerts[0]
    assert (found.status, found.ends_at) == ("resolved", 1767268805.0)


@pytest.mark.parametrize("missing", ["annotations", "endsAt", "generatorURL", "fingerprint"])
def test_webhook_does_without(missing: str) -> None:
    assert len(webhook(message(**{missing: None})).alerts) == 1


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//evil", "data:text/html,x", "http://", 5, "http://a\n", "http://[", "HTTP:x"]
)
def test_webhook_keeps_only_links_that_are_links(url: object) -> None:
    assert webhook(message(generatorURL=url)).alerts[0].generator_url == ""


def test_webhook_cuts_long_annotations() -> None:
    assert len(webhook(message(annotations={"a": "x" * 9999})).alerts[0].annotations["a"]) == 2000


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "not JSON, or nested too deeply"),
        (b"[]", "not a JSON object"),
        (b"{}", "alerts is not a list"),
        (b'{"alerts":[1]}', "alerts is not a list of objects"),
        (b'{"version":"3","alerts":[]}', "only version 4"),
        (b'{"truncatedAlerts":"1","alerts":[]}', "truncatedAlerts"),
        (b'{"truncatedAlerts":-1,"alerts":[]}', "truncatedAlerts"),
        (json.dumps({"alerts": [ALERT] * 1001}).encode(), "more than 1000 alerts"),
        (message(status="broken"), "neither firing nor resolved"),
        (message(startsAt=None), "a time is not written like"),
        (message(startsAt="0001-01-01T00:00:00Z"), "since when"),
        (message(startsAt="yesterday"), "a time is not written like"),
        (message(startsAt="2026-02-30T00:00:00Z"), "does not exist"),
        (message(startsAt=5), "a time is not written like"),
        (message(labels=None), "labels are not an object"),
        (message(labels={}), "no labels"),
        (message(labels={"a": ""}), "no labels"),
        (message(labels={"a": 1}), "labels are not an object of texts"),
        (message(labels={"a b": "c"}), "'a b' is not a label name"),
        (message(labels={"a\n": "c"}), "is not a label name"),
        (message(labels={"a": "x" * 2001}), "the value of label a is longer than 2000"),
        (message(labels={f"a{number}": "b" for number in range(101)}), "more than 100 labels"),
        (message(labels={"a": "b\0"}), "NUL"),
        (message(annotations={"a": "b\0"}), "NUL"),
        (message(annotations={"a": [[]]}), "annotations are not an object of texts"),
        (message(annotations={"<b>": "x"}), "an annotation has a name"),
    ],
)
def test_webhook_refuses(body: bytes, text: str) -> None:
    with pytest.raises(PayloadError) as caught:
        webhook(body)
    assert text in str(caught.value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=200) | ANYTHING.map(lambda found: json.dumps(found).encode()))
def test_webhook_of_anything_is_refused_or_read(body: bytes) -> None:
    try:
        webhook(body)
    except PayloadError as error:
        assert str(error)


@given(st.sampled_from([*ALERT, "truncatedAlerts", "version", "alerts"]), ANYTHING)
def test_webhook_with_anything_in_one_field_is_refused_or_sound(name: str, value: Any) -> None:
    changed = copy.deepcopy(MESSAGE)
    (changed["alerts"][0] if name in ALERT else changed)[name] = value
    try:
        found = webhook(json.dumps(changed).encode())
    except PayloadError as error:
        assert str(error)
        return
    for alert in found.alerts:
        assert alert.status in ("firing", "resolved") and alert.labels
        assert all(isinstance(item, str) and "\0" not in item for pair in alert.labels.items() for item in pair)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5+00:00", 1.5),
        ("1970-01-01t01:00:00+01:00", 0.0),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_timestamp(text: str, seconds: float | None) -> None:
    assert timestamp(text) == seconds


@pytest.mark.parametrize(
    ("value", "number"), [("1e+00", 1.0), ("NaN", None), ("+Inf", None), ("x", None), (None, None)]
)
def test_prometheus_alerts_are_the_firing_ones(value: object, number: float | None) -> None:
    item = {"labels": {"alertname": "A"}, "annotations": {}, "activeAt": "1970-01-01T00:00:07Z", "value": value}
    found = prometheus_alerts([item | {"state": "firing"}, item | {"state": "pending"}])
    assert found.alerts == [SeenAlert(labels={"alertname": "A"}, status="firing", starts_at=7.0, value=number)]


def test_prometheus_alerts_of_a_storm_stay_readable() -> None:
    item = {"labels": {"alertname": "A"}, "state": "firing", "activeAt": "1970-01-01T00:00:07Z"}
    assert len(prometheus_alerts([item] * 10_000).alerts) == 10_000


ODD: list[tuple[object, str]] = [
    ({"labels": {"alertname": "B", "http.status": "500"}}, "'http.status' is not a label name"),
    ({"labels": {"alertname": "B", "größe": "5"}}, "'größe' is not a label name"),
    ({"labels": {"alertname": "x" * 2001}}, "the value of label alertname is longer than 2000 characters"),
    ({"labels": {"alertname": "B\0"}}, "a NUL character in the labels"),
    ({"startsAt": "yesterday", "activeAt": "yesterday"}, "a time is not written like 2026-01-31T12:00:00Z"),
    ({"annotations": {"summary": "\0"}}, "a NUL character in the annotations"),
    (5, "alerts is not a list of objects"),
]


@pytest.mark.parametrize(("odd", "reason"), ODD)
def test_one_odd_alert_is_skipped_and_counted(odd: Any, reason: str) -> None:
    good = ALERT | {"state": "firing", "activeAt": ALERT["startsAt"]}
    alert = good | odd if isinstance(odd, dict) else odd
    for found in (
        webhook(json.dumps(MESSAGE | {"alerts": [good, alert, good]}).encode()),
        prometheus_alerts([alert, good, good]),
    ):
        assert (len(found.alerts), found.skipped, found.reason) == (2, 1, reason)


def test_a_skipped_alert_is_still_known_by_its_labels() -> None:
    item = {"labels": {"alertname": "A"}, "state": "firing", "activeAt": "yesterday"}
    found = prometheus_alerts([item, item | {"labels": {"a b": "c"}}])
    assert found == Delivery(
        alerts=[],
        skipped=2,
        reason="a time is not written like 2026-01-31T12:00:00Z",
        unread=frozenset({fingerprint({"alertname": "A"})}),
    )


def test_webhook_without_alerts_is_sound() -> None:
    assert webhook(b'{"version":"4","alerts":[]}') == Delivery(alerts=[])
