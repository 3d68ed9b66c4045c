"""A backtest equals what live evaluation recorded over the same samples."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from remediation import judging, loop
from remediation.backtest.outcome import Result
from remediation.backtest.run import Plan, run
from remediation.models import Incident, Rule
from remediation.observe import kept, window
from remediation.observe.shelf import shelf
from remediation.series import fingerprint
from tests.remediation.backtest.recorded import RecordedClient, Value, listed
from tests.remediation.world import START, World, make_rule, make_service

REAL_FETCH, REAL_KEPT = window.fetch, kept.fetch
BEGIN = START.timestamp()
SLOTS = 120


@pytest.fixture
def recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> RecordedClient:
    """The small world with a source that remembers, asked by the code that asks the real one."""
    client = RecordedClient()
    monkeypatch.setattr(window, "fetch", REAL_FETCH)
    monkeypatch.setattr(kept, "fetch", REAL_KEPT)
    shelf.clear()
    monkeypatch.setattr(judging, "client_for", lambda source: client)
    return client


def live(
    rule: Rule, *, forgets: Callable[[int], bool] = lambda slot: False
) -> list[tuple[str, float, float | None, float | None]]:
    """Evaluate slot after slot, then read what was kept: series, pending, firing, resolved."""
    now = rule.next_slot_at(BEGIN)
    for number in range(SLOTS):
        if forgets(number):  # another process takes over
            shelf.clear()
        # A message comes some milliseconds after its slot began, now earlier and now later.
        at = now + number * float(rule.interval_s) + 0.013 * (1 + number % 5)
        assert loop.evaluate(rule.pk, now=datetime.fromtimestamp(at, UTC))
    return sorted(
        (
            row.fingerprint,
            round(row.opened_at.timestamp(), 3),
            round(row.fired_at.timestamp(), 3) if row.fired_at else None,
            round(row.resolved_at.timestamp(), 3) if row.resolved_at else None,
        )
        for row in Incident.objects.filter(rule=rule)
    )


def same(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> bool:
    """Equal but for the rounding of clocks."""
    return [row[0] for row in one] == [row[0] for row in other] and all(
        row[1:] == pytest.approx(like[1:], abs=0.01) for row, like in zip(one, other, strict=True)
    )


def backtested(
    rule: Rule, client: RecordedClient
) -> tuple[Result, list[tuple[str, float, float | None, float | None]]]:
    end = rule.next_slot_at(BEGIN) + (SLOTS - 0.5) * float(rule.interval_s)
    result = run(Plan(rule=rule, start=BEGIN + 1e-3, end=end), client=client)
    assert result.evaluations == SLOTS
    kept = [(one.fingerprint, one.pending_at, one.firing_at, one.ended_at) for one in result.episodes]
    return result, sorted(kept)


def rough(seed: int, *, step_s: float) -> Value:
    """A series that is well, bad, missing and no finite number for random stretches."""
    chance = random.Random(seed)  # noqa: S311
    values: list[float | None] = []
    while len(values) < 700 / step_s + 2 * SLOTS:
        kind = chance.choices([1.0, 0.0, None, math.nan, math.inf, -math.inf], weights=[10, 8, 2, 2, 1, 1])[0]
        values += [kind] * chance.randint(1, 12)
    return listed(values, start=BEGIN - 700, step_s=step_s)


@pytest.mark.parametrize(
    ("interval_s", "for_s", "keep_s"), [(1, 0, 0), (2, 7, 0), (5, 0, 20), (3, 9, 12), (1.5, 3, 12.5)]
)
def test_threshold_with_gaps_equals_live(
    recorded: RecordedClient, interval_s: float, for_s: float, keep_s: float
) -> None:
    recorded.series = [({"target": f"app-{n}"}, rough(n, step_s=interval_s)) for n in range(3)]
    rule = make_rule(make_service(), interval_s=interval_s, for_s=for_s, keep_firing_for_s=keep_s)
    kept = live(rule)
    result, again = backtested(rule, recorded)
    assert same(again, kept)
    assert len(kept) > 3
    assert result.fired == Incident.objects.exclude(fired_at=None).count()


@pytest.mark.parametrize(("interval_s", "step_s"), [(5, 15), (15, 5), (4, 6), (10, 10)])
def test_zscore_equals_live_whatever_the_steps(recorded: RecordedClient, interval_s: float, step_s: float) -> None:
    chance = random.Random(4)  # noqa: S311
    noise: list[float | None] = [chance.gauss(10, 1) for _ in range(round(700 / interval_s) + 2 * SLOTS)]
    for slot in (20, 60, 61, 62, 110):
        noise[round(700 / interval_s) + slot] = 60.0
    recorded.series = [({"target": "app-1"}, listed(noise, start=BEGIN - 700, step_s=interval_s))]
    params = {"window_s": 600, "step_s": step_s, "skip_s": 0, "minimum_points": 10}
    rule = make_rule(make_service(), interval_s=interval_s, detector="zscore", params=params)
    kept = live(rule)
    assert same(backtested(rule, recorded)[1], kept)
    assert len(kept) >= 2


@pytest.mark.parametrize(
    ("interval_s", "step_s", "forgets"), [(5, 5, 1000), (5, 5, 7), (2, 5, 33), (15, 5, 1000), (4, 6, 50)]
)
def test_a_stream_equals_live_wherever_it_was_interrupted(
    recorded: RecordedClient, interval_s: float, step_s: float, forgets: int
) -> None:
    """Series that appear and vanish, over several eras; live goes on with its streams until it loses them."""
    chance = random.Random(5)  # noqa: S311
    count = round(1000 / interval_s) + 2 * SLOTS
    first = count - 2 * SLOTS
    recorded.series = []
    for number, (begins, ends) in enumerate([(0, count), (0, first + 40), (first + 30, first + 90)]):
        noise: list[float | None] = [
            chance.gauss(10, 1) if begins <= place < ends and chance.random() > 0.05 else None for place in range(count)
        ]
        for slot in (20, 60, 61, 62, 85, 110):
            noise[first + slot] = 60.0 + 7 * slot
        recorded.series.append(({"target": f"app-{number}"}, listed(noise, start=BEGIN - 1000, step_s=interval_s)))
    params = {"history_s": 300, "step_s": step_s, "warm_up_points": 24}
    rule = make_rule(make_service(), interval_s=interval_s, detector="adaptive", params=params)
    found = live(rule, forgets=lambda slot: slot % forgets == forgets - 1)
    assert same(backtested(rule, recorded)[1], found)
    assert len(found) >= 2


def test_absence_equals_live_and_knows_an_empty_source(recorded: RecordedClient) -> None:
    def there(at: float) -> float | None:
        return None if 30 < at - BEGIN < 50 or at - BEGIN > 80 else math.nan

    recorded.series = [({"target": "app-1"}, there)]
    recorded.alive = lambda at: None if at - BEGIN > 100 else 1.0
    rule = make_rule(make_service(), detector="absent", params={"labels": {"service": "web"}}, for_s=5)
    kept = live(rule)
    assert same(backtested(rule, recorded)[1], kept)
    assert [one[0] for one in kept] == [fingerprint({"service": "web"})] * 2


def test_series_that_differ_by_name_only_are_named_as_live_names_them(recorded: RecordedClient) -> None:
    recorded.series = [
        ({"__name__": "a", "target": "app-1"}, rough(1, step_s=1)),
        ({"__name__": "b", "target": "app-1"}, rough(2, step_s=1)),
    ]
    rule = make_rule(make_service())
    kept = live(rule)
    assert same(backtested(rule, recorded)[1], kept)
