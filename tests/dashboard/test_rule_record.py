"""What became of a rule, on its page: incidents, playbooks, backtests, versions."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.pages import rule_past, rule_serving
from remediation.models import Playbook, Rule, record
from tests.dashboard import factories
from tests.dashboard.rule_pages import a_backtest, piece, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer"))
    return client


# --- what was insisted on ---------------------------------------------------------------------------------------------


def insisting(rule: Rule) -> None:
    """Save it as it is now although the source speaks against it."""
    rule.save()
    rule.keep_version(author="bo, insisting on many series", now=timezone.now())
    record(rule, "saved_anyway", now=timezone.now(), reason="The query gives 9000 series.", actor="bo")


def test_what_was_insisted_on_is_told_as_long_as_the_same_is_asked() -> None:
    rule = factories.a_rule(factories.a_service())
    assert rule_past.insisted(rule) is None
    rule.query = "up"
    insisting(rule)
    assert "Saved although its source spoke against it. The query gives 9000 series. bo insisted" in text(
        piece(rule, "head")
    )
    rule.severity = "info"
    rule.save()
    rule.keep_version(author="ann", now=timezone.now())
    assert rule_past.insisted(rule) is not None  # another severity asks nothing else
    rule.query = "up{job='web'}"
    rule.save()
    rule.keep_version(author="ann", now=timezone.now())
    assert rule_past.insisted(rule) is None
    assert "insisted" not in piece(rule, "head")


# --- what it opened, and what is done about it ------------------------------------------------------------------------


def test_its_last_incidents_lead_to_all_of_them(viewer: Client) -> None:
    rule = factories.a_rule(factories.a_service(), 'Cart "slow"')
    other = factories.an_incident(factories.a_rule(factories.a_service()))
    made = [factories.an_incident(rule, state="resolved", age_s=100 + number) for number in range(11)]
    shown = piece(rule, "incidents")
    assert [row.pk for row in made[:10]] == [int(pk) for pk in re.findall(r'id="incident-(\d+)"', shown)]
    found = re.search(r'href="(/incidents/\?[^"]*)">All', shown)
    assert found
    listed = viewer.get(found[1].replace("&amp;", "&")).content.decode()
    assert listed.count('id="incident-') == 11 and f'id="incident-{other.pk}"' not in listed


def test_noise_is_that_of_this_rule() -> None:
    rule, other = factories.a_rule(factories.a_service()), factories.a_rule(factories.a_service())
    for _ in range(5):
        factories.an_incident(other, state="resolved")
    assert "It has opened nothing since" in piece(rule, "noise")
    for _ in range(2):
        factories.an_incident(rule, state="resolved")
    factories.an_incident(rule, state="resolved", acknowledged_at=timezone.now())
    said = text(piece(rule, "noise"))
    assert said.startswith("Noise Analytics Fired 3 times since")
    assert "a person 1 ended by itself 2 still open 0 2 of 3 that are over ended before" in said
    assert said.endswith("few cases")


def serves(rule: Rule) -> list[tuple[str, int, int]]:
    return [(one.playbook.name, one.first, one.later) for one in rule_serving.of_rule(rule).rows]


def test_the_playbooks_are_those_that_the_decide_stage_would_choose() -> None:
    web = factories.a_service("web", team="shop")
    rule = factories.a_rule(web)
    first, later = factories.a_playbook(name="first"), factories.a_playbook(name="later", autonomy="auto")
    off = factories.a_playbook(name="off")
    Playbook.objects.filter(pk=first.pk).update(matchers='service="web", team="shop", i="1"', priority=5)
    Playbook.objects.filter(pk=off.pk).update(enabled=False)
    factories.a_series(rule, {"i": "1"}, verdict="bad")
    factories.a_series(rule, {"i": "2"})
    assert serves(rule) == [("first", 1, 0), ("later", 1, 1)]
    said = text(piece(rule, "serving"))
    assert "first Asks first restart → a person serves 1 of 2 series" in said
    assert "later Acts alone" in said
    Playbook.objects.filter(pk=later.pk).update(matchers='service="web", i="1"')
    said = text(piece(rule, "serving"))
    assert "later restart → a person fits too, but another one comes first" in said
    assert "1 series is served by none" in said


def test_without_series_its_own_labels_are_asked() -> None:
    factories.a_service("cart", matchers='job="cart"')
    rule = factories.a_rule(None, labels={"job": "cart"})
    assert "Nothing by itself" in piece(rule, "serving")
    playbook = factories.a_playbook(name="carts")
    Playbook.objects.filter(pk=playbook.pk).update(matchers='service="cart"')
    assert serves(rule) == [("carts", 1, 0)]
    assert "it has no series yet" in piece(rule, "serving")


def test_its_last_backtests_say_what_they_came_to() -> None:
    rule = factories.a_rule(factories.a_service())
    assert "None yet." in piece(rule, "backtests")
    made = [a_backtest(rule, state="done", result={"fired": 3, "episodes": []}), a_backtest(rule, state="failed")]
    a_backtest(factories.a_rule(factories.a_service()), state="done", result={"fired": 9})
    shown = piece(rule, "backtests")
    assert [f"/backtests/{row.pk}/" for row in reversed(made)] == re.findall(r'href="(/backtests/\d+/)"', shown)
    assert text(shown).count("would have fired") == 1 and "would have fired 3 times" in shown
    assert f'href="/rules/{rule.pk}/backtest/"' in shown


# --- history ----------------------------------------------------------------------------------------------------------


def test_versions_and_what_happened_stand_in_one_line_of_time() -> None:
    rule = factories.a_rule(factories.a_service(), for_s=0)
    record(rule, "disabled", now=timezone.now(), actor="ann")
    rule.for_s, rule.params = 30, {"op": ">", "value": 9}
    rule.save()
    rule.keep_version(author="bo", now=timezone.now())
    said = text(piece(rule, "history"))
    order = [
        "Version 2 by bo",
        "params.value 0.05 → 9",
        "for_s 0 → 30",
        "Rule switched off by ann",
        "Version 1 by test",
    ]
    places = [said.find(one) for one in order]
    assert places == sorted(places) and -1 not in places, said


def test_only_the_newest_of_many_versions_are_shown() -> None:
    rule = factories.a_rule(factories.a_service())
    for number in range(25):
        rule.for_s = number + 1
        rule.save()
        rule.keep_version(author="bo", now=timezone.now())
    assert [line.version for line in rule_past.lines(rule)] == list(range(26, 16, -1))
    assert [line.first for line in rule_past.lines(rule)] == [False] * 10


def test_versions_are_compared_by_staff_where_the_rule_is_edited_here() -> None:
    rule = factories.a_rule(factories.a_service())
    rule.for_s = 30
    rule.save()
    rule.keep_version(author="bo", now=timezone.now())
    client = Client()
    client.force_login(factories.a_user("admin", is_staff=True))
    address = f"/admin/remediation/rule/{rule.pk}/restore/1/"
    assert f'href="{address}"' in piece(rule, "history")
    assert client.get(address).status_code == 200
    assert f'href="/admin/remediation/rule/{rule.pk}/restore/2/"' not in piece(rule, "history")
    Rule.objects.filter(pk=rule.pk).update(managed_by="shop/rules")
    assert "/restore/" not in piece(rule, "history")
