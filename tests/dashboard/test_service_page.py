"""The service's page: the worst series first, two axes, what may be done; the incident's ladder and folded story."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.pages import by_itself, charts, ladder, story, watching
from remediation.decide import freeze
from remediation.history import History
from remediation.models import Breaker, Incident, Playbook, Rule, Service, Step, Storm
from tests.dashboard import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer"))
    return client


def automation(row: Service) -> tuple[str, str]:
    now = timezone.now()
    pairs: list[tuple[Rule, dict[str, str]]] = [(rule, dict(one.labels)) for rule, one in watching.worst_first(row)]
    found = by_itself.automation_of(row, now=now, serving=by_itself.serving(row, pairs))
    return found.tone, found.word


# --- charts --------------------------------------------------------------------------------------------------------


def test_the_worst_series_come_first() -> None:
    web = factories.a_service("web")
    rule = factories.a_rule(web)
    made = [
        factories.a_series(rule, {"i": "ok"}),
        factories.a_series(rule, {"i": "unknown"}, verdict="unknown"),
        factories.a_series(rule, {"i": "pending"}, verdict="bad", phase="pending"),
        factories.a_series(rule, {"i": "firing"}, verdict="bad"),
    ]
    assert [one.pk for _, one in watching.worst_first(web)] == [one.pk for one in reversed(made)]


def test_a_few_charts_a_page(viewer: Client) -> None:
    web = factories.a_service("web")
    rule = factories.a_rule(web)
    for at in range(8):
        factories.a_series(rule, {"i": str(at)})
    assert viewer.get("/services/web/").content.count(b"data-lazy") == 6
    assert viewer.get("/services/web/?charts=2").content.count(b"data-lazy") == 2
    assert viewer.get("/services/web/?charts=x").content.count(b"data-lazy") == 6


def test_a_small_chart_has_samples_state_and_events(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def history(rule: Rule, *, start: float, end: float, **_: Any) -> History:
        return History(times=[start, end], values=[1.0, 2.0], lower=[None, None], upper=[0.05, 0.05])

    monkeypatch.setattr(charts, "history", history)
    charts.lines.clear()
    web = factories.a_service("web")
    rule = factories.a_rule(web)
    seen = factories.a_series(rule, {"i": "1"}, verdict="bad", value=2.0)
    factories.an_incident(rule, labels={"i": "1"})
    told = viewer.get(f"/services/web/series/{rule.pk}/{seen.fingerprint}.json?range=3600").json()
    assert told["values"] == [1.0, 2.0]
    assert told["state"] == {"tone": "firing", "word": "Firing", "value": "2", "expected": "at most 0.05"}
    assert [mark["state"] for mark in told["markers"]] == ["Firing"]
    assert viewer.get(f"/services/web/series/{rule.pk}/beef.json?range=3600").status_code == 404
    assert viewer.get(f"/services/nobody/series/{rule.pk}/{seen.fingerprint}.json?range=3600").status_code == 404


def test_more_rows_cost_the_service_page_no_more_queries(viewer: Client) -> None:
    def counted() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert viewer.get("/services/web/").status_code == 200
        return len(found)

    web = factories.a_service("web")
    _fill(web, 1)
    viewer.get("/services/web/")
    few = counted()
    _fill(web, 4)
    assert counted() == few


def _fill(web: Service, times: int) -> None:
    for _ in range(times):
        rule = factories.a_rule(web)
        factories.a_series(rule)
        row = factories.an_incident(rule)
        factories.a_remediation(row, state="gated", reason="cooldown")


# --- the axis of automation ------------------------------------------------------------------------------------------


def watched_service() -> Service:
    web = factories.a_service("web")
    factories.a_series(factories.a_rule(web))
    return web


def test_without_a_playbook_nothing_is_done() -> None:
    assert automation(watched_service()) == ("off", "Does nothing")


@pytest.mark.parametrize(
    ("autonomy", "word"), [("auto", "Acts alone"), ("approve", "Asks first"), ("shadow", "Only watches")]
)
def test_the_playbook_that_would_serve_says_how_far_it_goes(autonomy: str, word: str) -> None:
    web = watched_service()
    factories.a_playbook(autonomy=autonomy)
    Playbook.objects.create(name="other", matchers='alertname="Other"', autonomy="auto", priority=9)
    assert automation(web)[1] == word


def test_of_several_playbooks_the_first_by_priority_counts() -> None:
    web = watched_service()
    first, _ = factories.a_playbook(autonomy="auto"), factories.a_playbook(autonomy="approve")
    assert automation(web)[1] == "Acts alone", "the older where priorities are equal"
    Playbook.objects.exclude(pk=first.pk).update(priority=1)
    assert automation(web)[1] == "Asks first"


@pytest.mark.parametrize("what", ["here", "everywhere", "taken", "breaker", "storm", "target", "asks", "gated"])
def test_what_holds_it_is_named(what: str) -> None:
    web = watched_service()
    playbook = factories.a_playbook(autonomy="auto")
    now = timezone.now()
    words = {
        "here": "Paused here",
        "everywhere": "Paused everywhere",
        "taken": "A person is on it",
        "breaker": "Breaker open",
        "storm": "Held by a storm",
        "target": "Hands off a target",
        "asks": "Waits for approval",
        "gated": "Held by guards",
    }
    if what in ("here", "everywhere"):
        service = web if what == "here" else None
        freeze.freeze(service=service, reason="x", by="ann", until=None, now=now)
    elif what == "breaker":
        Breaker.objects.create(playbook=playbook, position=1, service=web, state="open", reason="bad", changed_at=now)
    elif what == "storm":
        Storm.objects.create(source=factories.a_source(), began_at=now, last_at=now, reason="much")
    elif what == "target":
        target = factories.a_target(web)
        type(target).objects.filter(pk=target.pk).update(automation_off="the undo failed")
    else:
        row = factories.an_incident(web.rules.get())
        if what == "taken":
            held = {"taken_by": factories.a_user("operator"), "taken_until": now + timedelta(minutes=5)}
            Incident.objects.filter(pk=row.pk).update(**held)
        else:
            factories.a_remediation(row, state="gated" if what == "gated" else "awaiting_approval")
    assert automation(web)[1] == words[what]


def test_another_services_trouble_is_none_of_this_one() -> None:
    web, other = watched_service(), factories.a_service("other")
    factories.a_playbook(autonomy="auto")
    freeze.freeze(service=other, reason="", by="ann", until=None, now=timezone.now())
    assert automation(web) == ("repairing", "Acts alone")


def test_both_axes_and_what_may_be_done_are_on_the_page(viewer: Client) -> None:
    web = watched_service()
    playbook = factories.a_playbook(autonomy="approve", name="restart-web")
    row = factories.an_incident(web.rules.get())
    page = viewer.get("/services/web/").content.decode()
    for part in ("Health", "Automation", "Asks first", "restart-web", f"/incidents/{row.pk}/take/"):
        assert part in page, part
    assert f"/playbooks/{playbook.pk}/" in page


# --- the ladder and the story of an incident --------------------------------------------------------------------------


def a_climbing_incident(*, state: str) -> Incident:
    web = factories.a_service("web")
    playbook = factories.a_playbook()
    Step.objects.create(playbook=playbook, position=2, verb="scale")
    row = factories.an_incident(factories.a_rule(web))
    factories.a_remediation(row, state=state, playbook=playbook)
    return row


@pytest.mark.parametrize(
    ("state", "said", "here"),
    [
        ("executing", ["Executing", "Not tried"], 1),
        ("ineffective", ["Ineffective", "Next"], 2),
        ("verified", ["Verified", "Not tried"], None),
    ],
)
def test_the_ladder_shows_where_it_stands(state: str, said: list[str], here: int | None) -> None:
    found = ladder.of_incident(a_climbing_incident(state=state))
    assert found is not None
    assert [rung.said for rung in found.rungs] == said
    assert [rung.position for rung in found.rungs if rung.here] == ([here] if here else [])
    assert not found.person


def test_at_the_end_of_the_ladder_stands_a_person(viewer: Client) -> None:
    row = a_climbing_incident(state="ineffective")
    Incident.objects.filter(pk=row.pk).update(needs_person=True)
    row.refresh_from_db()
    found = ladder.of_incident(row)
    assert found is not None
    assert found.person
    assert "Comes last" not in viewer.get(f"/incidents/{row.pk}/").content.decode()


def test_no_repair_has_no_ladder() -> None:
    assert ladder.of_incident(factories.an_incident(factories.a_rule(None))) is None


def test_guards_and_playbooks_are_folded_into_the_story() -> None:
    row = a_climbing_incident(state="executing")
    factories.a_decision(row)
    story_before = [entry for entry in story.of_incident(row) if entry.guards]
    assert [len(entry.guards) for entry in story_before] == [2]
    assert story_before[0].title.startswith("Begins to")
