"""A secret planted wherever something foreign comes in is nowhere afterwards: database, API, history, export, log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client
from django.utils import timezone
from django.utils.module_loading import import_string

from remediation.decide import plan
from remediation.exceptions import EffectNotStarted, EffectUncertain
from remediation.management import listing
from remediation.models import Alert, Incident, Target, Transition, record
from remediation.observe import payload
from remediation.observe.wording import excerpt
from remediation.redact import _HINTS, _PATTERNS, redact
from remediation.targets.base import Facts, TargetRef
from tests.remediation.test_redact import SECRETS
from tests.remediation.world import World, make_playbook, make_rule, make_service, make_user

PLANTED = "hunter2hunter2"
IDENTITY = {("incident", "series_labels"), ("seriesstate", "labels"), ("target", "params"), ("step", "params")}
"""What series are told apart by, and what a person configured: not a secret's place, and not to be altered."""


def kept() -> dict[str, str]:
    """Every field of every row that holds the secret, but for those above."""
    found = {}
    for model in apps.get_app_config("remediation").get_models():
        for row in model._default_manager.values():
            for name, value in row.items():
                if PLANTED in str(value) and (model._meta.model_name, name) not in IDENTITY:
                    found[f"{model._meta.model_name}.{name}"] = str(value)
    return found


class Leaky:
    """What a runtime says of a target, with more than it should."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        state = world.ledger.state

        def says(target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
            return {**state(target), "env": [f"DB_PASSWORD={PLANTED}"], "token": PLANTED}

        monkeypatch.setattr(world.ledger, "state", says)
        monkeypatch.setattr(world.ledger, "restart_text", lambda target: f"restart --password {PLANTED} {target.name}")


@pytest.fixture
def leaky(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """An incident whose label, and a target whose facts, call, output and errors hold the secret."""
    Leaky(world, monkeypatch)
    world.label = "dsn"
    make_rule(make_service(targets=("app-1",)))
    make_playbook(max_attempts=3)
    Target.objects.update(labels={})
    world.set({f"postgres://app:{PLANTED}@db/shop": 0})
    return world


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What the log says, as it is set up."""
    lines: list[str] = []
    given: dict[str, str] = cast("dict[str, Any]", settings.LOGGING)["formatters"]["plain"]

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Kept()
    handler.setFormatter(import_string(given["()"])(given["format"], style=given["style"]))
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("how", ["output", "refused", "uncertain", "broken"])
def test_a_repair_keeps_no_secret(leaky: World, how: str, log: list[str], client: Client) -> None:
    def answer(target: TargetRef) -> None:
        errors = {"refused": EffectNotStarted, "uncertain": EffectUncertain, "broken": RuntimeError}
        if how in errors:
            raise errors[how](f"401 for Authorization: Bearer {PLANTED}")

    leaky.ledger.says = f"Set-Cookie: session={PLANTED}; restarted"
    leaky.ledger.answer = answer
    leaky.ticks(12)
    assert leaky.states() != []
    assert kept() == {}
    assert PLANTED not in "".join(log)
    assert (how == "broken") == any("RuntimeError: 401 for Authorization: ***" in line for line in log)
    shown = [listing.incidents(), list(Transition.objects.values_list("reason", "facts"))]
    assert PLANTED not in json.dumps(shown, default=str)
    client.force_login(make_user("ann", "viewer"))
    for path in (f"/incidents/{leaky.incident().pk}/", "/audit/", "/", "/api/incidents.json"):
        assert PLANTED not in client.get(path).content.decode()


def test_the_plan_is_still_the_one_that_is_carried_out(leaky: World) -> None:
    """What is hidden is so in the plan and in the look right before the effect: nothing seems to have changed."""
    leaky.ticks(3)
    assert leaky.ledger.effects == ["app-1"]
    [call] = plan.stored_calls(leaky.remediation().plan)
    assert (call.before["token"], call.before["pid"], call.text) == ("***", 100, "restart --password *** app-1")


def test_annotations_of_alerts_are_kept_without(db: None) -> None:
    sent = {"labels": {"alertname": "A"}, "annotations": {"summary": f"try -u admin:{PLANTED}", "token": PLANTED},
            "status": "firing", "startsAt": "2026-01-01T12:00:00Z"}  # fmt: skip
    found = payload.webhook(json.dumps({"version": "4", "alerts": [sent]}).encode()).alerts[0]
    assert found.annotations == {"summary": "try -u admin:***", "token": "***"}
    assert Alert.objects.count() == 0


def test_what_a_source_says_is_quoted_without() -> None:
    assert PLANTED not in excerpt(f"parse error at password={PLANTED}")


def test_history_keeps_no_secret_whoever_writes_it(db: None) -> None:
    record(make_service(), "changed", now=timezone.now(), reason=f"token={PLANTED}", facts={"a": [f"pwd: {PLANTED}"]})
    row = Transition.objects.get()
    assert (row.reason, row.facts) == ("token=***", {"a": ["pwd: ***"]})


@pytest.mark.parametrize("text", SECRETS)
def test_each_pattern_is_hinted_at(text: str) -> None:
    """What is looked for first lets nothing through that a pattern would hide."""
    hit = [pattern for pattern, _ in _PATTERNS if pattern.search(text)]
    assert hit and any(hint in text.lower() for hint in _HINTS)
    assert redact(text) != text


def test_incidents_are_still_found_by_what_they_are(leaky: World) -> None:
    leaky.ticks(3)
    assert Incident.objects.get().series_labels["dsn"].startswith("postgres://app:")
    leaky.set({f"postgres://app:{PLANTED}@db/shop": 1})
    leaky.ticks(10)
    assert Incident.objects.get().state == "resolved"
