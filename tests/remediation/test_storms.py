"""Invariant 18: when too much goes bad at once the observer is the likelier fault. How storms begin, last and end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from remediation import conf, storms
from remediation.models import Heartbeat, Rule, RuleStatus, SeriesState, Source, Storm, Transition
from tests.remediation.decide.situations import NOW, a_rule, an_incident
from tests.remediation.world import make_service

pytestmark = pytest.mark.django_db


def fill(rule: Rule, *, ok: int = 0, bad: int = 0, unknown: int = 0, before: float = 0.0) -> None:
    """The rule's series, as an evaluation at NOW would leave them: those that are ill are so since `before` seconds."""
    SeriesState.objects.filter(rule=rule).delete()
    at = NOW.timestamp()
    kinds = [("ok", 9999.0)] * ok + [("bad", before)] * bad + [("unknown", before)] * unknown
    SeriesState.objects.bulk_create(
        SeriesState(rule=rule, fingerprint=f"{n}", phase="ok", verdict=kind, verdict_since=at - since, judged_at=at)
        for n, (kind, since) in enumerate(kinds)
    )
    counts = {"series": len(kinds), "bad": bad, "unknown": unknown}
    RuleStatus.objects.update_or_create(rule=rule, defaults=counts)


def look(seconds: float = 0) -> Storm | None:
    storms.look(now=NOW + timedelta(seconds=seconds))
    return Storm.objects.filter(ended_at=None).first()


@pytest.fixture
def rule() -> Rule:
    return a_rule(make_service())


def test_much_at_once_is_a_storm_with_its_numbers(rule: Rule) -> None:
    fill(rule, ok=60, bad=25, unknown=15, before=59)
    storm = look()
    assert storm is not None
    assert storm.reason == "40 of 100 series went bad or unknown within 60 s"
    assert storm.numbers == {"series": 100, "turned": 40, "services": 0, "ill_before": 0, "hit_before": 0}
    line = Transition.objects.get(kind="storm")
    assert (line.to_state, line.reason.startswith("prom: 40 of 100")) == ("began", True)


@pytest.mark.parametrize(
    ("counts", "before"),
    [
        ({"ok": 70, "bad": 30}, 1.0),  # the share, and no more
        ({"ok": 1, "bad": 9}, 1.0),  # a service of a few series that is down
        ({"ok": 60, "bad": 40}, 61.0),  # one after the other, for longer
    ],
)
def test_what_is_no_storm(rule: Rule, counts: dict[str, int], before: float) -> None:
    fill(rule, **counts, before=before)
    assert look() is None


def test_series_that_were_never_known_have_not_turned(rule: Rule) -> None:
    """A detector that learns says unknown for days."""
    fill(rule, ok=10, unknown=90)
    SeriesState.objects.filter(verdict="unknown").update(phase="unknown")
    assert look() is None


def test_evaluation_that_sees_much_go_bad_does_not_wait_for_the_sweep(rule: Rule) -> None:
    fill(rule, ok=100)
    assert look() is None
    fill(rule, ok=60, bad=40)
    assert look(1) is None  # it is not time yet
    storms.look(now=NOW + timedelta(seconds=1), at_once=True)
    assert Storm.objects.filter(ended_at=None).exists()
    assert Heartbeat.objects.get(stage="storms").at == NOW


def test_sources_have_storms_of_their_own(rule: Rule) -> None:
    other = Source.objects.create(name="other", url="http://127.0.0.1:2")
    calm = Rule.objects.create(name="Calm", source=other, query="up", detector="threshold")
    fill(calm, ok=1000)
    fill(rule, ok=10, bad=40)
    assert [storm.source.name for storm in [look()] if storm] == ["prom"]


def test_it_lasts_until_it_has_been_as_well_as_before_for_a_while(rule: Rule) -> None:
    fill(rule, ok=60, bad=40)
    assert look()
    assert look(600)  # it has not got worse since, and is no better: the observer is not well
    fill(rule, ok=95, bad=5, before=99)
    assert look(610)
    assert look(600 + conf.STORM_CALM_S - 1)
    fill(rule, ok=60, bad=40)  # again: the calm begins anew
    assert look(725)
    fill(rule, ok=100)
    assert look(725 + conf.STORM_CALM_S - 5)
    assert look(725 + conf.STORM_CALM_S) is None
    assert [line.to_state for line in Transition.objects.filter(kind="storm")] == ["began", "ended"]


def test_what_was_ill_before_does_not_keep_it_from_ending(rule: Rule) -> None:
    fill(rule, ok=50, bad=50, before=9999)
    assert look() is None
    SeriesState.objects.filter(verdict="ok").update(verdict="unknown", verdict_since=NOW.timestamp())
    RuleStatus.objects.update(unknown=50)
    storm = look(10)
    assert storm is not None
    assert storm.numbers["ill_before"] == 50
    fill(rule, ok=50, bad=50, before=9999)
    look(20)
    assert look(20 + conf.STORM_CALM_S) is None


def test_many_services_that_begin_to_fire_at_once_are_a_storm(rule: Rule) -> None:
    services = [make_service(f"s{number}", targets=()) for number in range(9)]
    rules = [a_rule(service, name=f"Down {service}", query=f"up_{service}") for service in services]
    for each in rules:
        fill(each, ok=1000, bad=1)
    for each, service in list(zip(rules, services, strict=True))[:4]:
        an_incident(each, service, fired_at=NOW - timedelta(seconds=30))
    assert look() is None  # a cause with some victims
    fifth = an_incident(rules[4], services[4], fired_at=NOW - timedelta(seconds=70))
    assert look(5) is None  # not at once
    fifth.fired_at = NOW
    fifth.save()
    storm = look(10)
    assert storm is not None
    assert storm.reason == "5 of 10 services began to fire within 60 s"


def test_clock_set_back_does_not_end_it_early_nor_stop_the_looks(rule: Rule) -> None:
    """Fault 10."""
    fill(rule, ok=60, bad=40, before=-3600)
    assert look(3600)
    fill(rule, ok=100)
    assert look(0)
    assert look(conf.STORM_CALM_S - 5)
    assert look(conf.STORM_CALM_S) is None


def test_looks_are_spaced_whoever_sweeps_and_cost_the_same_whatever_there_is(rule: Rule) -> None:
    fill(rule, ok=10)
    look()
    with CaptureQueriesContext(connection) as few:
        look(5)
    fill(rule, ok=1000, bad=1000, before=9999)
    with CaptureQueriesContext(connection) as rose:
        look(10)
    with CaptureQueriesContext(connection) as many:
        look(15)
    assert len(many) == len(few) <= 7
    assert [sum("seriesstate" in query["sql"] for query in each) for each in (few, rose, many)] == [0, 1, 0]
    with CaptureQueriesContext(connection) as again:
        look(16)
    assert len(again) <= 3
    assert Heartbeat.objects.get(stage="storms").at == NOW + timedelta(seconds=15)
