"""Analytics: what it counts, that it stays small with thousands of incidents, and what it says of few."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.pages.columns import round_count, round_span
from remediation import analytics
from remediation.analytics import Measure, Scope, Spread
from remediation.elapsed import first_day, week_of
from remediation.models import Incident, Problem, Remediation, Rule, record
from remediation.series import fingerprint
from remediation.states import Autonomy
from tests.dashboard import factories

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)  # a Wednesday
MONDAY = datetime(2026, 3, 16, tzinfo=UTC)


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer", "vera"))
    return client


def scope(**more: Any) -> Scope:
    return Scope(since=MONDAY - timedelta(weeks=3), until=NOW, **more)


def many(rule: Rule, count: int, *, since: datetime, step_s: float = 60, **more: Any) -> list[Incident]:
    """Incidents in a row: the one with number n took n s to fire, then n minutes to be over."""
    version = rule.versions.latest("number")
    rows = []
    for number in range(1, count + 1):
        opened = since + timedelta(seconds=step_s * number)
        fired = opened + timedelta(seconds=number)
        values = {"state": "resolved", "fired_at": fired, "resolved_at": fired + timedelta(minutes=number), **more}
        rows.append(
            Incident(
                rule=rule,
                rule_version=version,
                service=rule.service,
                fingerprint=fingerprint({"n": f"{rule.pk} {number}"}),
                series_labels={},
                labels={},
                state_since=fired,
                opened_at=opened,
                **values,
            )
        )
    return Incident.objects.bulk_create(rows, batch_size=500)


def tried(incident: Incident, *, state: str = "verified", **more: Any) -> Remediation:
    began = incident.fired_at
    assert began is not None
    values = {"effect_started_at": began, "ended_at": began + timedelta(seconds=30), "created_at": began} | more
    return factories.a_remediation(incident, state=state, **values)


def rounded(spread: Spread) -> tuple[int, float, float]:
    return spread.n, round(spread.p50, 2), round(spread.p90, 2)


# --- how fast ---


def test_percentiles_are_the_nearest_rank_by_week_and_by_service() -> None:
    cart, pay = factories.a_service("cart"), factories.a_service("pay")
    many(factories.a_rule(cart), 10, since=MONDAY)
    many(factories.a_rule(pay), 3, since=MONDAY - timedelta(weeks=1))
    found = analytics.times(scope())
    assert (found.fired, found.still_open, found.more) == (13, 0, 0)
    this_week, last_week = week_of(MONDAY.date()), week_of(MONDAY.date()) - 1
    assert found.weeks.keys() == {this_week, last_week}
    assert [(one.service, one.fired) for one in found.services] == [(cart, 10), (pay, 3)]
    for spreads in (found.weeks[this_week], found.services[0].times):
        assert rounded(spreads[Measure.DETECT]) == (10, 5.0, 9.0)
        assert rounded(spreads[Measure.RECOVER]) == (10, 300.0, 540.0)
        assert Measure.ACKNOWLEDGE not in spreads
    assert rounded(found.all[Measure.DETECT]) == (13, 4.0, 9.0)


def test_acknowledging_before_it_fired_took_no_time_and_what_is_open_has_not_recovered() -> None:
    rule = factories.a_rule(factories.a_service())
    many(rule, 1, since=MONDAY, acknowledged_at=MONDAY, state="firing", resolved_at=None)
    found = analytics.times(scope())
    assert found.still_open == 1
    assert found.all[Measure.ACKNOWLEDGE] == Spread(n=1, p50=0, p90=0)
    assert Measure.RECOVER not in found.all


def test_what_fired_outside_of_the_period_or_elsewhere_is_left_out() -> None:
    cart, pay = factories.a_service("cart", team="shop"), factories.a_service("pay", team="money")
    many(factories.a_rule(cart), 2, since=MONDAY - timedelta(weeks=4))
    many(factories.a_rule(cart), 3, since=MONDAY)
    many(factories.a_rule(pay), 4, since=MONDAY)
    many(factories.a_rule(None), 1, since=MONDAY)
    counted = {"": 8, "cart": 3, "nobody": 0}
    assert {name: analytics.times(scope(service=name)).fired for name in counted} == counted
    assert analytics.times(scope(team="money")).fired == 4
    assert [one.service for one in analytics.times(scope()).services] == [pay, cart, None]


def test_weeks_begin_on_monday_in_utc() -> None:
    rule = factories.a_rule(factories.a_service())
    late = MONDAY - timedelta(seconds=62)
    many(rule, 1, since=late)
    assert set(analytics.times(scope()).weeks) == {week_of(MONDAY.date()) - 1}
    assert first_day(week_of(MONDAY.date())) == MONDAY.date()


# --- how well ---


def test_a_verb_is_held_against_what_heals_by_itself() -> None:
    rule = factories.a_rule(factories.a_service())
    rows = many(rule, 9, since=MONDAY)
    for row in rows[:3]:
        tried(row)
    tried(rows[3], relapsed_at=NOW)
    tried(rows[4], state="ineffective")
    tried(rows[5], state="rolled_back")
    watched: dict[str, Any] = {"state": "shadowed", "effect_started_at": None, "watch_until": NOW}
    tried(rows[6], healed_at=rows[6].resolved_at, **watched)
    tried(rows[7], **(watched | {"watch_until": MONDAY}))
    Incident.objects.filter(pk=rows[8].pk).update(acknowledged_by=factories.a_user())
    tried(rows[8], healed_at=rows[8].resolved_at, **watched)
    (restart,) = analytics.verbs(scope())
    counts = (restart.attempts, restart.relapsed, restart.ineffective, restart.worsened, restart.failed)
    assert counts == (6, 1, 1, 1, 0)
    assert (restart.lift.ours.hits, restart.lift.ours.n) == (3, 6)
    assert (restart.lift.alone.hits, restart.lift.alone.n) == (1, 2)


def test_a_verb_that_was_only_watched_is_there_without_an_attempt() -> None:
    (row,) = many(factories.a_rule(factories.a_service()), 1, since=MONDAY)
    tried(row, state="shadowed", effect_started_at=None, watch_until=NOW, healed_at=row.resolved_at)
    (only,) = analytics.verbs(scope())
    assert (only.attempts, only.lift.known, only.lift.alone.n) == (0, False, 1)


# --- how noisy ---


def test_what_fired_is_counted_once_by_what_became_of_it() -> None:
    noisy, quiet = factories.a_rule(factories.a_service(), "Noisy"), factories.a_rule(factories.a_service(), "Quiet")
    rows = many(noisy, 6, since=MONDAY)
    tried(rows[0])
    tried(rows[0], attempt=2)
    Incident.objects.filter(pk__in=[rows[0].pk, rows[1].pk]).update(acknowledged_at=NOW)
    Incident.objects.filter(pk=rows[2].pk).update(state="firing", resolved_at=None)
    tried(rows[2])  # open still, so it is not yet known what became of it
    many(quiet, 1, since=MONDAY, fired_at=None)
    one, other = analytics.noise(scope())
    assert (one.name, one.fired, one.acted, one.person, one.alone, one.still_open) == ("Noisy", 6, 1, 1, 3, 1)
    assert (one.by_itself.hits, one.by_itself.n) == (3, 5)
    assert (other.name, other.fired, other.flickered) == ("Quiet", 0, 1)


def test_autonomy_by_week_and_its_changes() -> None:
    rows = many(factories.a_rule(factories.a_service()), 3, since=MONDAY)
    for row, autonomy in zip(rows, ("shadow", "auto", "auto"), strict=True):
        tried(row, playbook=factories.a_playbook(autonomy=autonomy))
    playbook = factories.a_playbook(name="trusted")
    record(playbook, "autonomy auto", now=MONDAY, actor="ann", reason="earned", from_state="autonomy approve")
    week = week_of(MONDAY.date())
    assert analytics.plans_by_week(scope()) == {week: {Autonomy.SHADOW: 1, Autonomy.AUTO: 2}}
    changes = [(name, line.to_state) for line, name in analytics.autonomy_changes(scope())]
    assert changes == [("trusted", "autonomy auto")]


# --- the page ---


def a_problem(rule: Rule) -> Problem:
    now = timezone.now()
    return Problem.objects.create(
        rule=rule,
        service=rule.service,
        playbook=factories.a_playbook(),
        position=1,
        verb="restart",
        opened_at=now,
        last_at=now,
        repairs=6,
        trend=[0] * 12 + [2, 4],
    )


def fill(services: int, each: int) -> None:
    since = timezone.now() - timedelta(days=14)
    for number in range(services):
        rule = factories.a_rule(factories.a_service(team=f"team {number % 3}"))
        rows = many(rule, each, since=since, step_s=120)
        tried(rows[0])
        tried(rows[1], state="shadowed", effect_started_at=None, watch_until=rows[1].resolved_at)
        a_problem(rule)
        playbook = factories.a_playbook()
        record(playbook, "autonomy auto", now=timezone.now(), from_state="autonomy approve")


def test_five_thousand_incidents_cost_no_more_queries_and_are_not_loaded(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(3, 4)
    with CaptureQueriesContext(connection) as few:
        assert viewer.get("/analytics/").status_code == 200
    fill(40, 125)
    assert Incident.objects.count() > 5000
    made = []
    from_db: Any = Incident.from_db

    def counted(*args: Any) -> Any:
        made.append(1)
        return from_db(*args)

    monkeypatch.setattr(Incident, "from_db", counted)
    with CaptureQueriesContext(connection) as seen:
        page = viewer.get("/analytics/").content.decode()
    assert made == []
    # One more: how many services are left out of the table.
    assert len(seen) <= len(few) + 1
    assert "13 more services" in page
    assert len(page) < 250_000


def test_an_empty_installation_says_why_and_a_filter_says_when_the_last_was(viewer: Client) -> None:
    assert "No incident has ever fired" in viewer.get("/analytics/").content.decode()
    rule = factories.a_rule(factories.a_service("cart"))
    factories.a_service("pay")
    many(rule, 2, since=timezone.now() - timedelta(days=2))
    page = viewer.get("/analytics/?service=pay").content.decode()
    assert "The last one of all fired" in page
    assert "There is no service “x&lt;y”." in viewer.get("/analytics/?service=x%3Cy").content.decode()


def test_few_cases_and_unknown_are_said(viewer: Client) -> None:
    (row, _) = many(factories.a_rule(factories.a_service("cart")), 2, since=timezone.now() - timedelta(hours=2))
    tried(row)
    page = viewer.get("/analytics/").content.decode()
    assert "few cases" in page
    assert "Unknown: there is no case in this period." in page  # nothing was acknowledged
    assert "Unknown: nobody watched how often such a fault ends by itself." in page
    assert "unless somebody acknowledged or took the incident" in page


def test_every_chart_has_a_table_behind_it_and_a_name(viewer: Client) -> None:
    fill(1, 3)
    Incident.objects.update(acknowledged_at=timezone.now())
    page = viewer.get("/analytics/").content.decode()
    figures = page.split("<figure")[1:]
    assert len(figures) == 4
    for figure in figures:
        assert re.search(r'<svg class="plot"[^>]* role="img" aria-label="[^"]+"', figure)
        assert "<table" in figure.split("</figure>")[1]
    assert not re.search(r'[xy]\d?="[^"]*(nan|inf|,)', page)


def test_filters_are_in_the_address_and_nonsense_is_taken_for_the_usual(viewer: Client) -> None:
    many(factories.a_rule(factories.a_service("cart", team="shop")), 2, since=timezone.now() - timedelta(days=40))
    page = viewer.get("/analytics/?weeks=4").content.decode()
    assert "No incident fired in this period" in page
    page = viewer.get("/analytics/?weeks=12&team=shop&service=cart").content.decode()
    assert 'value="12" checked' in page
    assert 'value="cart" selected' in page
    assert 'value="shop" selected' in page
    for query in ("weeks=0", "weeks=x", "weeks=99999999999", "service=%00", "team=" + "x" * 3000):
        answer = viewer.get(f"/analytics/?{query}")
        assert (answer.status_code, 'value="12" checked' in answer.content.decode()) == (200, True), query


def test_lines_of_a_chart_stand_at_numbers_that_read_well() -> None:
    assert [round_span(value) for value in (0.4, 5, 100, 4000, 90000, 400000)] == [2, 10, 120, 7200, 172800, 518400]
    assert [round_count(value) for value in (0, 1, 3, 11, 45, 2000)] == [2, 2, 4, 20, 100, 2000]
