"""A rule on alerts whose source nobody asks otherwise: it is asked before the guards are, and holds where it fails."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from remediation import condition
from remediation.exceptions import SourceFailed
from remediation.models import Alert, Incident, Remediation, Source, SourceStatus
from remediation.repair import sight
from tests.remediation.many import said
from tests.remediation.world import World, make_playbook, make_rule, make_service


class Server:
    """A source that answers what it is asked, or not."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down = ""

    def instant(self, query: str, *, at: float) -> Any:
        self.asked.append(query)
        if self.down:
            raise SourceFailed(self.down)
        return SimpleNamespace(series=(), warnings=())


@pytest.fixture
def server(world: World, monkeypatch: pytest.MonkeyPatch) -> Server:
    """One alert, posted and never pulled, of a rule whose playbook asks a person."""
    made = Server()
    monkeypatch.setattr(sight, "client_for", lambda source: made)
    monkeypatch.setattr(condition, "_pull_alerts", lambda rule, name, now: None)
    service = make_service(targets=("app-1",))
    rule = make_rule(service, detector="firing_alert", params={}, query='alertname="AppDown"')
    Source.objects.filter(pk=rule.source_id).update(pull_alerts_s=0)
    make_playbook(autonomy="approve")
    labels = {"alertname": "AppDown", "target": "app-1"}
    times = dict.fromkeys(("starts_at", "received_at", "seen_at"), world.now)
    Alert.objects.create(source=rule.source, fingerprint="f", labels=labels, status="firing", **times)
    return made


def waiting() -> Remediation:
    return Remediation.objects.get(incident=Incident.objects.get())


def test_a_source_that_nobody_pulls_is_asked_and_the_plan_goes_on(world: World, server: Server) -> None:
    world.ticks(3)
    assert waiting().state == "awaiting_approval"
    assert set(server.asked) == {sight.QUESTION}


def test_one_that_does_not_answer_holds_and_says_so(world: World, server: Server) -> None:
    server.down = "connection refused"
    world.ticks(5)
    assert waiting().state == "gated"
    assert said(waiting(), "stale")["reason"] == "the source does not answer: connection refused"
    server.down = ""
    world.ticks(5)
    assert waiting().state == "awaiting_approval"


def test_it_is_asked_at_most_once_a_turn_of_the_rule(world: World, server: Server) -> None:
    world.ticks(3)
    row = waiting()
    SourceStatus.objects.update(answered_at=world.now - timedelta(seconds=0.5))
    server.asked.clear()
    sight.freshen(row, now=world.now)
    assert server.asked == []
    sight.freshen(row, now=world.now + timedelta(seconds=1))
    assert server.asked == [sight.QUESTION]


def test_a_secret_that_is_missing_holds(world: World, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real client, with a reference to nothing
    row = Remediation(incident=Incident(rule=make_rule(None, name="R", detector="firing_alert", params={})))
    Source.objects.update(auth="bearer", secret_ref="env:NOT_THERE_AT_ALL")
    row.incident.rule.source.refresh_from_db()
    sight.freshen(row, now=world.now)
    assert "NOT_THERE_AT_ALL" in SourceStatus.objects.get().error


def test_rules_on_samples_ask_by_themselves(world: World, server: Server) -> None:
    rule = make_rule(None, name="R")
    sight.freshen(Remediation(incident=Incident(rule=rule)), now=world.now)
    assert server.asked == []
