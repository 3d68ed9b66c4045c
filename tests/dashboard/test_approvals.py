"""What a card says before somebody approves: what changes, what stays up, how it went before, and who else looks."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard import valkey
from dashboard.pages import looking, past
from dashboard.pages.changes import call_view
from remediation.decide.plan import digest_of
from remediation.models import Remediation, Target
from tests.dashboard import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(factories.a_user("approver", "ann"))
    return client


@pytest.fixture
def bob() -> Client:
    client = Client()
    client.force_login(factories.a_user("approver", "bob"))
    return client


def asked(target: Target | None = None, **more: Any) -> Remediation:
    service = target.service if target else factories.a_service()
    return factories.a_remediation(factories.an_incident(factories.a_rule(service)), target=target, **more)


def card(client: Client) -> str:
    return " ".join(client.get("/approvals/").content.decode().split())


def replan(row: Remediation, **plan: Any) -> None:
    row.plan = row.plan | plan
    row.digest = digest_of(row.plan)
    row.save(update_fields=["plan", "digest"])


# --- before and after ---


def test_a_difference_goes_down_to_the_member_and_leaves_out_what_stays() -> None:
    call = {
        "before": {"active": "db-1", "admin": {"db-1": "ready", "db-2": "maint"}, "size": 2, "up": True},
        "after": {"active": "db-2", "admin": {"db-1": "maint", "db-2": "maint"}, "note": [1, 2], "up": False},
    }
    view = call_view(call)
    assert [(one.name, one.before, one.after) for one in view.changes] == [
        ("Active", "db-1", "db-2"),
        ("Admin · db-1", "ready", "maint"),
        ("Up", "yes", "no"),
        ("Note", "–", "1, 2"),  # noqa: RUF001 - the dash of tables
    ]
    assert [(one.name, one.before) for one in view.kept] == [("Admin · db-2", "maint"), ("Size", "2")]


def test_a_call_that_says_nothing_of_the_outcome_is_shown_as_such(ann: Client) -> None:
    row = asked()
    replan(row, calls=[{"target": "job", "text": "run job", "before": {}, "after": {}, "undo": "", "arguments": {}}])
    assert "What it changes on the target is not known beforehand." in card(ann)


def test_many_targets_are_all_listed_with_their_batch_and_most_calls_are_folded(ann: Client) -> None:
    row = asked()
    names = [f"node-{number}" for number in range(5)]
    targets = [{"id": number, "name": name, "backend": "own", "role": "pool"} for number, name in enumerate(names)]
    calls = [dict(row.plan["calls"][0], target=name) for name in names]
    replan(row, targets=targets, calls=calls, batches=[[0], [1, 2], [3, 4]])
    text = card(ann)
    assert "5 targets" in text
    for name, batch in zip(names, (1, 2, 2, 3, 3), strict=True):
        assert f"<b>{name}</b> <span" in text
        assert f"own · pool · batch {batch}<" in text
    assert "3 more calls" in text
    assert "Approve: restart node-0, node-1 and 3 more" in text


# --- blast radius ---


def test_how_many_stay_healthy_is_what_the_guard_counted(ann: Client) -> None:
    row = asked()
    assert "Nobody has counted yet." in card(ann)
    numbers = {"stay": 2, "available": 3, "size": 4, "min_healthy": 1}
    row.guards = [{"guard": "blast_radius", "label": "Blast radius", "passed": True, "reason": "x", "numbers": numbers}]
    row.save()
    text = card(ann)
    assert "<b>2 of 4</b> stay healthy meanwhile" in text
    assert "3 well now, at least 1 asked" in text
    assert text.count('<i class="stays"></i>') == 2
    row.guards = [{"guard": "blast_radius", "passed": True, "reason": "no other target of that role is there"}]
    row.save()
    assert "No other target of that role is there" in card(ann)


# --- how it went before ---


def ended(target: Target, state: str, minutes_ago: float, **more: Any) -> Remediation:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    times = {"effect_started_at": at - timedelta(seconds=20), "ended_at": at}
    return asked(target, state=state, **(times | more))


def test_the_last_five_of_the_same_verb_on_the_same_target_are_shown(ann: Client) -> None:
    service = factories.a_service("web")
    target, other = factories.a_target(service), factories.a_target(service)
    asked(target)
    assert "This was never tried on these targets." in card(ann)
    for number, state in enumerate(("ineffective", "verified", "verified", "failed", "verified", "worsened")):
        ended(target, state, minutes_ago=number + 1)
    ended(target, "verified", minutes_ago=0.5, relapsed_at=timezone.now())
    ended(target, "verified", minutes_ago=0.1, verb="scale")
    ended(target, "rejected", minutes_ago=0.1, effect_started_at=None)
    ended(other, "verified", minutes_ago=0.1)
    row = Remediation.objects.get(state="awaiting_approval")
    states = [(one.state, one.helped) for one in past.outcomes([row])[row.pk]]
    assert states == [
        ("verified", False),
        ("ineffective", False),
        ("verified", True),
        ("verified", True),
        ("failed", False),
    ]
    text = card(ann)
    assert "2 of the last 5 attempts helped" in text
    assert "after 20 s" in text


def test_an_attempt_on_several_of_the_targets_counts_once() -> None:
    service = factories.a_service()
    one, two = factories.a_target(service), factories.a_target(service)
    before = ended(one, "verified", minutes_ago=3)
    before.holds.create(target=two, live=False)
    row = asked(one)
    replan(row, targets=[{"id": target.pk, "name": target.name} for target in (one, two)])
    assert [outcome.remediation for outcome in past.outcomes([row])[row.pk]] == [before.pk]


def test_more_cards_with_more_past_cost_no_more_queries(ann: Client) -> None:
    def more() -> None:
        target = factories.a_target(factories.a_service())
        ended(target, "verified", minutes_ago=3)
        asked(target)

    more()
    with CaptureQueriesContext(connection) as few:
        card(ann)
    for _ in range(8):
        more()
    with CaptureQueriesContext(connection) as many:
        card(ann)
    assert len(many) == len(few)


# --- two at once ---


def test_the_slower_is_told_who_was_quicker_and_where_to_look(ann: Client, bob: Client) -> None:
    row = asked()
    assert ann.post(f"/approvals/{row.pk}/approve/", {"digest": row.digest}).status_code == 302
    answer = bob.post(f"/approvals/{row.pk}/approve/", {"digest": row.digest})
    text = answer.content.decode()
    assert answer.status_code == 409
    for part in ("ann approved it just now.", "It is “Ready” now.", "Nothing was done by this click."):
        assert part in text
    assert f'href="/incidents/{row.incident_id}/"' in text


def test_answering_twice_oneself_leads_back_to_the_card(ann: Client) -> None:
    row = asked(approvals_needed=2)
    for status in (302, 409):
        answer = ann.post(f"/approvals/{row.pk}/approve/", {"digest": row.digest})
        assert answer.status_code == status
    text = answer.content.decode()
    assert "You have answered already" in text
    assert f'href="/approvals/#approval-{row.pk}"' in text


# --- who else looks ---


@pytest.fixture
def broker(tmp_path: Path, settings: Any) -> Iterator[str]:
    settings.HOMEOSTAT_REDIS_URL = url = f"unix://{valkey.socket_path(tmp_path)}"
    process = subprocess.Popen(valkey.child(tmp_path).argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not valkey.answers(url):
        assert time.monotonic() < deadline, "valkey did not start"
        time.sleep(0.05)
    yield url
    process.kill()
    process.wait()


def look(client: Client, *pks: Any) -> Any:
    answer = client.post("/approvals/looking/", {"pk": pks})
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.real
def test_others_who_look_are_named_and_are_forgotten(
    ann: Client, bob: Client, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = asked(), asked()
    assert look(ann, one.pk, two.pk) == {"looking": {}, "answered": {}}
    assert look(bob, one.pk)["looking"] == {str(one.pk): "ann looks at this now"}
    assert look(ann, one.pk, two.pk)["looking"] == {str(one.pk): "bob looks at this now"}
    carl = Client()
    carl.force_login(factories.a_user("viewer", "carl"))
    assert look(carl, one.pk)["looking"] == {str(one.pk): "ann and bob look at this now"}
    monkeypatch.setattr(looking, "KNOWN_FOR_S", -1)
    assert look(ann, one.pk)["looking"] == {}
    assert Remediation.objects.get(pk=one.pk).state == "awaiting_approval"


def test_where_the_broker_is_away_nobody_is_known_to_look(ann: Client, tmp_path: Path, settings: Any) -> None:
    settings.HOMEOSTAT_REDIS_URL = f"unix://{tmp_path}/nothing.sock"
    row = asked()
    for pks in ((row.pk,), (), ("x", "-1", "9" * 30), range(1000)):
        assert look(ann, *pks) == {"looking": {}, "answered": {}}


def test_what_was_answered_meanwhile_is_said_to_those_who_still_look(ann: Client, bob: Client) -> None:
    first, second, third = asked(), asked(), asked()
    ann.post(f"/approvals/{first.pk}/reject/", {"digest": first.digest, "reason": "no"})
    Remediation.objects.filter(pk=second.pk).update(state="expired")
    assert look(bob, first.pk, second.pk, third.pk)["answered"] == {
        str(first.pk): "ann rejected it just now. It is “Rejected” now.",
        str(second.pk): "It waits no longer. It is “Expired” now.",
    }


def test_looking_takes_a_token_and_somebody_who_is_signed_in(client: Client) -> None:
    assert client.post("/approvals/looking/", {"pk": "1"}).status_code == 302
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(factories.a_user("viewer"))
    assert strict.post("/approvals/looking/", {"pk": "1"}).status_code == 403
