"""The system checks say what is wrong with the stored configuration and what to do, and never raise."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import DatabaseError

from remediation import checks, registry
from remediation.exceptions import ConfigurationError, OwnProcess
from remediation.models import Playbook, Rule, Service, Source, Target
from remediation.registry import Params
from remediation.targets.base import Attempt, Backend, Effect, Restartable, TargetRef

pytestmark = pytest.mark.django_db


class Fake(Backend, Restartable):
    """Knows every target but those whose names say otherwise."""

    name = "fake"
    label = "Fake"
    Params = Params

    def state(self, target: TargetRef, *, timeout_s: float = 5.0) -> dict[str, Any]:
        return {}

    def check(self, target: TargetRef, *, timeout_s: float = 5.0) -> None:
        if target.name == "own":
            raise OwnProcess("own is Homeostat's worker")
        if target.name == "away":
            raise ConfigurationError("cannot connect")
        if target.name == "broken":
            raise RuntimeError("secret inside")

    def restart(self, target: TargetRef, attempt: Attempt) -> Effect:
        raise NotImplementedError

    def restart_text(self, target: TargetRef) -> str:
        return ""


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.backends(), "fake", Fake())


@pytest.fixture
def source() -> Source:
    return Source.objects.create(name="prom", url="http://127.0.0.1:1")


@pytest.fixture
def cart() -> Service:
    return Service.objects.create(name="cart")


def found() -> list[tuple[str | None, str]]:
    messages = run_checks(tags=["homeostat"], include_deployment_checks=True, databases=["default"])
    assert all(message.hint for message in messages)
    return [(message.id, message.msg) for message in messages]


def target(service: Service, name: str, **fields: Any) -> Target:
    return Target.objects.create(service=service, name=name, **({"backend": "fake"} | fields))


def playbook(verb: str = "restart", **fields: Any) -> Playbook:
    select = fields.pop("select", "")
    row = Playbook.objects.create(name="P", **({"matchers": 'alertname="R"'} | fields))
    row.steps.create(position=1, verb=verb, select=select)
    return row


def rule(source: Source, **fields: Any) -> Rule:
    return Rule.objects.create(source=source, query="x", **({"name": "R", "detector": "firing_alert"} | fields))


def test_good_configuration_is_silent(source: Source, cart: Service) -> None:
    rule(source)
    target(cart, "app")
    playbook()
    assert found() == []


def test_detector_that_is_not_installed(source: Source) -> None:
    rule(source, detector="crystal_ball")
    ((number, text),) = found()
    assert number == "homeostat.E001"
    assert text.startswith("Rule R: there is no detector named 'crystal_ball'; installed: ")


def test_conditions_of_a_rule_are_looked_at_as_well(source: Source) -> None:
    gone = {"query": "up", "detector": "gone"}
    unfit = {"query": "up", "detector": "threshold", "params": {"op": ">"}}
    Rule.objects.create(name="Odd", source=source, query="up", detector="absent", conditions=[gone, unfit])
    texts = [text for _, text in found()]
    assert "Condition 2 of rule Odd: there is no detector named 'gone'" in texts[0]
    assert "Condition 3 of rule Odd: its parameters do not fit any more" in texts[1]


def test_backend_and_verb_that_are_not_installed(source: Source, cart: Service) -> None:
    rule(source)
    target(cart, "old", backend="mainframe")
    playbook("levitate")
    assert [text.partition(":")[0] for _, text in found()] == ["Target old of cart", "Step 1 of P"]


def test_parameters_that_no_longer_fit(source: Source) -> None:
    rule(source, detector="threshold", params={"op": "<", "value": 1, "old": 2})
    ((number, text),) = found()
    assert (number, "old: Extra inputs are not permitted" in text) == ("homeostat.E002", True)


def test_missing_secrets_are_named_by_reference(source: Source, cart: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERE", "hunter2")
    Source.objects.update(auth="bearer", secret_ref="env:NOT_THERE")
    params = {"url": "http://127.0.0.1:1", "process": "a", "secret_ref": "file:/not/there"}
    target(cart, "app", backend="supervisord", params=params)
    Source.objects.create(name="good", url="http://127.0.0.1:2", auth="bearer", secret_ref="env:THERE")
    texts = [text for number, text in found() if number == "homeostat.E003"]
    assert [("env:NOT_THERE" in text, "file:/not/there" in text) for text in texts] == [(True, False), (False, True)]
    assert "hunter2" not in "".join(texts)


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("http://127.0.0.1:{port}", "homeostat.E004"),
        ("http://localhost:{port}/", "homeostat.E004"),
        ("http://169.254.169.254/", "homeostat.E005"),
        ("gopher://x", "homeostat.E005"),
    ],
)
def test_source_that_is_never_asked(source: Source, settings: Any, url: str, number: str) -> None:
    Source.objects.update(url=url.format(port=settings.HOMEOSTAT_PORT))
    assert [item for item, _ in found()] == [number]


def test_targets_are_looked_at(cart: Service) -> None:
    for name in ("away", "broken", "fine", "own"):
        target(cart, name)
    assert found() == [
        ("homeostat.W007", "Target away of cart cannot be acted on now: cannot connect."),
        (
            "homeostat.W007",
            "Target broken of cart cannot be acted on now: an unexpected RuntimeError; the log tells more.",
        ),
        ("homeostat.E006", "Target own of cart: own is Homeostat's worker."),
    ]


def test_disabled_targets_are_left_alone(cart: Service) -> None:
    target(cart, "own", enabled=False)
    assert found() == []


@pytest.mark.parametrize(
    ("matchers", "fits"),
    [
        ('alertname="R"', True),
        ('alertname="Other"', False),
        ('severity="critical"', False),
        ('team="shop"', True),
        ('team="other"', False),
        ('instance="comes with the series"', True),
        ('service="cart", alertname=~"R|S"', True),
    ],
)
def test_playbook_that_no_rule_fits(source: Source, cart: Service, matchers: str, fits: bool) -> None:
    rule(source, service=cart, labels={"team": "shop"})
    target(cart, "app")
    playbook(matchers=matchers)
    assert [number for number, _ in found()] == ([] if fits else ["homeostat.W008"])


def test_playbook_without_step(source: Source) -> None:
    rule(source)
    Playbook.objects.create(name="P", matchers='alertname="R"')
    assert found() == [("homeostat.W009", "Playbook P has no step.")]


def test_step_that_selects_nothing(source: Source, cart: Service) -> None:
    rule(source)
    target(cart, "app", role="instance")
    playbook(select='role="primary"')
    assert found() == [("homeostat.W011", "Step 1 of P: no target fits its selection 'role=\"primary\"'.")]


def test_step_that_no_backend_can_do(source: Source, cart: Service) -> None:
    rule(source)
    target(cart, "app")
    playbook("scale")
    assert found() == [("homeostat.W012", "Step 1 of P: none of its targets can scale (fake).")]


def test_matchers_that_cannot_be_read(source: Source, cart: Service) -> None:
    rule(source)
    target(cart, "app")
    playbook(matchers='alertname="')
    assert [number for number, _ in found()] == ["homeostat.E010"]


def test_database_away_is_one_plain_warning_each(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("no such table; password=hunter2")

    monkeypatch.setattr(Playbook.objects, "filter", away)
    assert found() == [("homeostat.W000", "The configuration could not be read from the database.")]


def test_plain_check_asks_no_database(django_assert_num_queries: Any, cart: Service) -> None:
    target(cart, "own")
    with django_assert_num_queries(0):
        call_command("check", stdout=StringIO())
        run_checks(tags=[checks.TAG], include_deployment_checks=True)


def test_migrate_is_not_stopped_by_a_wrong_configuration(cart: Service) -> None:
    target(cart, "own")
    call_command("migrate", verbosity=0)
