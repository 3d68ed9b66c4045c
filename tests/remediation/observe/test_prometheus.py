"""The client against a real Prometheus that scrapes a small exporter of ours."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest

from deploy import tools
from remediation.exceptions import ObserveError, QueryRefused, SourceFailed
from remediation.observe.base import Access, Question
from remediation.observe.prometheus import Prometheus
from remediation.observe.window import fetch

from .servers import answer, prometheus_running, serving, wait_until

pytestmark = pytest.mark.real

CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}
rule_files: [rules.yml]
scrape_configs:
  - {{job_name: toy, static_configs: [{{targets: ['{toy}', '127.0.0.1:1']}}]}}
"""
RULES = """
groups:
  - name: toys
    rules:
      - {alert: ToyFiring, expr: 'toy_value == 7', labels: {severity: critical}, annotations: {summary: 'it is 7'}}
      - {alert: ToyPending, expr: 'toy_value == 7', for: 1h}
      - {record: 'toy:twice', expr: 'toy_value * 2'}
"""


@dataclass
class Toy:
    """What the exporter says next; text None is an error page."""

    text: str | None


@pytest.fixture(scope="module")
def toy() -> Toy:
    """A sample with a time of its own gets no staleness marker when it stays away: only its age tells."""
    stamp = int(time.time() * 1000)
    return Toy(text=f"toy_value 7\ntoy_other 8\ntoy_nan NaN\ntoy_inf +Inf\ntoy_stamped 1 {stamp}\n")


@pytest.fixture(scope="module")
def source(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    def metrics(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, (toy.text or "").encode(), status=200 if toy.text else 500, kind="text/plain; version=0.0.4")

    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "rules.yml").write_text(RULES)
    with serving(metrics) as server:
        config = CONFIG.format(toy=server.url.removeprefix("http://"))
        with prometheus_running(str(tools.find("prometheus")), folder, config) as url:
            client = Prometheus(Access(url=url, timeout_s=5.0, stale_after_s=2.0))
            wait_until(lambda: client.alerts().alerts)
            wait_until(lambda: len(client.instant("toy_value", at=time.time()).series))
            yield client


def test_instant_keeps_numbers_and_what_is_none_is_none(source: Prometheus) -> None:
    found = fetch(source, Question(query='{__name__=~"toy_(value|nan|inf)"}'), now=time.time())
    values = {labels["__name__"]: value for labels, value in zip(found.labels, found.values[:, 0], strict=True)}
    assert values["toy_value"] == 7.0
    assert math.isnan(values["toy_inf"]) and math.isnan(values["toy_nan"])  # infinite is no number to a detector either
    assert source.instant("toy_value", at=time.time()).kind == "vector"


def test_scalar_is_one_series_without_labels(source: Prometheus) -> None:
    found = fetch(source, Question(query="scalar(toy_value) + 1"), now=time.time())
    assert (found.labels, found.values.tolist()) == (({},), [[8.0]])


def test_range_ends_with_the_newest_sample(source: Prometheus) -> None:
    wait_until(lambda: source.instant("toy_value offset 1s", at=time.time()).series)
    now = time.time()
    found = fetch(source, Question(query="toy_value", window_s=60, step_s=0.5), now=now)
    assert found.values.shape == (1, 121)
    assert 0 <= now - found.times[-1] < 0.002
    assert found.values[0, -1] == 7.0 and np.isnan(found.values[0, 0])


def test_stale_samples_are_left_out(source: Prometheus) -> None:
    """No marker says that toy_stamped has ended: a plain query would show it for five minutes."""
    plain = source.custom_query("toy_stamped")
    assert len(plain) == 1
    wait_until(lambda: not source.instant("toy_stamped", at=time.time()).series)
    assert len(source.custom_query("toy_stamped")) == 1
    now = time.time()
    assert source.instant("toy_value", at=now + 30).series == ()
    assert source.instant('sum by (job) (toy_value{job="toy"} offset 100ms)', at=now + 30).series == ()
    assert source.range("toy_value", start=now + 10, end=now + 20, step_s=1).series == ()
    assert len(source.instant("toy_value", at=now + 1).series) == 1


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("up(", "unclosed left parenthesis"),
        ('rate(up{a="', "unterminated quoted string"),
        ("nofunction(up)", "unknown function"),
        ("toy_value + on(job) up", "many-to-many"),
    ],
)
def test_bad_promql_is_refused_in_the_source_words(source: Prometheus, query: str, text: str) -> None:
    with pytest.raises(QueryRefused, match=text):
        fetch(source, Question(query=query), now=time.time())


def test_text_is_no_number(source: Prometheus) -> None:
    with pytest.raises(ObserveError, match="gives a text"):
        fetch(source, Question(query='"x"'), now=time.time())


def test_a_query_that_takes_too_long_is_not_the_sources_failure(source: Prometheus) -> None:
    with pytest.raises(ObserveError, match="timed out") as caught:
        source._answer("/api/v1/query", {"query": "toy_value", "timeout": "0.000001"})
    assert not isinstance(caught.value, SourceFailed | QueryRefused)


def test_alerts_are_those_that_fire(source: Prometheus) -> None:
    [alert] = source.alerts().alerts
    assert alert.labels["alertname"] == "ToyFiring" and alert.labels["severity"] == "critical"
    assert (alert.status, alert.value, alert.annotations) == ("firing", 7.0, {"summary": "it is 7"})
    assert 0 < time.time() - alert.starts_at < 60


def test_rules(source: Prometheus) -> None:
    wait_until(lambda: all(rule.health == "ok" for rule in source.rules()))
    assert [(rule.group, rule.name, rule.kind, rule.state) for rule in source.rules()] == [
        ("toys", "ToyFiring", "alerting", "firing"),
        ("toys", "ToyPending", "alerting", "pending"),
        ("toys", "toy:twice", "recording", ""),
    ]


def test_targets(source: Prometheus) -> None:
    wait_until(lambda: {target.health for target in source.targets()} == {"up", "down"})
    up, down = sorted(source.targets(), key=lambda target: target.health, reverse=True)
    assert (up.pool, up.labels["job"], up.last_error) == ("toy", "toy", "")
    assert down.labels["instance"] == "127.0.0.1:1" and "refused" in down.last_error
    assert up.scraped_at is not None and time.time() - up.scraped_at < 30


def test_ping_and_build(source: Prometheus) -> None:
    assert 0 < source.ping() < 5
    assert source.build()["version"][0].isdigit()


def test_liveness_needs_samples_from_some_time_ago(source: Prometheus) -> None:
    absent = Question(query="nothing_of_that_name", needs_liveness=True)
    wait_until(lambda: fetch(source, absent, now=time.time()).alive)
    assert not fetch(source, absent, now=time.time() - 3600).alive


def test_the_connection_is_kept(source: Prometheus) -> None:
    for _ in range(20):
        source.ping()
    pools = source._session.get_adapter(source.url).poolmanager.pools  # type: ignore[attr-defined]
    assert [pools[key].num_connections for key in pools.keys()]  # noqa: SIM118 - not a mapping == [1]


def test_series_vanish_when_the_exporter_fails(source: Prometheus, toy: Toy) -> None:
    """Last, for it breaks the exporter."""
    toy.text = None
    wait_until(lambda: not fetch(source, Question(query="toy_value"), now=time.time()).labels, seconds=5)
    assert fetch(source, Question(query='up{job="toy"}'), now=time.time()).values.sum() == 0
