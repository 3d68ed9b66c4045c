"""What only messages told of is settled by Alertmanager's own list: a real one's, and that of servers which err."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import requests

from deploy import tools
from remediation.exceptions import ObserveError
from remediation.models import Alert, Source
from remediation.observe import alerts, clients
from remediation.observe.alertmanager import Alertmanager
from remediation.observe.answers import Answer
from remediation.observe.base import Access, SeenAlert
from remediation.observe.inventory import SeenRule
from remediation.observe.payload import Delivery, alertmanager_alerts

from .servers import Behaviour, alertmanager_running, answer, free_port, serving, wait_until

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
CART = {"alertname": "CartDown", "instance": "a:80"}
LATER = timedelta(seconds=alerts.SETTLING_S)


@pytest.fixture
def source() -> Source:
    return Source.objects.create(name="prom", url="http://127.0.0.1:1")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sent(status: str = "firing", *, labels: dict[str, str] = CART, start: datetime = START) -> SeenAlert:
    return SeenAlert(labels=labels, status=status, starts_at=start.timestamp())


def statuses() -> list[str]:
    return list(Alert.objects.order_by("pk").values_list("status", flat=True))


def client(url: str) -> Alertmanager:
    return Alertmanager(Access(url=url, timeout_s=0.5, max_bytes=1024 * 1024))


# --- a real one -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with alertmanager_running(str(tools.find("alertmanager")), tmp_path_factory.mktemp("alertmanager")) as url:
        yield url


def tell(url: str, name: str, *, start: datetime, ends_in_s: float) -> dict[str, str]:
    """What Prometheus would send; the labels."""
    labels = {"alertname": name}
    ends_at = datetime.now(UTC) + timedelta(seconds=ends_in_s)
    item = {"labels": labels, "startsAt": start.isoformat(), "endsAt": ends_at.isoformat()}
    requests.post(f"{url}/api/v2/alerts", json=[item], timeout=5).raise_for_status()
    return labels


def silence(url: str, name: str) -> None:
    now = datetime.now(UTC)
    item = {
        "matchers": [{"name": "alertname", "value": name, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "test",
        "comment": "test",
    }
    requests.post(f"{url}/api/v2/silences", json=item, timeout=5).raise_for_status()


@pytest.mark.real
def test_what_fires_there_is_stored_once_and_resolved_when_it_is_gone(real: str, source: Source) -> None:
    """The message's start has microseconds, the list's milliseconds."""
    now = datetime.now(UTC)
    start = now.replace(microsecond=123456) - timedelta(seconds=5)
    labels = tell(real, "Told", start=start, ends_in_s=60)
    other = tell(real, "Missed", start=start, ends_in_s=60)
    alerts.store(source, [sent(labels=labels, start=start)], now=now, pulled=False)
    with Alertmanager(Access(url=real)) as there:
        wait_until(lambda: {"Told", "Missed"} <= {item.labels["alertname"] for item in there.alerts().alerts})
        found = alerts.reconcile_alertmanager(source, there, now=now + timedelta(seconds=1))
        assert [(row.labels, row.status, row.pulled) for row in found] == [(other, "firing", False)]
        assert statuses() == ["firing", "firing"]
        # That it was seen once more is not written each time.
        assert {row.seen_at for row in Alert.objects.all()} <= {now, now + timedelta(seconds=1)}
        tell(real, "Told", start=start, ends_in_s=-1)
        wait_until(lambda: "Told" not in {item.labels["alertname"] for item in there.alerts().alerts})
        assert alerts.reconcile_alertmanager(source, there, now=now + timedelta(seconds=2)) == []
        found = alerts.reconcile_alertmanager(source, there, now=now + LATER + timedelta(seconds=2))
    assert [(row.labels, row.status) for row in found] == [(labels, "resolved")]


@pytest.mark.real
def test_what_is_silenced_there_is_kept_up_to_date_but_does_not_begin(real: str, source: Source) -> None:
    now = datetime.now(UTC)
    known = tell(real, "MutedKnown", start=now, ends_in_s=60)
    tell(real, "MutedNew", start=now, ends_in_s=60)
    silence(real, "MutedKnown")
    silence(real, "MutedNew")
    alerts.store(source, [sent(labels=known, start=now)], now=now, pulled=False)
    with Alertmanager(Access(url=real)) as there:
        muted = {"MutedKnown", "MutedNew"}
        wait_until(lambda: muted <= {item.labels["alertname"] for item in there.alerts().alerts if item.muted})
        alerts.reconcile_alertmanager(source, there, now=now + LATER + timedelta(seconds=1))
    row = Alert.objects.get(labels__alertname__startswith="Muted")
    assert (row.labels, row.status, row.seen_at) == (known, "firing", now + LATER + timedelta(seconds=1))


@pytest.mark.real
def test_it_tells_since_when_it_runs(real: str) -> None:
    with Alertmanager(Access(url=real)) as there:
        assert 0 < time.time() - there.started_at() < 600


# --- what a list means ------------------------------------------------------------------------------------------------


class Listed:
    """An Alertmanager that has run for long and lists these."""

    def __init__(self, *items: dict[str, Any], started: datetime = START - timedelta(days=1)) -> None:
        self.items, self.started = items, started

    def alerts(self) -> Delivery:
        return alertmanager_alerts(list(self.items))

    def started_at(self) -> float:
        return self.started.timestamp()


def item(**changes: Any) -> dict[str, Any]:
    start = START.isoformat(timespec="milliseconds")
    return {"labels": CART, "startsAt": start, "endsAt": start, "status": {"state": "active"}, **changes}


def test_absent_there_is_resolved(source: Source) -> None:
    alerts.store(source, [sent()], now=at(0), pulled=False)
    [row] = alerts.reconcile_alertmanager(source, Listed(), now=at(1))
    assert (row.status, row.ends_at, statuses()) == ("resolved", at(1), ["resolved"])


def test_absent_soon_after_its_start_says_nothing(source: Source) -> None:
    """It keeps no alert over a restart."""
    alerts.store(source, [sent()], now=at(0), pulled=False)
    restarted = Listed(started=at(10))
    assert alerts.reconcile_alertmanager(source, restarted, now=at(10 + alerts.SETTLING_S - 1)) == []
    assert len(alerts.reconcile_alertmanager(source, restarted, now=at(10 + alerts.SETTLING_S))) == 1


def test_a_message_that_came_meanwhile_is_newer_than_the_list(source: Source) -> None:
    alerts.store(source, [sent()], now=at(2), pulled=False)
    assert alerts.reconcile_alertmanager(source, Listed(), now=at(1)) == []


def test_an_end_of_which_no_message_came_does_not_end_the_next_start(source: Source) -> None:
    alerts.store(source, [sent(), sent(start=at(60))], now=at(60), pulled=False)
    alerts.reconcile_alertmanager(source, Listed(item(startsAt=at(60).isoformat())), now=at(61))
    assert statuses() == ["resolved", "firing"]


def test_listed_again_opens_a_new_start_once(source: Source) -> None:
    alerts.store(source, [sent()], now=at(0), pulled=False)
    alerts.reconcile_alertmanager(source, Listed(), now=at(15))
    told = [len(alerts.reconcile_alertmanager(source, Listed(item()), now=at(second))) for second in (30, 45, 60)]
    assert (told, statuses()) == ([1, 0, 0], ["resolved", "firing"])


def test_what_the_source_itself_shows_is_left_to_pulls(source: Source) -> None:
    """Alertmanager still lists it for some minutes when it is not told of the end."""
    alerts.reconcile_pull(source, [sent()], now=at(0))
    assert alerts.reconcile_alertmanager(source, Listed(), now=at(1)) == []
    alerts.reconcile_pull(source, [], now=at(15))
    assert alerts.reconcile_alertmanager(source, Listed(item()), now=at(30)) == []
    assert statuses() == ["resolved"]


def test_what_it_lists_stays_known_without_messages(source: Source) -> None:
    alerts.store(source, [sent()], now=at(0), pulled=False)
    late = at(alerts.REPEAT_S * 3)
    alerts.reconcile_alertmanager(source, Listed(item()), now=late)
    matrix = alerts.as_matrix(source.pk, "", now=late.timestamp() + 60, answered=True)
    assert matrix.values.tolist() == [[1.0]]


@pytest.mark.parametrize("odd", [item(startsAt="soon"), item(status="active"), item(annotations={"a": "\0"})])
def test_listed_but_not_to_be_kept_is_not_over(source: Source, odd: dict[str, Any]) -> None:
    alerts.store(source, [sent()], now=at(0), pulled=False)
    good = item(labels={"alertname": "Good"})
    [row] = alerts.reconcile_alertmanager(source, Listed(odd, good, item(labels={"a.b": "c"})), now=at(15))
    assert (row.labels, statuses()) == ({"alertname": "Good"}, ["firing", "firing"])


# --- one that misbehaves ----------------------------------------------------------------------------------------------


def serve(path: str, body: object, **options: Any) -> Behaviour:
    """An Alertmanager that lists nothing and has run for long, but for what it answers to one path."""
    sound: dict[str, object] = {"/api/v2/alerts": [], "/api/v2/status": {"uptime": "2020-01-01T00:00:00.000Z"}}

    def behave(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == path:
            answer(handler, body if isinstance(body, bytes) else json.dumps(body).encode(), **options)
        else:
            answer(handler, json.dumps(sound[handler.path]).encode())

    return behave


def hanging(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(2)


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        (
            serve("/api/v2/alerts", b"<html>secret page", kind="text/html"),
            "that is not Alertmanager's; is this the right",
        ),
        (serve("/api/v2/alerts", {"code": 1}), "lists alerts that cannot be read: alerts is not a list"),
        (serve("/api/v2/alerts", b"[" * 100_000), "that is not Alertmanager's"),
        (serve("/api/v2/alerts", b"secret page", status=404), "HTTP 404; is Alertmanager at this address?"),
        (serve("/api/v2/alerts", b"secret page", status=400), "HTTP 400; is Alertmanager at this address?"),
        (serve("/api/v2/alerts", b"", status=302, Location="http://127.0.0.1:1/"), "redirects elsewhere"),
        (serve("/api/v2/alerts", b" " * 2**21), "is larger than 1 MiB"),
        (serve("/api/v2/status", {"uptime": 5}), "that is not Alertmanager's"),
        (serve("/api/v2/status", {"uptime": "0001-01-01T00:00:00Z"}), "that is not Alertmanager's"),
        (serve("/api/v2/status", []), "that is not Alertmanager's"),
        (serve("/api/v2/status", b"secret page", status=500), "HTTP 500; is Alertmanager at this address?"),
        (hanging, "did not answer in full within 0.5 s"),
    ],
)
def test_one_that_misbehaves_changes_nothing(source: Source, behaviour: Behaviour, text: str) -> None:
    alerts.store(source, [sent()], now=at(0), pulled=False)
    with serving(behaviour) as server, pytest.raises(ObserveError) as caught:
        alerts.reconcile_alertmanager(source, client(server.url), now=at(15))
    assert text in str(caught.value) and "secret page" not in str(caught.value)
    assert statuses() == ["firing"]


# --- beside the pull of its source ------------------------------------------------------------------------------------


class Prometheus:
    """A source that answers that nothing fires, or this, or not at all."""

    def __init__(self, *firing: SeenAlert, down: bool = False) -> None:
        self.firing, self.down = firing, down

    def alerts(self) -> Delivery:
        if self.down:
            raise ObserveError("connection refused")
        return Delivery(alerts=list(self.firing))

    def rules(self) -> Sequence[SeenRule]:
        return ()

    def instant(self, query: str, *, at: float) -> Answer:
        return Answer(kind="vector", series=())


def test_pull_settles_both(source: Source) -> None:
    alerts.store(source, [sent()], now=at(0), pulled=False)
    with serving(serve("/api/v2/alerts", [])) as server:
        source.alertmanager_url = server.url
        found = alerts.pull(source, Prometheus(sent(labels={"alertname": "Own"})), now=at(15))
    assert {(row.labels["alertname"], row.status) for row in found} == {("CartDown", "resolved"), ("Own", "firing")}


def test_pull_without_the_source_does_not_ask_its_alertmanager(source: Source) -> None:
    """Alertmanager lists nothing more that a source in trouble does not repeat to it: no proof that it is over."""
    alerts.store(source, [sent()], now=at(0), pulled=False)
    with serving(serve("/api/v2/alerts", [])) as server:
        source.alertmanager_url = server.url
        with pytest.raises(ObserveError):
            alerts.pull(source, Prometheus(down=True), now=at(15))
    assert (server.asked, statuses()) == ([], ["firing"])


def test_pull_goes_on_without_alertmanager_and_says_so_once(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    alerts.store(source, [sent()], now=at(0), pulled=False)
    source.alertmanager_url = f"http://127.0.0.1:{free_port()}"
    own = Prometheus(sent(labels={"alertname": "Own"}))
    assert [len(alerts.pull(source, own, now=at(second))) for second in (15, 30, 45)] == [1, 0, 0]
    assert statuses() == ["firing", "firing"]
    assert [record.getMessage() for record in caplog.records] == [
        f"source prom: its Alertmanager fails: cannot reach {source.alertmanager_url}: refused; "
        "is Alertmanager running there?"
    ]


@pytest.mark.parametrize("url", ["http://169.254.169.254", "file:///etc/passwd", "http://["])
def test_pull_never_tries_an_address_that_is_refused(source: Source, url: str) -> None:
    source.alertmanager_url = url
    assert alerts.pull(source, Prometheus(), now=at(0)) == []


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://prom.example:9093", "s3cret"),
        ("http://prom.example:9093", ""),
        ("https://alerts.example", ""),
        ("https://prom.example.evil", ""),
    ],
)
def test_credentials_stay_with_their_host(monkeypatch: pytest.MonkeyPatch, url: str, secret: str) -> None:
    monkeypatch.setenv("PROM_TOKEN", "s3cret")
    source = Source(url="https://prom.example", auth="bearer", secret_ref="env:PROM_TOKEN", alertmanager_url=url)
    access = clients.alertmanager_access_of(source)
    assert (access.url, access.secret, access.auth) == (url, secret, "bearer" if secret else "none")
