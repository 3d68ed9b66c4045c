"""What a chart is given: the very series, its states and events, one question for many browsers, only what is new."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import BadRequest
from django.test import Client
from django.utils import timezone

from dashboard.pages import charts
from dashboard.pages.sharing import Shared
from dashboard.pages.stretches import stretches_of
from remediation.exceptions import ObserveError
from remediation.history import History
from remediation.models import Gap, Incident, Rule, record
from tests.dashboard import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer"))
    return client


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every question to the source. The series is its own time, with a gap."""
    found: list[dict[str, Any]] = []

    def history(rule: Rule, **given: Any) -> History:
        found.append(given)
        step = (given["end"] - given["start"]) / given["points"]
        times = [given["start"] + step * at for at in range(given["points"] + 1)]
        values = [*times[:-1], float("nan")]
        return History(times=times, values=list(values), lower=[None] * len(times), upper=[float("inf")] * len(times))

    monkeypatch.setattr(charts, "history", history)
    return found


def an_incident(**more: Any) -> Incident:
    return factories.an_incident(factories.a_rule(factories.a_service("web")), **more)


def test_the_chart_has_samples_band_and_markers(viewer: Client, asked: list[dict[str, Any]]) -> None:
    row = an_incident()
    told = viewer.get(f"/incidents/{row.pk}/series.json?range=incident").json()
    assert [given["fingerprint"] for given in asked] == [row.fingerprint]
    assert told["values"][-1] is None
    assert set(told["upper"]) == {None}
    assert [mark["state"] for mark in told["markers"]] == ["Pending", "Firing"]
    assert [(one["word"], one["tone"]) for one in told["stretches"]] == [("Pending", "pending"), ("Firing", "firing")]
    assert told["start"] < row.opened_at.timestamp() < told["end"]


def test_a_chart_that_cannot_be_had_says_so(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def history(rule: Rule, **given: Any) -> History:
        raise ObserveError("main does not answer: connection refused")

    monkeypatch.setattr(charts, "history", history)
    told = viewer.get(f"/incidents/{an_incident().pk}/series.json?start=1&end=2").json()
    assert told["error"] == "main does not answer: connection refused"


def test_many_browsers_cost_one_question(viewer: Client, asked: list[dict[str, Any]]) -> None:
    row = an_incident()
    for _ in range(5):
        viewer.get(f"/incidents/{row.pk}/series.json?range=incident")
        viewer.get(f"/incidents/{row.pk}/series.json?range=3600")
    assert len(asked) == 2


def test_those_who_ask_at_once_wait_for_one_answer() -> None:
    shared: Shared[int] = Shared()
    begun, go_on, count = threading.Event(), threading.Event(), [0]

    def ask() -> int:
        count[0] += 1
        begun.set()
        assert go_on.wait(10)
        return count[0]

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(shared.get("k", ask, for_s=60))) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert found == [1] * 6


def test_an_answer_grows_old_and_another_question_is_another() -> None:
    clock = [0.0]
    shared: Shared[str] = Shared(clock=lambda: clock[0])
    answers = iter("abcd")
    ask = lambda: next(answers)  # noqa: E731 - the shortest question there is
    assert [shared.get(1, ask, for_s=4), shared.get(1, ask, for_s=4), shared.get(2, ask, for_s=4)] == ["a", "a", "b"]
    clock[0] = 4.0
    assert shared.get(1, ask, for_s=4) == "c"


def test_who_asks_while_another_does_gets_the_answer_before() -> None:
    clock = [0.0]
    shared: Shared[str] = Shared(clock=lambda: clock[0])
    shared.get(1, lambda: "old", for_s=4)
    clock[0] = 5.0
    seen: list[str] = []

    def slow() -> str:
        seen.append(shared.get(1, lambda: "never asked", for_s=4))
        return "new"

    thread_answer: list[str] = []
    asking = threading.Thread(target=lambda: thread_answer.append(shared.get(1, lambda: _in_thread(slow), for_s=4)))
    asking.start()
    asking.join(10)
    assert (seen, thread_answer) == (["old"], ["new"])


def _in_thread(what: Any) -> Any:
    found: list[Any] = []
    other = threading.Thread(target=lambda: found.append(what()))
    other.start()
    other.join(5)
    return found[0]


def test_only_what_is_new_is_sent(viewer: Client, asked: list[dict[str, Any]]) -> None:
    address = f"/incidents/{an_incident().pk}/series.json?range=3600"
    whole = viewer.get(address).json()
    tail = viewer.get(f"{address}&after={whole['times'][-1]}&step={whole['step']}").json()
    assert (whole["whole"], tail["whole"]) == (True, False)
    assert tail["times"] == whole["times"][-charts.OVERLAP :]
    other = viewer.get(f"{address}&after={whole['times'][-1]}&step={whole['step'] + 1}").json()
    assert other["whole"] is True
    for nonsense in ("x", "nan", "inf", "-1"):
        assert viewer.get(f"{address}&after={nonsense}&step={whole['step']}").status_code == 200


def test_points_stay_the_same_from_one_moment_to_the_next(asked: list[dict[str, Any]]) -> None:
    rule = factories.a_rule(None)
    for later in (0, 3, 61):
        wanted = charts.asked_range({"range": "3600"}, now=NOW + timedelta(seconds=later))
        charts.lines.clear()
        charts.line_of(rule, "f", wanted)
    assert {given["start"] % 10 for given in asked} == {0.0}
    assert {(given["end"] - given["start"]) / given["points"] for given in asked} == {10.0}


def test_a_resolved_incident_is_shown_to_its_end_and_not_asked_again() -> None:
    row = an_incident(state="resolved", age_s=7200)
    now = timezone.now()
    wanted = charts.asked_range({"range": "incident"}, now=now, incident=row)
    assert row.resolved_at is not None
    assert (wanted.end, wanted.live) == ((row.resolved_at + charts.TAIL).timestamp(), False)


@pytest.mark.parametrize(
    "given",
    [
        *({}, {"range": "week"}, {"start": "x"}, {"start": "5", "end": "2"}, {"start": "nan", "end": "inf"}),
        *({"start": "-5", "end": "2"}, {"start": "9e9"}, {"start": "1", "end": "9e8"}),
    ],
)
def test_a_senseless_range_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        charts.asked_range(given, now=NOW)


def test_the_states_of_an_alert_are_its_chart(viewer: Client, asked: list[dict[str, Any]]) -> None:
    rule = factories.a_rule(factories.a_service("web"), detector="firing_alert", params={}, query='alertname="Down"')
    row = factories.an_incident(rule, age_s=300)
    told = viewer.get(f"/incidents/{row.pk}/series.json?range=incident").json()
    assert (told["kind"], asked) == ("states", [])
    assert [one["word"] for one in told["stretches"]] == ["Pending", "Firing"]
    assert b"The alert over time" in viewer.get(f"/incidents/{row.pk}/").content


def test_what_nobody_could_see_is_a_stretch_of_its_own() -> None:
    row = an_incident(age_s=300)
    at = [row.opened_at + timedelta(seconds=seconds) for seconds in (60, 120)]
    record(row, "verdict unknown", now=at[0])
    record(row, "verdict bad", now=at[1])
    wanted = charts.asked_range({"range": "3600"}, now=timezone.now())
    found = stretches_of(row.rule_id, row.fingerprint, wanted.start, wanted.end, now=timezone.now())
    assert [one.state for one in found] == ["pending", "firing", "unknown", "firing"]
    assert (found[2].start, found[2].end) == (at[0].timestamp(), at[1].timestamp())


def test_earlier_episodes_of_the_series_are_shown_too() -> None:
    first = an_incident(state="resolved", age_s=3000, labels={"instance": "a"})
    factories.an_incident(first.rule, labels={"instance": "a"}, age_s=300)
    factories.an_incident(first.rule, labels={"instance": "another"}, age_s=200)
    wanted = charts.asked_range({"range": "3600"}, now=timezone.now())
    found = stretches_of(first.rule_id, first.fingerprint, wanted.start, wanted.end, now=timezone.now())
    assert [one.state for one in found] == ["pending", "firing", "pending", "firing"]


def test_what_nobody_watched_is_neither_well_nor_firing() -> None:
    row = an_incident(age_s=3000)
    now = timezone.now()
    Gap.objects.create(rule=row.rule, began_at=now - timedelta(minutes=40), ended_at=now - timedelta(minutes=20))
    Gap.objects.create(rule=row.rule, began_at=now - timedelta(minutes=58), ended_at=now - timedelta(minutes=55))
    Gap.objects.create(
        rule=factories.a_rule(None), began_at=now - timedelta(minutes=10), ended_at=now - timedelta(minutes=5)
    )
    wanted = charts.asked_range({"range": "3600"}, now=now)
    found = stretches_of(row.rule_id, row.fingerprint, wanted.start, wanted.end, now=now)
    assert [one.state for one in found] == ["unwatched", "pending", "firing", "unwatched", "firing"]
    assert found[3].said == "Not watched for 20 min"
    assert (found[2].end, found[4].start) == (found[3].start, found[3].end)
