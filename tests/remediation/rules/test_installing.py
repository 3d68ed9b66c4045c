"""The library for one source and for a further one."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command

from remediation.models import Rule, Source
from remediation.rules import installing, plan, ready
from remediation.rules.plan import Terms

pytestmark = pytest.mark.django_db
SHELF = ready.find("redis")


@pytest.fixture(autouse=True)
def sources() -> None:
    for name in ("main", "backup"):
        Source.objects.create(name=name, url="http://127.0.0.1:1")


def install(source: str, *options: str) -> str:
    said = StringIO()
    call_command("rules", "library", "install", "redis", "--source", source, "--yes", *options, stdout=said)
    return said.getvalue()


def test_a_further_source_gets_rules_of_its_own_beside_the_first() -> None:
    install("main")
    assert "0 unchanged" in install("backup")
    count = len(SHELF.rules())
    assert Rule.objects.filter(managed_by="library:redis", source__name="main").count() == count
    assert Rule.objects.filter(managed_by="library:redis@backup", source__name="backup").count() == count
    copy = Rule.objects.get(name="RedisDown (backup)")
    assert (copy.labels["alertname"], copy.query) == ("RedisDown", Rule.objects.get(name="RedisDown").query)
    for source in ("main", "backup"):
        assert install(source, "--prune") == f"Nothing to do; {count} unchanged.\n"


def test_what_was_switched_off_by_hand_stays_off() -> None:
    install("main")
    Rule.objects.filter(name="RedisDown").update(enabled=False)
    assert install("main").startswith("Nothing to do")
    assert not Rule.objects.get(name="RedisDown").enabled


def test_new_rules_may_wait_until_they_are_enabled() -> None:
    install("main", "--disabled")
    assert not Rule.objects.filter(enabled=True).exists()
    install("backup")
    assert Rule.objects.filter(enabled=True).count() == len(SHELF.rules())


def test_rules_of_others_are_left_out_where_that_is_asked_for() -> None:
    main = Source.objects.get(name="main")
    mine = Rule.objects.create(name="RedisDown", source=main, query="redis_up", detector="threshold")
    asked = installing.prepare(SHELF, Terms(source="main"), leave_out=True)
    assert asked.elsewhere == ("RedisDown",)
    assert installing.prepare(SHELF, Terms(source="main")).plan.refused
    plan.carry_out(asked.found, asked.plan, asked.terms, author="test", now=datetime.now(UTC))
    mine.refresh_from_db()
    assert (mine.managed_by, Rule.objects.count()) == ("", len(SHELF.rules()))


def test_the_metrics_of_every_part_are_known_by_name() -> None:
    for shelf in ready.shelves():
        found = installing.metrics_of(shelf)
        assert found and "up" not in found, shelf.name
        assert all(name.replace("_", "").replace(":", "").isalnum() for name in found), shelf.name
