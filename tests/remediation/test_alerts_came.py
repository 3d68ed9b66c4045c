"""Alerts that come one by one: judged alone, left to whoever is at the rule, and not by a rule that was edited."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from remediation import judging, loop, turn
from remediation.models import Alert, Incident, Rule, RuleStatus, Source, SourceStatus
from remediation.series import fingerprint
from tests.remediation.world import make_rule

pytestmark = pytest.mark.django_db


def now() -> datetime:
    """When the test runs, not when this file was read: alerts seen long ago are not looked for."""
    return datetime.now(UTC)


@pytest.fixture
def rule() -> Rule:
    made = make_rule(None, detector="firing_alert", query='alertname="Down"', params={}, interval_s=3600)
    SourceStatus.objects.create(source=made.source, answered_at=now())
    loop.evaluate(made.pk)
    return made


def alert(name: str, *, status: str = "firing") -> Alert:
    labels = {"alertname": "Down", "id": name}
    common: dict[str, Any] = {"status": status, "received_at": now(), "seen_at": now(), "labels": labels}
    return Alert.objects.create(source=Source.objects.get(), fingerprint=fingerprint(labels), starts_at=now(), **common)


def firing() -> set[str]:
    return set(Incident.objects.exclude(state="resolved").values_list("series_labels__id", flat=True))


def test_only_the_alerts_that_came_are_judged(rule: Rule) -> None:
    alert("a")
    came = alert("b")
    loop.alerts_arrived(rule.source_id, [came.pk])
    assert firing() == {"b"}
    status = RuleStatus.objects.get()
    assert (status.series, status.bad, status.running_until, status.waiting) == (1, 1, None, False)
    came.status = "resolved"
    came.save()
    loop.alerts_arrived(rule.source_id, [came.pk])
    assert firing() == set()
    assert RuleStatus.objects.get().bad == 0


def test_what_comes_while_somebody_is_at_the_rule_is_judged_by_whoever_that_is(
    rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = alert("a")
    judge = judging.judge
    come: list[Alert] = []

    def slow(*arguments: Any, **more: Any) -> Any:
        found = judge(*arguments, **more)
        if not come:  # it arrives after the look, and before the rule is free again
            come.append(alert("b"))
            loop.alerts_arrived(rule.source_id, [come[0].pk])
        return found

    monkeypatch.setattr(judging, "judge", slow)
    loop.alerts_arrived(rule.source_id, [first.pk])
    assert firing() == {"a", "b"}
    assert not RuleStatus.objects.get().waiting


def test_two_that_come_in_the_same_instant_are_both_judged(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second finds the rule taken by the first, and leaves its mark before the first has looked for any."""
    first, second = alert("a"), alert("b")
    take = turn._take
    order: list[str] = []

    def both(*arguments: Any, **more: Any) -> Any:
        order.append("take")
        if len(order) == 1:
            held = take(*arguments, **more)
            loop.alerts_arrived(rule.source_id, [second.pk])
            return held
        return take(*arguments, **more)

    monkeypatch.setattr(turn, "_take", both)
    loop.alerts_arrived(rule.source_id, [first.pk])
    assert firing() == {"a", "b"}


def test_a_mark_that_was_left_outlives_who_takes_the_rule_for_its_own_alerts(rule: Rule) -> None:
    """It was marked by somebody who found the rule taken, and the next to take it came for another alert."""
    alert("a")
    RuleStatus.objects.update(waiting=True)
    loop.alerts_arrived(rule.source_id, [alert("b").pk])
    assert firing() == {"a", "b"}
    assert not RuleStatus.objects.get().waiting


@pytest.mark.parametrize("change", [{"enabled": False}, {"version": 7}], ids=["switched off", "edited"])
def test_a_rule_that_was_changed_meanwhile_opens_nothing(
    rule: Rule, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    came = alert("a")
    judge = judging.judge

    def slow(*arguments: Any, **more: Any) -> Any:
        found = judge(*arguments, **more)
        Rule.objects.update(**change)
        return found

    monkeypatch.setattr(judging, "judge", slow)
    loop.alerts_arrived(rule.source_id, [came.pk])
    assert firing() == set()
    assert RuleStatus.objects.get().running_until is None
