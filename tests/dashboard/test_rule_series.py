"""The series of a rule on its page: a table and charts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from dashboard.pages import charts
from remediation.history import History
from remediation.models import Rule
from tests.dashboard import factories
from tests.dashboard.rule_pages import page, piece, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer"))
    return client


# --- series -----------------------------------------------------------------------------------------------------------


def series_in(html: str) -> list[str]:
    return re.findall(r"<b>i</b>(\w+)", html)


def test_the_worst_series_come_first() -> None:
    rule = factories.a_rule(factories.a_service())
    factories.a_series(rule, {"i": "ok"})
    factories.a_series(rule, {"i": "unknown"}, verdict="unknown")
    factories.a_series(rule, {"i": "pending"}, verdict="bad", phase="pending")
    factories.a_series(rule, {"i": "recovering"}, phase="recovering")
    factories.a_series(rule, {"i": "firing"}, verdict="bad")
    assert series_in(piece(rule, "series")) == ["firing", "recovering", "pending", "unknown", "ok"]


def test_series_are_shown_ten_a_page_and_the_address_says_which(viewer: Client) -> None:
    rule = factories.a_rule(factories.a_service())
    for number in range(12):
        factories.a_series(rule, {"i": f"s{number:02}"})

    def table(query: str) -> list[str]:
        return series_in(page(viewer, rule, query).split('id="series"')[1].split("</section>")[0])

    first, second = table(""), table("?series=2")
    assert (len(first), len(second)) == (10, 2)
    assert not set(first) & set(second)
    assert table("?series=x") == first and table("?series=99") == second
    assert "1–10 of 12" in text(piece(rule, "series"))  # noqa: RUF001 - as the page writes a range
    assert 'href="?series=2#series"' in piece(rule, "series")
    assert f'data-live="rule-series:{rule.pk}/2"' in page(viewer, rule, "?series=2")


@pytest.mark.parametrize("why", ["disabled", "error"])
def test_what_was_judged_before_is_no_verdict_of_now(viewer: Client, why: str) -> None:
    rule = factories.a_rule(factories.a_service(), error="the source is away" if why == "error" else "")
    Rule.objects.filter(pk=rule.pk).update(enabled=why != "disabled")
    factories.a_series(rule, {"i": "ok"})
    factories.a_series(rule, {"i": "bad"}, verdict="bad")
    shown = piece(rule, "series")
    assert "Not judged now." in shown
    assert shown.count("is-unknown") == 3 and "state is-ok" not in shown and "state is-firing" not in shown
    drawn = page(viewer, rule).split('id="charts"')[1].split("</section>")[0]
    assert drawn.count("state is-unknown") == 2 and "state is-ok" not in drawn and "state is-firing" not in drawn
    assert text(shown).count("held:") == 1  # what fired is held; that something was well is not


def test_a_series_leads_to_its_chart_its_incident_and_its_service() -> None:
    factories.a_service("cart", title="Shopping cart", matchers='job="cart"')
    rule = factories.a_rule(None, labels={"job": "cart"})
    state = factories.a_series(rule, {"i": "1"}, verdict="bad")
    row = factories.an_incident(rule, labels={"i": "1"})
    over = factories.an_incident(rule, labels={"i": "2"}, state="resolved")
    factories.a_series(rule, {"i": "2"})
    shown = piece(rule, "series")
    assert f'href="?chart={state.fingerprint}#charts"' in shown
    assert f'href="/incidents/{row.pk}/"' in shown and f'href="/incidents/{over.pk}/"' not in shown
    assert shown.count('<a href="/services/cart/">Shopping cart</a>') == 2
    own = factories.a_rule(factories.a_service("web"))
    factories.a_series(own, {"i": "1"})
    assert "/services/" not in piece(own, "series")  # the head says it


# --- charts -----------------------------------------------------------------------------------------------------------


def test_a_few_charts_a_page_or_the_chosen_one(viewer: Client) -> None:
    rule = factories.a_rule(factories.a_service())
    made = [factories.a_series(rule, {"i": str(number)}) for number in range(6)]
    assert page(viewer, rule).count("data-lazy") == 4
    assert page(viewer, rule, "?charts=2").count("data-lazy") == 2
    chosen = page(viewer, rule, f"?chart={made[3].fingerprint}")
    assert chosen.count("data-lazy") == 1
    assert f"/rules/{rule.pk}/series/{made[3].fingerprint}.json" in chosen
    gone = page(viewer, rule, "?chart=beef")
    assert "no such series" in gone and "data-lazy" not in gone


def test_a_chart_has_its_own_samples_state_and_events(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def history(rule: Rule, *, start: float, end: float, **_: Any) -> History:
        return History(times=[start, end], values=[1.0, 2.0], lower=[None, None], upper=[0.05, 0.05])

    monkeypatch.setattr(charts, "history", history)
    charts.lines.clear()
    rule, other = factories.a_rule(factories.a_service()), factories.a_rule(factories.a_service())
    seen = factories.a_series(rule, {"i": "1"}, verdict="bad", value=2.0)
    factories.an_incident(rule, labels={"i": "1"})
    factories.an_incident(rule, labels={"i": "2"})
    address = f"/rules/{rule.pk}/series/{seen.fingerprint}.json?range=3600"
    told = viewer.get(address).json()
    assert told["values"] == [1.0, 2.0]
    assert told["state"] == {"tone": "firing", "word": "Firing", "value": "2", "expected": "at most 0.05"}
    assert [mark["state"] for mark in told["markers"]] == ["Firing"]
    Rule.objects.filter(pk=rule.pk).update(enabled=False)
    assert viewer.get(address).json()["state"]["word"] == "Unknown"
    assert viewer.get(f"/rules/{other.pk}/series/{seen.fingerprint}.json?range=3600").status_code == 404
