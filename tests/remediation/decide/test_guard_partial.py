"""Invariant 18, by one scrape: when much goes bad at once the observer is the likelier fault."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from remediation.decide.guards import partial
from remediation.decide.guards.base import Situation
from remediation.models import RuleStatus, SeriesState, Storm
from tests.remediation.decide.situations import NOW, a_rule, a_series, a_situation, ask

pytestmark = pytest.mark.django_db


@pytest.fixture
def situation() -> Situation:
    """Its series went bad 60 s ago; the source scrapes every second, and the rule looks every second."""
    found = a_situation()
    a_series(found.incident.rule, "app-1", "bad", seconds=60)
    return found


def fill(situation: Situation, *, bad: int = 0, ok: int = 0, unknown: int = 0, seconds: float = 60) -> None:
    rule = situation.incident.rule
    kinds = ["bad"] * bad + ["ok"] * ok + ["unknown"] * unknown
    for number, verdict in enumerate(kinds, start=SeriesState.objects.count()):
        a_series(rule, f"s-{number}", verdict, seconds=seconds if verdict != "ok" else 999)


def test_few_of_many_pass(situation: Situation) -> None:
    fill(situation, bad=9, ok=30)
    answer = ask("partial", situation)
    assert (answer.passed, answer.numbers["turned"], answer.numbers["known"]) == (True, 10, 40)
    assert answer.reason == "10 of 40 series of AppDown went bad or unknown in one scrape, 30% and 10 allowed"


def test_too_large_a_share_in_one_scrape_holds(situation: Situation) -> None:
    fill(situation, bad=5, unknown=8, ok=26)
    answer = ask("partial", situation)
    assert (answer.passed, answer.numbers["turned"], answer.numbers["known"]) == (False, 14, 40)


def test_large_share_of_few_is_a_service_that_is_down(situation: Situation) -> None:
    fill(situation, bad=8, ok=1)
    assert ask("partial", situation).passed


@pytest.mark.parametrize("seconds", [58.0, 62.0])
def test_within_a_scrape_and_an_interval_counts(situation: Situation, seconds: float) -> None:
    fill(situation, bad=20, seconds=seconds)
    assert not ask("partial", situation).passed


@pytest.mark.parametrize("seconds", [57.0, 63.0])
def test_one_after_the_other_is_no_bad_scrape(situation: Situation, seconds: float) -> None:
    fill(situation, bad=20, seconds=seconds)
    assert ask("partial", situation).passed


def test_what_was_never_judged_has_not_turned(situation: Situation) -> None:
    fill(situation, unknown=30)
    SeriesState.objects.filter(verdict="unknown").update(phase="unknown")
    assert ask("partial", situation).passed


def test_other_rules_of_the_source_count(situation: Situation) -> None:
    """`up` is 0 for a third of what is scraped: the incident's own rule has but one series."""
    rule = a_rule(None, name="Up", query="up")
    for number in range(30):
        a_series(rule, f"u-{number}", "bad" if number < 12 else "ok", seconds=60)
    RuleStatus.objects.create(rule=rule, series=30, bad=12)
    answer = ask("partial", situation)
    assert (answer.passed, answer.numbers["turned"]) == (False, 13)
    assert "13 of 31 series of prom" in answer.reason


def test_counts_that_rule_it_out_save_the_long_look(situation: Situation, monkeypatch: pytest.MonkeyPatch) -> None:
    RuleStatus.objects.create(rule=situation.incident.rule, series=100_000, bad=20_000, unknown=9_999)
    looked: list[object] = []
    monkeypatch.setattr(partial, "_of_rules", SimpleNamespace(of=lambda **asked: looked.append(asked)))
    assert ask("partial", situation).passed
    assert looked == []


def test_in_a_storm_nobody_counts(situation: Situation) -> None:
    Storm.objects.create(source=situation.incident.rule.source, began_at=NOW, last_at=NOW, reason="r")
    assert not ask("partial", situation).passed


def test_series_that_is_not_known_cannot_be_judged(situation: Situation) -> None:
    """Invariant 5: the guard raises, and what raises says no."""
    SeriesState.objects.all().delete()
    with pytest.raises(SeriesState.DoesNotExist):
        ask("partial", situation)
