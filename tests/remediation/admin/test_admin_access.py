"""Who may enter the admin, and what of it is the record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from remediation.models import Alert, Decision, Freeze, Incident, Playbook, Remediation, Rule, Service, Source, record

pytestmark = pytest.mark.django_db

EDITED = ("source", "ingesttoken", "service", "target", "rule", "playbook")
RECORD = ("incident", "remediation", "transition", "decision", "freeze", "alert")
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def incident(source: Source, cart: Service) -> Incident:
    """One of each kind of record, with labels that want to be HTML."""
    now = datetime.now(UTC)
    rule = Rule.objects.create(name="R", source=source, query="up", detector="threshold")
    version = rule.keep_version(author="test", now=now)
    row = Incident.objects.create(
        rule=rule,
        rule_version=version,
        service=cart,
        fingerprint="f",
        series_labels={"instance": EVIL},
        labels={"alertname": EVIL, "instance": EVIL},
        annotations={"summary": "{instance} is down"},
        state_since=now,
        opened_at=now,
        reason=EVIL,
    )
    playbook = Playbook.objects.create(name="P", matchers='a="b"')
    Remediation.objects.create(
        incident=row,
        playbook=playbook,
        playbook_version=1,
        verb="restart",
        autonomy="auto",
        state_since=now,
        created_at=now,
        plan={"calls": [{"target": EVIL}]},
        reason=EVIL,
    )
    Decision.objects.create(incident=row, summary=EVIL, at=now)
    Freeze.objects.create(service=cart, reason=EVIL, by=EVIL, at=now)
    Alert.objects.create(
        source=source,
        fingerprint="f",
        starts_at=now,
        status="firing",
        labels={"alertname": EVIL},
        received_at=now,
        seen_at=now,
    )
    record(row, "pending", now=now, reason=EVIL, actor=EVIL)
    return row


def client_of(*, group: str = "", staff: bool) -> Client:
    user = User.objects.create_user(group or "nobody", is_staff=staff)
    if group:
        user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("name", EDITED + RECORD)
def test_nobody_is_sent_to_sign_in(client: Client, name: str) -> None:
    response = client.get(f"/admin/remediation/{name}/")
    assert (response.status_code, "login" in response.headers["Location"]) == (302, True)


@pytest.mark.parametrize("group", ["viewer", "operator", "approver"])
@pytest.mark.parametrize("name", ["rule", "playbook", "source", "incident"])
def test_others_than_admins_see_and_change_nothing(group: str, name: str, source: Source) -> None:
    client = client_of(group=group, staff=True)
    assert client.get(f"/admin/remediation/{name}/").status_code == 403
    assert client.get(f"/admin/remediation/{name}/add/").status_code == 403
    assert client.post(f"/admin/remediation/{name}/add/", {"name": "x"}).status_code == 403


@pytest.mark.parametrize("kind", ["rule", "target", "playbook"])
def test_parameters_are_not_served_to_others(kind: str) -> None:
    address = f"/admin/remediation/{kind}/params/?plugin=&prefix=params"
    assert client_of(group="viewer", staff=True).get(address).status_code == 403
    assert client_of(staff=False).get(address).status_code == 302


@pytest.mark.parametrize("name", EDITED)
def test_admin_finds_every_list_and_form(admin: Client, name: str, source: Source) -> None:
    assert admin.get(f"/admin/remediation/{name}/").status_code == 200
    assert admin.get(f"/admin/remediation/{name}/add/").status_code == 200


@pytest.mark.parametrize("name", RECORD)
def test_record_is_shown_inert_and_never_changed(admin: Client, incident: Incident, name: str) -> None:
    listed = admin.get(f"/admin/remediation/{name}/?q=x")
    assert listed.status_code == 200
    listed = admin.get(f"/admin/remediation/{name}/")
    row = listed.context["cl"].result_list[0]
    shown = admin.get(f"/admin/remediation/{name}/{row.pk}/change/")
    assert (shown.status_code, EVIL in listed.content.decode(), EVIL in shown.content.decode()) == (200, False, False)
    assert admin.get(f"/admin/remediation/{name}/add/").status_code == 403
    assert admin.post(f"/admin/remediation/{name}/{row.pk}/change/", {"reason": "edited"}).status_code == 403
    assert admin.post(f"/admin/remediation/{name}/{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_superuser_cannot_edit_the_record_either(admin_client: Client, incident: Incident) -> None:
    page = f"/admin/remediation/incident/{incident.pk}"
    assert admin_client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.post(f"{page}/change/", {"state": "resolved"}).status_code == 403


def test_somebody_who_may_only_look_sees_a_rule_without_a_form(incident: Incident) -> None:
    user = User.objects.create_user("looker", is_staff=True)
    from django.contrib.auth.models import Permission  # noqa: PLC0415

    user.user_permissions.add(Permission.objects.get(codename="view_rule"))
    client = Client()
    client.force_login(user)
    page = f"/admin/remediation/rule/{incident.rule_id}/change/"
    assert client.get(page).status_code == 200
    assert client.post(page, {"name": "other"}).status_code == 403


def test_front_page_has_its_name_and_the_way_back(admin: Client) -> None:
    text = admin.get("/admin/").content.decode()
    assert ("Homeostat" in text, "Back to Homeostat" in text, "Django administration" in text) == (True, True, False)


def test_people_are_for_superusers(admin: Client, admin_client: Client) -> None:
    statuses: list[Any] = [who.get("/admin/auth/user/").status_code for who in (admin, admin_client)]
    assert statuses == [403, 200]
    assert admin_client.get("/admin/auth/user/add/").status_code == 200
