"""Kept windows against a real Prometheus whose exporter comes and goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from deploy import tools
from remediation.observe import kept, window
from remediation.observe.answers import Answer
from remediation.observe.base import Access, Question
from remediation.observe.prometheus import Prometheus
from remediation.observe.shelf import shelf

from .servers import answer, prometheus_running, serving, wait_until
from .test_kept import assert_same

pytestmark = pytest.mark.real

STEP = 0.25
CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}
rule_files: [rules.yml]
scrape_configs:
  - {{job_name: toy, static_configs: [{{targets: ['{toy}']}}]}}
"""
RULES = "groups: [{name: toys, rules: [{record: 'toy:twice', expr: 'toy_value * 2'}]}]"


class Counting(Prometheus):
    """Remembers how many columns it was asked for."""

    asked: list[int]

    def range(self, query: str, *, start: float, end: float, step_s: float) -> Answer:
        self.asked.append(round((end - start) / step_s) + 1)
        return super().range(query, start=start, end=end, step_s=step_s)


class Toy:
    """A new value with each scrape, and other series with each dozen; a slow one now and then; no answer at times."""

    scrapes = 0

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        self.scrapes += 1
        if self.scrapes % 5 == 0:
            time.sleep(0.12)
        names = [f"s{number}" for number in range(4) if (self.scrapes // 12 + number) % 4]
        text = "".join(f'toy_value{{i="{name}"}} {self.scrapes}\n' for name in names)
        answer(handler, text.encode(), status=500 if self.scrapes % 17 > 14 else 200, kind="text/plain; version=0.0.4")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counting]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    (folder / "rules.yml").write_text(RULES)
    with serving(Toy()) as server:
        config = CONFIG.format(toy=server.url.removeprefix("http://"))
        with prometheus_running(str(tools.find("prometheus")), folder, config) as url:
            client = Counting(Access(url=url, timeout_s=5.0, stale_after_s=1.0))
            client.asked = []
            wait_until(lambda: len(client.instant("toy:twice", at=time.time()).series))
            yield client


def test_kept_windows_equal_fresh_ones(source: Counting) -> None:
    """Looked at while samples are still on their way, and compared when all have arrived."""
    shelf.clear()
    questions = [
        Question(query=query, window_s=5, step_s=STEP)
        for query in ("toy_value", "toy:twice", "up", "rate(toy_value[1s])", "sum(toy_value) by (i) > 50", "absent(no)")
    ]
    begun = time.time()
    for look in range(48):
        now = begun + look * STEP
        time.sleep(max(0.0, now - time.time()))
        for question in questions:
            if look % 7 != 3:
                kept.fetch(source, 1, question, now=now)
    whole = [count for count in source.asked if count > 10]
    assert len(whole) <= 2 * len(questions)  # at first, and at most once more where the hour was over
    time.sleep(1.5)
    now += STEP
    for question in questions:
        found = kept.fetch(source, 1, question, now=now)
        assert source.asked[-1] <= 6
        wanted = window.fetch(source, question, now=now)
        assert wanted.labels
        assert_same(found, wanted)
