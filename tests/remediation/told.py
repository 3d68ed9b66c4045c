"""A real Prometheus whose series are written by hand, and rules that are evaluated on it tick by tick."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy import tools
from remediation import evaluation, loop, turn
from remediation.models import Rule, Source
from remediation.observe.answers import Answer
from remediation.observe.prometheus import Prometheus
from remediation.rules import store
from tests.remediation.world import make_rule


class Told:
    """A source whose series are written by hand, and what it was asked."""

    def __init__(self, kept: store.Store, source: Source, asked: list[str]) -> None:
        self.kept, self.source, self.asked = kept, source, asked
        self.now = datetime.fromtimestamp(int(time.time()), UTC)
        self.rules: list[Rule] = []

    def write(self, metric: str, values: dict[str, float], **labels: str) -> None:
        rows = [
            ({"__name__": metric, "id": name, **labels}, self.now.timestamp(), value) for name, value in values.items()
        ]
        self.kept.write([*rows, ({"__name__": "up", "job": metric}, self.now.timestamp(), 1.0)])

    def rule(self, query: str, **fields: Any) -> Rule:
        rule = make_rule(None, name=f"Rule{len(self.rules)}", query=query, **fields)
        self.rules.append(rule)
        return rule

    def tick(self, seconds: float = 10.0) -> int:
        self.asked.clear()
        self.now += timedelta(seconds=seconds)
        return loop.evaluate_many([rule.pk for rule in self.rules], now=self.now)


@pytest.fixture(scope="module")
def written_by_hand() -> Iterator[store.Store]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(store.VARIABLE, str(tools.find("prometheus")))
        with store.running() as found:
            yield found


@pytest.fixture
def told(written_by_hand: store.Store, monkeypatch: pytest.MonkeyPatch) -> Told:
    source = Source.objects.create(name="prom", url=written_by_hand.url, stale_after_s=30, timeout_s=10)
    asked: list[str] = []
    instant = Prometheus.instant

    def noted(self: Prometheus, query: str, *, at: float, as_is: bool = False) -> Answer:
        asked.append(query)
        return instant(self, query, at=at, as_is=as_is)

    monkeypatch.setattr(Prometheus, "instant", noted)
    monkeypatch.setattr("remediation.models.rule.STARTS", 1)  # all slots begin together
    monkeypatch.setattr(turn, "_refresh_s", lambda: 300.0)
    monkeypatch.setattr(evaluation, "_alone", {})
    return Told(written_by_hand, source, asked)
