"""The list of rules: state, noise and origin, each as a column and as a filter, in a fixed number of queries."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from remediation.models import Incident, Playbook, Remediation, Rule, RuleStatus, Source

pytestmark = pytest.mark.django_db
LIST = "/admin/remediation/rule/"
_numbers = count()


def a_rule(source: Source, name: str, **more: Any) -> Rule:
    status = {key: more.pop(key) for key in ("error", "unknown") if key in more}
    rule = Rule.objects.create(name=name, source=source, query="up", detector="threshold", **more)
    rule.keep_version(author="ann", now=timezone.now())
    RuleStatus.objects.create(rule=rule, evaluated_at=timezone.now(), series=1, **status)
    return rule


def an_incident(rule: Rule, state: str, *, days_ago: float = 1, **more: Any) -> Incident:
    at = timezone.now() - timedelta(days=days_ago)
    fired = {} if state == "pending" else {"fired_at": at}
    return Incident.objects.create(
        rule=rule,
        rule_version=rule.versions.get(),
        fingerprint=f"{next(_numbers):016x}",
        series_labels={},
        labels={},
        state=state,
        state_since=at,
        opened_at=at,
        **(fired | more),
    )


def acted_on(incident: Incident) -> None:
    now = timezone.now()
    playbook, _ = Playbook.objects.get_or_create(name="P", matchers='a="b"')
    Remediation.objects.create(
        incident=incident,
        playbook=playbook,
        playbook_version=1,
        verb="restart",
        autonomy="auto",
        state="verified",
        state_since=now,
        created_at=now,
        effect_started_at=now,
        plan={},
    )


@pytest.fixture
def rules(source: Source) -> dict[str, Rule]:
    found = {
        "well": a_rule(source, "well"),
        "unknown": a_rule(source, "unknown", unknown=1),
        "erring": a_rule(source, "erring", unknown=1, error="refused"),
        "pending": a_rule(source, "pending", error="refused"),
        "firing": a_rule(source, "firing"),
        "disabled": a_rule(source, "disabled", enabled=False, unknown=1),
    }
    found["waiting"] = Rule.objects.create(name="waiting", source=source, query="up", detector="threshold")
    an_incident(found["pending"], "pending")
    for state in ("pending", "firing"):
        an_incident(found["firing"], state)
    an_incident(found["disabled"], "firing")
    return found


def listed(admin: Client, **asked: str) -> list[str]:
    response = admin.get(LIST, asked)
    assert response.status_code == 200
    return sorted(rule.name for rule in response.context["cl"].result_list)


def test_every_rule_has_one_state_by_which_it_is_found(admin: Client, rules: dict[str, Rule]) -> None:
    for state in rules:
        assert listed(admin, state=state) == [state]
    assert listed(admin, state="nonsense") == sorted(rules)


def test_noise_is_what_fired_within_a_week(admin: Client, source: Source) -> None:
    quiet, some, much = (a_rule(source, name) for name in ("quiet", "some", "much"))
    an_incident(quiet, "resolved", days_ago=8)
    an_incident(quiet, "pending")
    for _ in range(7):
        an_incident(some, "resolved")
    for _ in range(8):
        an_incident(much, "resolved")
    assert [listed(admin, noise=wanted) for wanted in ("none", "some", "much")] == [["quiet"], ["some"], ["much"]]


def test_a_false_alarm_ended_without_an_effect_and_without_a_person(admin: Client, source: Source) -> None:
    vain, mixed, useful, calling = (a_rule(source, name) for name in ("vain", "mixed", "useful", "calling"))
    an_incident(vain, "resolved")
    an_incident(calling, "firing")
    acted_on(an_incident(useful, "resolved"))
    an_incident(useful, "resolved", acknowledged_at=timezone.now())
    for _ in range(2):
        acted_on(an_incident(mixed, "resolved"))
    an_incident(mixed, "resolved")
    assert [listed(admin, alone=wanted) for wanted in ("most", "few")] == [["vain"], ["mixed", "useful"]]
    text = admin.get(LIST).content.decode()
    for words in ("1, 100 % by themselves", "3, 33 % by themselves", "2, 0 % by themselves"):
        assert words in text


def test_rules_are_found_by_who_manages_them(admin: Client, source: Source) -> None:
    owners = {"mine": "", "redis": "library:redis", "other": "library:redis@b", "team": "team-a"}
    for name, owner in owners.items():
        a_rule(source, name, managed_by=owner)
    assert listed(admin, managed="hand") == ["mine"]
    assert listed(admin, managed="library") == ["other", "redis"]
    assert listed(admin, managed="files") == ["team"]
    assert listed(admin, managed="=library:redis") == ["redis"]
    text = admin.get(LIST).content.decode()
    assert "rule files (team-a)" in text and "by hand" in text


@pytest.mark.parametrize("asked", [{}, {"state": "well"}, {"noise": "some", "alone": "most"}, {"severity": "warning"}])
def test_the_list_takes_the_same_queries_whatever_its_length(
    admin: Client, source: Source, asked: dict[str, str]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert admin.get(LIST, asked).status_code == 200
        return len(captured)

    an_incident(a_rule(source, "first", managed_by="team-a"), "resolved")
    queries()
    few = queries()
    for number in range(20):
        an_incident(a_rule(source, f"R{number}", managed_by="team-a"), "resolved")
    assert queries() == few
