"""Approving with care, taking over by hand and asking again, as the pages do it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard.pages import approvals
from remediation import conf
from remediation.decide import takeover
from remediation.models import Approval, Freeze, Incident, PlaybookVersion, Remediation, Transition
from tests.dashboard import factories

pytestmark = pytest.mark.django_db

PASSWORD = "secret-of-a-test"


@pytest.fixture(autouse=True)
def quick_hashing(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ann(client: Client) -> User:
    user = factories.a_user("approver", "ann", password=PASSWORD)
    client.force_login(user)
    return user


def asked(**more: Any) -> Remediation:
    service = factories.a_service()
    incident = factories.an_incident(factories.a_rule(service))
    return factories.a_remediation(incident, target=factories.a_target(service, "cart-db"), **more)


def sign(client: Client, row: Remediation, **form: str) -> Any:
    return client.post(f"/approvals/{row.pk}/approve/", {"digest": row.digest, **form})


def grow_old(client: Client) -> None:
    session = client.session
    session["signed_in_at"] = time.time() - conf.REAUTH_S - 1
    session.save()


def state_of(row: Remediation) -> str:
    row.refresh_from_db()
    return row.state


# --- risky steps ---


def test_a_risky_step_asks_for_the_name_on_the_page(client: Client, ann: User) -> None:
    row = asked(verb="failover")
    for page in ("/approvals/", f"/incidents/{row.incident_id}/"):
        text = client.get(page).content.decode()
        assert 'name="target"' in text, page
        assert "session-old" not in text, page
    grow_old(client)
    assert '<body class="can-approve can-operate session-old">' in client.get("/approvals/").content.decode()


def test_a_plain_step_asks_for_nothing_more(client: Client, ann: User) -> None:
    row = asked()
    grow_old(client)
    assert 'name="target"' not in client.get("/approvals/").content.decode()
    assert sign(client, row).status_code == 302
    assert state_of(row) == "ready"


@pytest.mark.parametrize("typed", ["", "cart", "<b>cart-db</b>"])
def test_a_wrong_name_is_400_and_the_form_keeps_what_was_typed(client: Client, ann: User, typed: str) -> None:
    row = asked(verb="failover")
    answer = sign(client, row, target=typed)
    text = answer.content.decode()
    assert (answer.status_code, state_of(row), Approval.objects.count()) == (400, "awaiting_approval", 0)
    assert "Type cart-db, exactly as it is written." in text
    assert f'value="{typed.replace("<", "&lt;").replace(">", "&gt;")}"' in text
    assert row.digest in text


def test_the_right_name_signs(client: Client, ann: User) -> None:
    row = asked(verb="failover")
    assert sign(client, row, target="cart-db").status_code == 302
    assert state_of(row) == "ready"


def test_an_old_session_shows_its_password_in_place(client: Client, ann: User) -> None:
    row = asked(verb="failover")
    grow_old(client)
    answer = sign(client, row, target="cart-db")
    text = answer.content.decode()
    assert (answer.status_code, state_of(row)) == (403, "awaiting_approval")
    assert ('value="cart-db"' in text, 'name="password"' in text) == (True, True)
    answer = sign(client, row, target="cart-db", password="wrong")
    assert (answer.status_code, "not your password" in answer.content.decode()) == (403, True)
    assert sign(client, row, target="cart-db", password=PASSWORD).status_code == 302
    assert state_of(row) == "ready"
    assert "session-old" not in client.get("/approvals/").content.decode()


def test_a_step_that_becomes_answerable_meanwhile_is_not_signed_without_the_password(
    client: Client, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page looked while it was gated still, and the approval while it was waiting for a person."""
    row = asked(verb="failover")
    grow_old(client)

    def as_it_was(*_: object, **__: object) -> Remediation:
        found = Remediation.objects.get(pk=row.pk)
        found.state = "gated"
        return found

    monkeypatch.setattr(approvals, "get_object_or_404", as_it_was)
    answer = sign(client, row, target="cart-db")
    assert (answer.status_code, state_of(row), Approval.objects.count()) == (409, "awaiting_approval", 0)


def test_six_wrong_passwords_lock_here_as_at_the_door(client: Client, ann: User) -> None:
    row = asked(verb="failover")
    grow_old(client)
    for _ in range(6):
        sign(client, row, target="cart-db", password="wrong")
    answer = sign(client, row, target="cart-db", password=PASSWORD)
    assert (answer.status_code, state_of(row)) == (429, "awaiting_approval")
    assert "locked" in answer.content.decode()


def test_what_is_over_is_409_before_anything_is_asked_for(client: Client, ann: User) -> None:
    row = asked(verb="failover")
    Remediation.objects.update(state="self_recovered")
    assert sign(client, row).status_code == 409


# --- two people ---


def test_the_author_is_refused_with_the_reason_and_named_on_the_card(client: Client, ann: User) -> None:
    row = asked(approvals_needed=2, verb="failover")
    PlaybookVersion.objects.create(playbook=row.playbook, number=1, body={}, author="ann", at=timezone.now())
    answer = sign(client, row)
    assert (answer.status_code, state_of(row)) == (403, "awaiting_approval")
    assert "you wrote its playbook" in answer.content.decode()
    assert "ann, who wrote its playbook" in client.get("/approvals/").content.decode()
    assert "you wrote its playbook" in Transition.objects.get(kind="user", to_state="refused").reason


def test_extra_fields_of_a_form_change_nothing(client: Client, ann: User) -> None:
    row = asked(approvals_needed=2)
    sign(client, row, approvals_needed="1", state="ready", user="1", approved_by="bob")
    assert (state_of(row), row.approvals_needed) == ("awaiting_approval", 2)
    assert Approval.objects.get().user == ann


# --- by hand ---


@pytest.fixture
def olga(client: Client) -> User:
    user = factories.a_user("operator", "olga")
    client.force_login(user)
    return user


def test_taking_over_shows_everywhere_and_is_handed_back(client: Client, olga: User) -> None:
    row = asked()
    page = f"/incidents/{row.incident_id}/"
    assert client.post(f"{page}take/", {"for": "3600"})["Location"] == page
    incident = Incident.objects.get()
    assert takeover.holder(incident, now=timezone.now()) == "olga"
    for address in ("/", page, "/approvals/"):
        text = client.get(address).content.decode()
        assert "<b>olga is on it</b>" in text, address
        assert f'data-countdown="{incident.taken_until:%Y-%m-%dT%H:%M:%S}' in text, address
    assert client.post(f"{page}hand-back/")["Location"] == page
    assert "olga is on it" not in client.get("/").content.decode()
    said = Transition.objects.filter(kind="incident", actor="olga").order_by("pk")
    assert [line.to_state for line in said] == ["taken", "handed back"]


def test_the_time_ends_by_itself(client: Client, olga: User) -> None:
    row = asked()
    past = timezone.now() - timedelta(seconds=1)
    Incident.objects.update(taken_by=olga, taken_until=past)
    for address in ("/", f"/incidents/{row.incident_id}/", "/approvals/"):
        assert "is on it" not in client.get(address).content.decode(), address


def test_the_second_is_told_who_was_quicker(client: Client, olga: User) -> None:
    row = asked()
    client.post(f"/incidents/{row.incident_id}/take/", {"for": "900"})
    client.force_login(factories.a_user("operator", "otto"))
    answer = client.post(f"/incidents/{row.incident_id}/take/", {"for": "900"})
    assert (answer.status_code, "olga is on it" in answer.content.decode()) == (409, True)


@pytest.mark.parametrize("length", ["", "1", "x", "99999999", "-900"])
def test_a_senseless_time_is_400(client: Client, olga: User, length: str) -> None:
    row = asked()
    assert client.post(f"/incidents/{row.incident_id}/take/", {"for": length}).status_code == 400
    assert Incident.objects.get().taken_by is None


@pytest.mark.parametrize("state", ["expired", "rejected"])
def test_asking_again_clears_the_call_for_a_person(client: Client, olga: User, state: str) -> None:
    row = asked(state=state, ended_at=timezone.now())
    Incident.objects.update(needs_person=True, attention="nobody answered", decide_at=None)
    page = f"/incidents/{row.incident_id}/"
    assert f'action="/approvals/{row.pk}/ask-again/"' in client.get(page).content.decode()
    assert client.post(f"/approvals/{row.pk}/ask-again/")["Location"] == page
    incident = Incident.objects.get()
    assert (incident.needs_person, incident.attention, incident.decide_at is None) == (False, "", False)
    text = client.get(page).content.decode()
    assert ("ask-again/" in text, "asked for again" in text) == (False, True)
    assert client.post(f"/approvals/{row.pk}/ask-again/").status_code == 409


@pytest.mark.parametrize("state", ["awaiting_approval", "verified", "failed"])
def test_only_what_nobody_approved_can_be_asked_for(client: Client, olga: User, state: str) -> None:
    row = asked(state=state)
    assert "ask-again/" not in client.get(f"/incidents/{row.incident_id}/").content.decode()
    assert client.post(f"/approvals/{row.pk}/ask-again/").status_code == 409


# --- the kill switch ---


def test_freezing_is_one_click_from_every_page(client: Client, olga: User) -> None:
    row = asked()
    for path in ("/", "/incidents/", f"/incidents/{row.incident_id}/", "/approvals/", "/rules/", "/audit/", "/system/"):
        head = client.get(path).content.decode().split('<main id="content"')[0]
        before_menu = head.split('<header class="top">')[1].split('<details class="menu">')[0]
        assert 'action="/freeze/"' in before_menu, path
    client.post("/freeze/")
    assert Freeze.active(now=timezone.now()).exists()
    assert 'action="/freeze/"' not in client.get("/").content.decode()
