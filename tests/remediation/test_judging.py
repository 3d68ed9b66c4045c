"""What is asked of a source for a look, at a slot and at other times."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from remediation import condition, judging
from remediation.detect.base import Verdicts
from remediation.exceptions import ObserveError, SourceFailed
from remediation.judging import Asked
from remediation.models import Source, SourceStatus
from remediation.observe.answers import Answer
from remediation.observe.shelf import shelf
from remediation.states import Code
from tests.remediation.backtest.recorded import LIVENESS, RecordedClient, Value, listed
from tests.remediation.world import START, make_rule, make_service

pytestmark = pytest.mark.django_db
ADAPTIVE = {"history_s": 600, "step_s": 15, "warm_up_points": 24}
ZSCORE = {"window_s": 600, "step_s": 15, "minimum_points": 10}


@dataclass
class Client(RecordedClient):
    """Remembers how many columns it was asked for, and fails when told to."""

    columns: list[int] = field(default_factory=list)
    error: ObserveError | None = None

    def _answer(self, query: str, times: np.ndarray) -> Answer:
        self.columns.append(0 if query.startswith(LIVENESS) else len(times))
        if self.error:
            raise self.error
        return super()._answer(query, times)


def noise(seed: int, *, odd: int = 90) -> Value:
    """Usual for 100 and some looks, except for one."""
    chance = random.Random(seed)  # noqa: S311
    values: list[float | None] = [chance.gauss(10, 1) for _ in range(300)]
    values[100 + odd] = 70.0
    return listed(values, start=START.timestamp() - 1500, step_s=15)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    made = Client(series=[({"i": str(number)}, noise(number)) for number in range(3)])
    monkeypatch.setattr(judging, "client_for", lambda source: made)
    shelf.clear()
    yield made
    shelf.clear()


def asked(detector: str = "zscore", params: dict[str, Any] = ZSCORE, *, query: str = "x", name: str = "prom") -> Asked:
    source, _ = Source.objects.get_or_create(name=name, defaults={"url": "http://127.0.0.1:1"})
    return Asked.of(source, query, detector, params)


def at(look: int) -> datetime:
    return START + timedelta(seconds=15 * look)


def codes(verdicts: Verdicts) -> dict[str, int]:
    return {labels["i"]: int(code) for labels, code in zip(verdicts.labels, verdicts.codes, strict=True)}


@pytest.mark.parametrize(("detector", "params"), [("zscore", ZSCORE), ("adaptive", ADAPTIVE)])
def test_looks_at_slots_come_to_what_looks_at_other_times_do(
    client: Client, detector: str, params: dict[str, Any]
) -> None:
    one = asked(detector, params)
    bad = 0
    for look in range(100):
        kept, seen = judging.judge(one, now=at(look), at_slot=True)
        fresh, _ = judging.judge(one, now=at(look))
        assert codes(kept) == codes(fresh) and kept.reasons == fresh.reasons
        np.testing.assert_array_equal(kept.scores, fresh.scores)
        np.testing.assert_array_equal(seen.values[:, -1], kept.values)
        assert (seen.labels, seen.now, seen.reach_s) == (kept.labels, at(look).timestamp(), 5)
        bad += list(codes(kept).values()).count(Code.BAD)
    assert bad >= 3


@pytest.mark.parametrize(("detector", "params"), [("zscore", ZSCORE), ("adaptive", ADAPTIVE)])
def test_only_looks_at_slots_are_shared_and_gone_on_with(client: Client, detector: str, params: dict[str, Any]) -> None:
    one = asked(detector, params)
    for look in (0, 0, 1, 1, 2):
        judging.judge(one, now=at(look), at_slot=True)
    first = client.columns[0]
    anew = [count for count in client.columns if count > 2]
    assert first >= 41 and client.columns[-1] == 2
    assert anew == ([first] if detector == "zscore" else anew[:1])
    client.columns.clear()
    for _ in range(2):
        judging.judge(one, now=at(2))  # as a verification may: what a slot has seen is no answer to that
    assert client.columns == [client.columns[0]] * 2 and client.columns[0] >= 41
    client.columns.clear()
    judging.judge(one, now=at(3), at_slot=True)
    assert client.columns == [2]


def test_an_instant_is_asked_for_once_in_a_slot_and_anew_at_other_times(client: Client) -> None:
    one = asked("absent", {"labels": {}})
    other = asked("threshold", {"op": "<", "value": 1})
    for each in (one, other, one):
        judging.judge(each, now=at(0), at_slot=True)
    assert client.columns == [1, 0]
    judging.judge(one, now=at(0))
    assert client.columns == [1, 0, 1, 0]
    judging.judge(replace(one, query="y"), now=at(0), at_slot=True)
    assert client.columns == [1, 0, 1, 0, 1]  # of the liveness, too, there is one in a slot


def test_rules_of_one_query_share_and_a_verification_does_not(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "client_for", lambda source: client)
    service = make_service()
    rules = [make_rule(service, name=f"R{n}", query="x", detector="zscore", params=ZSCORE) for n in range(3)]
    for rule in rules:
        condition.judge(rule, now=at(0))
    assert client.columns == [41]
    condition._judge_one(rules[0], {"i": "0"}, now=at(0))
    assert client.columns == [41, 41]


def test_sources_do_not_share(client: Client) -> None:
    for name in ("prom", "other"):
        judging.judge(asked(name=name), now=at(0), at_slot=True)
        judging.judge(asked("adaptive", ADAPTIVE, name=name), now=at(0), at_slot=True)
    assert len(client.columns) == 4


@pytest.mark.parametrize("change", [{"url": "http://127.0.0.1:9"}, {"stale_after_s": 7.0}])
def test_a_stream_never_goes_on_with_an_edited_source(client: Client, change: dict[str, Any]) -> None:
    one = asked("adaptive", ADAPTIVE)
    judging.judge(one, now=at(0), at_slot=True)
    client.access = replace(client.access, **change)
    client.series = [({"i": "0"}, lambda at: 500.0)]
    found, _ = judging.judge(one, now=at(1), at_slot=True)
    assert codes(found) == {"0": Code.OK} and client.columns[1] >= 41


def test_edited_parameters_begin_a_stream_of_their_own(client: Client) -> None:
    judging.judge(asked("adaptive", ADAPTIVE), now=at(0), at_slot=True)
    judging.judge(asked("adaptive", ADAPTIVE | {"direction": "low"}), now=at(1), at_slot=True)
    assert client.columns[1] >= 41


@pytest.mark.parametrize(("detector", "params"), [("zscore", ZSCORE), ("adaptive", ADAPTIVE)])
def test_a_failed_look_is_shared_noted_and_leaves_what_was_kept(
    client: Client, detector: str, params: dict[str, Any]
) -> None:
    one = asked(detector, params)
    judging.judge(one, now=at(0), at_slot=True)
    client.error = SourceFailed("it is away")
    for _ in range(2):
        with pytest.raises(SourceFailed, match="it is away"):
            judging.judge(one, now=at(1), at_slot=True)
    assert SourceStatus.objects.get().failing and len(client.columns) == 2
    client.error = None
    judging.judge(one, now=at(2), at_slot=True)
    assert not SourceStatus.objects.get().failing and client.columns[2] == 3


def test_a_stream_names_series_as_a_window_does(client: Client) -> None:
    """Without `__name__`, unless only that tells two apart."""
    client.series = [
        ({"__name__": "a", "i": "0"}, noise(1)),
        ({"__name__": "b", "i": "0"}, noise(2)),
        ({"__name__": "a", "i": "1"}, noise(3)),
    ]
    found, _ = judging.judge(asked("adaptive", ADAPTIVE), now=at(0))
    assert found.labels == ({"__name__": "a", "i": "0"}, {"__name__": "b", "i": "0"}, {"i": "1"})
