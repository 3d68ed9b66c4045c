"""System says what holds automation, and a person who may lets it act on a target again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from remediation.models import Breaker, Incident, MaintenanceWindow, Storm, Target, Transition
from tests.dashboard import factories

pytestmark = pytest.mark.django_db

EVIL = "<img src=x onerror=alert(1)>"


def shown(client: Client) -> str:
    pieces = client.get("/live/fragments/?key=holding").json()["fragments"]
    return str(pieces[0]["html"])


@pytest.fixture
def target() -> Target:
    service = factories.a_service("cart")
    off = {"automation_off": f"undo failed {EVIL}", "automation_off_at": datetime.now(UTC)}
    return Target.objects.create(service=service, name="cart-1", backend="supervisord", **off)


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer"))
    return client


def test_nothing_holds_and_it_says_so(viewer: Client) -> None:
    assert "Nothing: inside the limits" in shown(viewer)
    assert "What holds automation" in viewer.get("/system/").content.decode()


def test_who_repairs_by_hand_holds_the_service(viewer: Client) -> None:
    service = factories.a_service("cart")
    user = factories.a_user("operator", "olga")
    now = datetime.now(UTC)
    factories.an_incident(factories.a_rule(service), taken_by=user, taken_until=now + timedelta(minutes=20))
    html = shown(viewer)
    assert "Nothing: inside the limits" not in html
    assert "olga is on it" in html
    assert 'href="/services/cart/"' in html
    Incident.objects.update(taken_until=now - timedelta(seconds=1))
    assert "Nothing: inside the limits" in shown(viewer)


def test_everything_that_holds_is_named_with_its_reason(viewer: Client, target: Target) -> None:
    now = datetime.now(UTC)
    rule = factories.a_rule(target.service)
    playbook = factories.a_remediation(factories.an_incident(rule)).playbook
    Breaker.objects.create(
        playbook=playbook, position=1, service=target.service, state="open", reason="3 bad in a row", changed_at=now
    )
    Breaker.objects.create(playbook=playbook, position=2, service=target.service, state="closed", changed_at=now)
    Storm.objects.create(source=rule.source, began_at=now, last_at=now, reason="40 of 100 series went bad")
    hour = timedelta(hours=1)
    MaintenanceWindow.objects.create(name="Database move", starts_at=now - hour, ends_at=now + hour)
    MaintenanceWindow.objects.create(name="Later", starts_at=now + hour, ends_at=now + 2 * hour)
    MaintenanceWindow.objects.create(name="Odd", starts_at=now, weekdays="mon", begins="10:00", timezone="Mars/Olympus")
    html = shown(viewer)
    holding = ("3 bad in a row", "40 of 100 series went bad", "Database move", "Next maintenance: Later", "undo failed")
    assert [words for words in holding if words not in html] == []
    assert "there is no time zone" in html  # what cannot be read holds, and is not what breaks the page
    assert "step 2" not in html
    assert EVIL not in html


def test_approver_lets_automation_act_on_a_target_again(client: Client, target: Target) -> None:
    client.force_login(factories.a_user("approver"))
    path = f"/system/targets/{target.pk}/automation/"
    assert client.get(path).status_code == 405
    assert client.post(path).status_code == 302
    target.refresh_from_db()
    assert (target.automation_off, target.automation_off_at) == ("", None)
    line = Transition.objects.get(kind="target")
    assert (line.to_state, line.actor.startswith("approver")) == ("automation on", True)
    assert "undo failed" in line.reason
    assert client.post(path).status_code == 409
    assert Transition.objects.filter(kind="target").count() == 1


@pytest.mark.parametrize("group", ["viewer", "operator"])
def test_others_may_not(client: Client, target: Target, group: str) -> None:
    client.force_login(factories.a_user(group))
    assert client.post(f"/system/targets/{target.pk}/automation/").status_code == 403
    target.refresh_from_db()
    assert target.automation_off


def test_nobody_is_sent_to_sign_in(client: Client, target: Target) -> None:
    answer = client.post(f"/system/targets/{target.pk}/automation/")
    assert (answer.status_code, "/login/" in answer.headers["Location"]) == (302, True)


@pytest.fixture
def storm(target: Target) -> Storm:
    now = datetime.now(UTC)
    source = factories.a_rule(target.service).source
    return Storm.objects.create(source=source, began_at=now, last_at=now, reason="40 of 100 series went bad")


def says_no_storm(client: Client, storm: Storm, **fields: str) -> int:
    given = {"reason": f"seen on site {EVIL}", "for": "1800"} | fields
    return int(client.post(f"/system/sources/{storm.source_id}/no-storm/", given).status_code)


def test_who_may_approve_says_that_a_storm_is_none_for_a_while(client: Client, storm: Storm) -> None:
    client.force_login(factories.a_user("approver"))
    assert says_no_storm(client, storm) == 302
    html = shown(client)
    assert "approver says that this is none" in html or "says that this is none: seen on site" in html
    assert EVIL not in html
    line = Transition.objects.get(kind="storm", to_state="dismissed")
    assert line.facts["for_s"] == 1800
    Storm.objects.update(ended_at=datetime.now(UTC))
    assert says_no_storm(client, storm) == 409


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_nobody_else_says_so(client: Client, storm: Storm, role: str) -> None:
    client.force_login(factories.a_user(role))
    assert says_no_storm(client, storm) == 403
    storm.refresh_from_db()
    assert storm.numbers == {}


@pytest.mark.parametrize(("fields", "status"), [({"reason": " "}, 302), ({"for": "99999999"}, 400), ({"for": ""}, 400)])
def test_it_takes_a_reason_and_one_of_the_lengths(
    client: Client, storm: Storm, fields: dict[str, str], status: int
) -> None:
    client.force_login(factories.a_user("approver"))
    assert says_no_storm(client, storm, **fields) == status
    storm.refresh_from_db()
    assert storm.numbers == {}


def test_what_was_said_and_is_over_is_shown_as_such(viewer: Client, storm: Storm) -> None:
    at = datetime.now(UTC).timestamp()
    for said in ({"at": at - 10, "until": at - 5}, {"until": "always"}, "no"):
        Storm.objects.update(numbers={"dismissed": said})
        html = shown(viewer)
        assert "says that this is none" not in html and "40 of 100 series" in html
