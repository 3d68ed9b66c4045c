"""The rules that come ready: complete, understood by a real Prometheus, and firing when they should."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from deploy import tools
from remediation.models import Rule, Source
from remediation.observe.base import Access
from remediation.observe.prometheus import Prometheus
from remediation.rules import asking, cases, declared, ready, store, trial
from remediation.rules.declared import Declared
from remediation.rules.ready import Shelf
from tests.remediation.observe.servers import prometheus_running

SHELVES = list(ready.shelves())
each = pytest.mark.parametrize("shelf", SHELVES, ids=lambda shelf: shelf.name)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("library")
    with prometheus_running(str(tools.find("prometheus")), folder, "global: {}\n") as url:
        yield Prometheus(Access(url=url, stale_after_s=60))


def test_there_is_one_for_everything_promised() -> None:
    assert [shelf.name for shelf in SHELVES] == ["blackbox", "haproxy", "http", "node", "postgresql", "redis"]
    assert all(shelf.title.endswith(".") for shelf in SHELVES)


def test_no_two_rules_have_one_name() -> None:
    declared.read([(shelf.file, shelf.text) for shelf in SHELVES])


@each
def test_every_rule_is_complete(shelf: Shelf) -> None:
    found = declared.read([(shelf.file, shelf.text)])
    assert found.notes == [] and found.recordings == []
    for rule in found.rules:
        assert set(rule.annotations) == {"summary", "description"}, rule.name
        assert rule.written_labels == {"severity": rule.severity} and rule.interval_s <= 30


@each
def test_every_expression_has_the_detector_it_deserves(shelf: Shelf) -> None:
    """A comparison is kept whole only where it combines two."""
    for rule in shelf.rules():
        whole = rule.meaning.detector == "expression"
        assert whole == (" and\n" in rule.meaning.query or "\nand\n" in rule.meaning.query), rule.name


@pytest.mark.real
@each
def test_a_real_prometheus_understands_every_query(shelf: Shelf, client: Prometheus) -> None:
    assert asking.refused(client, shelf.rules(), now=1e9) == []


@pytest.mark.real
def test_a_query_that_is_not_understood_is_named_with_its_line(client: Prometheus) -> None:
    text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      up\n      and foo(\n      up)\n"
    rules: list[Declared] = declared.read([("a.yml", text)]).rules
    (found,) = asking.refused(client, rules, now=1e9)
    assert str(found).startswith("a.yml:7: A: ") and "parse error" in found.text


@pytest.mark.real
def test_the_rules_fire_when_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.VARIABLE, str(tools.find("prometheus")))
    assert trial.run(cases.read(Path(__file__).parent / "library_tests.yml")) == []


@pytest.mark.django_db
@each
def test_installing_twice_changes_nothing(shelf: Shelf) -> None:
    Source.objects.create(name="main", url="http://127.0.0.1:1")
    said = StringIO()
    call_command("rules", "library", "install", shelf.name, "--source", "main", "--yes", stdout=said)
    count = len(shelf.rules())
    assert f"{count} to add; 0 unchanged." in said.getvalue()
    assert Rule.objects.filter(managed_by=f"library:{shelf.name}").count() == count
    said = StringIO()
    call_command("rules", "library", "install", shelf.name, "--yes", stdout=said)
    assert said.getvalue() == f"Nothing to do; {count} unchanged.\n"
