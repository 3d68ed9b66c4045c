"""The same history judged in batches, with counts, and rule by rule with every shortcut off: on a real Prometheus."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from remediation import evaluation, loop, turn
from remediation.models import Incident, Rule, SeriesState
from tests.remediation.told import Told

pytestmark = [pytest.mark.real, pytest.mark.django_db]

INTERVAL_S = 15
TICKS = 36
LOOK_S = 60.0
LAG_S = LOOK_S * 1.25 + 30 + 2 * INTERVAL_S
"""How late a series that was well may be known to have ended: the longest pace of looks, and stale_after_s."""

Moment = tuple[float, float | None, float | None]
Key = tuple[int, str]


def rules_of(told: Told, metric: str) -> list[Rule]:
    above: dict[str, Any] = {"params": {"op": ">", "value": 5.0}}
    wanted: list[dict[str, Any]] = [
        {"query": metric, **above},
        {"query": metric, **above, "for_s": 30, "keep_firing_for_s": 45},
        {"query": f"{metric} # said aside", "params": {"op": "<=", "value": 5.0}},
        {"query": metric, "params": {"op": "!=", "value": 1.0}, "for_s": 15},
        {"query": metric, "detector": "expression", **above, "keep_firing_for_s": 30},
        {"query": f"{metric} > 5", "detector": "expression", "params": {}, "for_s": 15},
        {"query": f"2 * {metric} - 1", "params": {"op": ">=", "value": 10.0}},
        {"query": f"sum by (pair) ({metric})", "params": {"op": ">", "value": 6.0}, "for_s": 15},
        {"query": f"count by (pair) ({metric})", "params": {"op": "<", "value": 2.0}},
        {"query": f'{{__name__=~"{metric}|{metric}_twin"}}', **above},
        {"query": f"max_over_time({metric}[45s])", **above},
        {"query": f"scalar(max({metric}))", **above},
        {"query": f"{metric} or {metric}_twin", **above, "for_s": 30},
    ]
    return [told.rule(interval_s=INTERVAL_S, **one) for one in wanted]


def turned(chance: random.Random, before: float | None) -> float | None:
    """What a series is next: mostly what it was, sometimes bad, no finite number, or gone."""
    if chance.random() < (0.994 if before is not None and before <= 5 else 0.5):
        return before
    return chance.choice([0.0, 1.0, 4.5, 9.0, 9.5, math.nan, math.inf, -math.inf, None, None])


class History:
    """Series of two metrics, of which some begin later; half of those that end are marked as ended, as a scrape does
    it."""

    def __init__(self, told: Told, metric: str, seed: int) -> None:
        self.told, self.metric = told, metric
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        names = [(metric, str(number)) for number in range(10)] + [(f"{metric}_twin", str(n)) for n in range(0, 8, 2)]
        self.values: dict[tuple[str, str], float | None] = dict.fromkeys(names, 1.0)

    def go_on(self, at: float) -> None:
        rows: list[Any] = [({"__name__": "up", "job": self.metric}, at, 1.0)]
        for key, before in self.values.items():
            labels = {"__name__": key[0], "id": key[1], "pair": str(int(key[1]) // 2)}
            value = self.values[key] = turned(self.chance, before)
            if value is not None or (before is not None and self.chance.random() < 0.5):
                rows.append((labels, at, value))
        self.told.kept.write(rows)
        if self.chance.random() < 0.3:
            self.values[self.metric, str(len(self.values))] = self.chance.choice([1.0, 9.0])


def judged_alone(rules: list[Rule], told: Told) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "TOGETHER", 1)
        patch.setattr(evaluation, "COUNTED_FROM", 10**9)
        patch.setattr(evaluation, "is_settled", lambda *_: False)
        patch.setattr(turn, "_refresh_s", lambda: 0.0)
        for rule in rules:
            assert loop.evaluate(rule.pk, now=told.now)


def standing(rules: list[Rule]) -> dict[Key, str]:
    places = {rule.pk: place for place, rule in enumerate(rules)}
    rows = SeriesState.objects.filter(rule__in=rules).values_list("rule_id", "fingerprint", "verdict")
    return {(places[pk], name): verdict for pk, name, verdict in rows}


def incidents(rules: list[Rule]) -> list[tuple[Key, Moment]]:
    places = {rule.pk: place for place, rule in enumerate(rules)}
    found = []
    for row in Incident.objects.filter(rule__in=rules):
        times = (row.opened_at, row.fired_at, row.resolved_at)
        opened, fired, resolved = (at.timestamp() if at else None for at in times)
        assert opened is not None
        found.append(((places[row.rule_id], row.fingerprint), (opened, fired, resolved)))
    return sorted(found, key=repr)


@pytest.mark.parametrize("seed", [1, 2])
def test_batches_open_fire_and_resolve_what_each_rule_alone_does(
    told: Told, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(turn, "_refresh_s", lambda: LOOK_S)
    metric = f"history_{seed}"
    history = History(told, metric, seed)
    together, alone = rules_of(told, metric), rules_of(told, metric)
    began = math.ceil(told.now.timestamp() / INTERVAL_S) * INTERVAL_S
    unlike: dict[Key, float] = {}
    counted = 0
    for number in range(TICKS):
        at = float(began + number * INTERVAL_S)
        told.now = told.now.fromtimestamp(at + 0.2, told.now.tzinfo)
        history.go_on(at - 1)
        assert loop.evaluate_many([rule.pk for rule in together], now=told.now) == len(together)
        counted += any("count_values(" in query for query in told.asked)
        told.asked.clear()
        judged_alone(alone, told)
        told.asked.clear()
        expected, found = standing(alone), standing(together)
        assert bad(found) == bad(expected), number
        late = {key for key, verdict in expected.items() if found.get(key) != verdict}
        unlike = {key: unlike.get(key, at) for key in late}
        assert all(at - since <= LAG_S for since in unlike.values()), number
        assert incidents(together) == incidents(alone), number
    assert counted > TICKS / 3, "nothing was left out: the history is too wild"
    assert any(moment[2] for _, moment in incidents(alone)), "nothing was resolved: the history is too dull"


def bad(verdicts: dict[Key, str]) -> set[Key]:
    return {key for key, verdict in verdicts.items() if verdict == "bad"}
