"""What is done with rules beside editing them: versions restored, copies, on and off, taken over, the library."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from remediation.models import Playbook, Rule, Service, Source, Step, Transition
from remediation.rules import ready
from tests.remediation.admin.conftest import told

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIST = "/admin/remediation/rule/"
LIBRARY = "/admin/remediation/rule/library/"


def a_rule(source: Source, name: str = "Down", **more: Any) -> Rule:
    values: dict[str, Any] = {"query": "up", "detector": "threshold", "params": {"op": "<", "value": 1}}
    rule = Rule.objects.create(name=name, source=source, **(values | more))
    rule.keep_version(author="ann", now=NOW)
    return rule


def edited(rule: Rule, **fields: Any) -> Rule:
    for name, value in fields.items():
        setattr(rule, name, value)
    rule.save()
    rule.keep_version(author="bob", now=NOW)
    return rule


def act(admin: Client, action: str, *rules: Rule) -> list[str]:
    asked = {"action": action, "_selected_action": [rule.pk for rule in rules]}
    return told(admin.post(LIST, asked, follow=True))


def lines() -> list[tuple[str, str, str]]:
    found = Transition.objects.filter(kind="rule").order_by("pk")
    return [(line.from_state, line.to_state, line.actor) for line in found]


@pytest.fixture
def viewer(db: None) -> Client:
    user = User.objects.create_user("vic", is_staff=True)
    user.groups.add(Group.objects.get(name="viewer"))
    client = Client()
    client.force_login(user)
    return client


def test_an_earlier_version_becomes_the_newest(admin: Client, away: Source, cart: Service) -> None:
    rule = edited(a_rule(away, service=cart, for_s=5), query="up * 2", params={"op": ">", "value": 3}, service=None)
    page = admin.get(f"{LIST}{rule.pk}/restore/1/").content.decode()
    assert "<code>query</code>" in page and "<code>params.value</code>" in page
    rule.refresh_from_db()
    assert rule.query == "up * 2"
    assert told(admin.post(f"{LIST}{rule.pk}/restore/1/", follow=True)) == [
        "Down is again what version 1 was; that is version 3."
    ]
    rule.refresh_from_db()
    assert (rule.query, rule.params, rule.service, rule.version) == ("up", {"op": "<", "value": 1}, cart, 3)
    newest = rule.versions.get(number=3)
    assert (newest.author, newest.body) == ("ada, from version 1", rule.versions.get(number=1).body)


def test_what_came_after_a_version_is_taken_away_again(admin: Client, source: Source) -> None:
    rule = edited(a_rule(source), traffic_query="up", minimum_traffic=2.0)
    admin.post(f"{LIST}{rule.pk}/restore/1/")
    rule.refresh_from_db()
    assert (rule.traffic_query, rule.minimum_traffic) == ("", 0.0)


def test_a_version_that_can_no_longer_be_is_not_restored(admin: Client, source: Source, cart: Service) -> None:
    rule = edited(a_rule(source, service=cart), name="Other", service=None)
    cart.delete()
    said = told(admin.post(f"{LIST}{rule.pk}/restore/1/", follow=True))
    assert said == ["Version 1 cannot be restored: its service was deleted."]
    other = edited(a_rule(source, "Third"), name="Fourth")
    a_rule(source, "Third")
    said = told(admin.post(f"{LIST}{other.pk}/restore/1/", follow=True))
    assert said == ["Version 1 cannot be restored: Rule with this Name already exists."]
    assert Rule.objects.get(pk=other.pk).name == "Fourth"


def test_only_who_may_change_rules_restores(viewer: Client, source: Source) -> None:
    rule = edited(a_rule(source), query="up * 2")
    assert viewer.get(f"{LIST}{rule.pk}/restore/1/").status_code == 403
    assert viewer.post(f"{LIST}{rule.pk}/restore/1/").status_code == 403
    assert Rule.objects.get().query == "up * 2"


def test_a_playbook_goes_back_with_its_steps_and_loses_auto(admin: Client) -> None:
    playbook = Playbook.objects.create(name="P", matchers='a="b"')
    kept = Step.objects.create(playbook=playbook, position=1, verb="restart", cooldown_s=10)
    Step.objects.create(playbook=playbook, position=2, verb="restart")
    playbook.keep_version(author="ann", now=NOW)
    playbook.steps.filter(position=2).delete()
    Step.objects.create(playbook=playbook, position=3, verb="failover")
    playbook.steps.filter(pk=kept.pk).update(cooldown_s=99, min_healthy=4)
    playbook.autonomy = "auto"
    playbook.save()
    playbook.keep_version(author="bob", now=NOW, keep_autonomy=True)
    said = told(admin.post(f"/admin/remediation/playbook/{playbook.pk}/restore/1/", follow=True))
    assert said == ["P is again what version 1 was; that is version 3. Its autonomy is approve."]
    assert list(playbook.steps.order_by("position").values_list("position", "verb", "cooldown_s")) == [
        (1, "restart", 10.0),
        (2, "restart", 60.0),
    ]
    assert playbook.steps.filter(pk=kept.pk, min_healthy=1).exists()
    assert playbook.versions.get(number=3).body == playbook.versions.get(number=1).body


def test_a_duplicate_is_disabled_and_has_a_name_of_its_own(admin: Client, viewer: Client, source: Source) -> None:
    rule = a_rule(source, managed_by="files", labels={"team": "shop"})
    assert viewer.post(f"{LIST}{rule.pk}/duplicate/").status_code == 403
    assert admin.get(f"{LIST}{rule.pk}/duplicate/").status_code == 405
    admin.post(f"{LIST}{rule.pk}/duplicate/")
    act(admin, "duplicate_all", rule)
    copies = Rule.objects.exclude(pk=rule.pk).order_by("pk")
    assert [(copy.name, copy.enabled, copy.managed_by) for copy in copies] == [
        ("Down (copy)", False, ""),
        ("Down (copy 2)", False, ""),
    ]
    assert (copies[0].labels, copies[0].versions.get().author) == ({"team": "shop"}, "ada, copy of Down")
    long = a_rule(source, "x" * 100)
    act(admin, "duplicate_all", long)
    assert Rule.objects.get(name="x" * 93 + " (copy)").query == "up"


def test_rules_are_switched_together_without_asking_their_source(admin: Client, away: Source) -> None:
    rules = [a_rule(away, name) for name in ("A", "B")]
    assert act(admin, "switch_off", *rules) == ["2 rules disabled."]
    assert act(admin, "switch_on", rules[0]) == ["1 rule enabled."]
    assert act(admin, "switch_on", rules[0]) == ["All of them were enabled already."]
    assert list(Rule.objects.order_by("name").values_list("enabled", flat=True)) == [True, False]
    off, on = ("enabled", "disabled", "ada"), ("disabled", "enabled", "ada")
    assert lines() == [off, off, on]


def test_what_files_manage_is_read_here_until_it_is_taken_over(admin: Client, viewer: Client, source: Source) -> None:
    rule = a_rule(source, managed_by="team-a")
    page = admin.get(f"{LIST}{rule.pk}/change/").content.decode()
    assert "comes from rule files (team-a)" in page and 'name="_save"' not in page
    assert admin.post(f"{LIST}{rule.pk}/change/", {"name": "X"}).status_code == 403
    assert admin.post(f"{LIST}{rule.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin.post(f"{LIST}{rule.pk}/restore/1/").status_code == 403
    assert act(admin, "switch_off", rule) == ["Managed in files, so switch them there: Down."]
    assert viewer.post(f"{LIST}{rule.pk}/take-over/").status_code == 403
    assert admin.get(f"{LIST}{rule.pk}/take-over/").status_code == 405
    assert lines() == []
    admin.post(f"{LIST}{rule.pk}/take-over/")
    rule.refresh_from_db()
    assert (rule.managed_by, rule.enabled) == ("", True)
    assert lines() == [("", "taken_over", "ada")]
    assert 'name="_save"' in admin.get(f"{LIST}{rule.pk}/change/").content.decode()


def test_rules_of_the_library_are_switched_here(admin: Client, source: Source) -> None:
    rule = a_rule(source, managed_by="library:redis@prom")
    page = admin.get(f"{LIST}{rule.pk}/change/").content.decode()
    assert "comes from the library redis" in page
    admin.post(f"{LIST}{rule.pk}/switch/", {"to": "off"})
    rule.refresh_from_db()
    assert (rule.enabled, lines()) == (False, [("enabled", "disabled", "ada")])


def shelf_form(admin: Client, source: Source, name: str, **more: str) -> dict[str, str]:
    page = admin.get(LIBRARY, {"source": source.name})
    offer = next(one for one in page.context["offers"] if one.shelf.name == name)
    return {"source": source.name, "shelf": name, "seen": offer.seen} | more


def test_the_library_says_what_the_source_has(admin: Client, source: Source, away: Source) -> None:
    """The fake source knows no metric of any exporter."""
    page = admin.get(LIBRARY, {"source": source.name})
    offers = {offer.shelf.name: offer for offer in page.context["offers"]}
    assert list(offers["redis"].lacks)[:1] == ["redis_up"]
    assert offers["redis"].summary == f"{offers['redis'].count} to add; 0 unchanged."
    assert "could not be asked what it has" in admin.get(LIBRARY, {"source": "away"}).content.decode()


def test_a_part_of_the_library_is_installed_by_click(admin: Client, viewer: Client, source: Source) -> None:
    form = shelf_form(admin, source, "redis")
    assert (viewer.get(LIBRARY).status_code, viewer.post(LIBRARY, form).status_code) == (403, 403)
    count = len(ready.find("redis").rules())
    said = told(admin.post(LIBRARY, form, follow=True))
    assert said == [f"library:redis on prom: {count} added, disabled until you enable them."]
    assert Rule.objects.filter(managed_by="library:redis", enabled=False).count() == count
    assert Rule.objects.first().versions.get().author == "ada, library:redis"  # type: ignore[union-attr]
    assert shelf_form(admin, source, "redis")["seen"] != form["seen"]


def test_a_part_that_is_installed_enabled_for_a_second_source(admin: Client, source: Source, away: Source) -> None:
    admin.post(LIBRARY, shelf_form(admin, source, "redis"))
    admin.post(LIBRARY, shelf_form(admin, away, "redis", enabled="on"))
    assert Rule.objects.get(name="RedisDown (away)").enabled
    assert Rule.objects.get(name="RedisDown").source == source


def test_a_plan_that_is_no_longer_what_was_shown_is_not_carried_out(admin: Client, source: Source) -> None:
    form = shelf_form(admin, source, "redis")
    a_rule(source, "RedisDown")
    assert told(admin.post(LIBRARY, form, follow=True)) == [
        "The rules were changed meanwhile: look at the new plan.",
    ]
    assert Rule.objects.count() == 1
    admin.post(LIBRARY, shelf_form(admin, source, "redis"))
    assert Rule.objects.get(name="RedisDown").managed_by == ""
    assert Rule.objects.count() == len(ready.find("redis").rules())
