"""Maintenance windows are planned, breakers closed, and both leave their lines of history."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from remediation.models import Breaker, MaintenanceWindow, Playbook, Service, Storm, Transition

pytestmark = pytest.mark.django_db

FORM = {
    "name": "Database move",
    "service": "",
    "enabled": "on",
    "starts_at_0": "2026-03-01",
    "starts_at_1": "10:00:00",
    "ends_at_0": "2026-03-01",
    "ends_at_1": "12:00:00",
    "timezone": "Europe/Berlin",
    "weekdays": "",
    "begins": "",
    "lasts_s": "3600",
}
ADD = "/admin/remediation/maintenancewindow/add/"


@pytest.fixture
def breaker(cart: Service) -> Breaker:
    playbook = Playbook.objects.create(name="P", matchers='a="b"')
    now = datetime.now(UTC)
    return Breaker.objects.create(
        playbook=playbook, position=1, service=cart, state="open", bad=3, reason="<b>3 bad</b>", changed_at=now
    )


def lines(kind: str) -> list[tuple[str, str]]:
    return list(Transition.objects.filter(kind=kind).values_list("to_state", "actor"))


def test_window_is_added_changed_and_deleted_on_record(admin: Client) -> None:
    assert admin.post(ADD, FORM).status_code == 302
    row = MaintenanceWindow.objects.get()
    page = f"/admin/remediation/maintenancewindow/{row.pk}"
    assert admin.post(f"{page}/change/", FORM | {"name": "Move of the database"}).status_code == 302
    assert admin.get("/admin/remediation/maintenancewindow/").status_code == 200
    assert admin.post(f"{page}/delete/", {"post": "yes"}).status_code == 302
    assert not MaintenanceWindow.objects.exists()
    assert lines("maintenance") == [("added", "ada"), ("changed", "ada"), ("deleted", "ada")]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"weekdays": "mon,someday", "begins": "10:00"}, "weekdays"),
        ({"weekdays": "mon"}, "begins"),
        ({"ends_at_0": "", "ends_at_1": ""}, "ends_at"),
        ({"ends_at_0": "2026-02-01"}, "ends_at"),
        ({"lasts_s": "1"}, "lasts_s"),
    ],
)
def test_window_that_could_not_be_read_is_refused(admin: Client, wrong: dict[str, str], field: str) -> None:
    answer = admin.post(ADD, FORM | wrong)
    assert answer.status_code == 200
    assert list(answer.context["adminform"].form.errors) == [field]
    assert not MaintenanceWindow.objects.exists()


def test_breaker_is_closed_by_a_person_with_a_reason(admin: Client, breaker: Breaker) -> None:
    page = f"/admin/remediation/breaker/{breaker.pk}/close/"
    listed = admin.get("/admin/remediation/breaker/").content.decode()
    assert (page in listed, "<b>3 bad</b>" in listed) == (True, False)
    assert "<b>3 bad</b>" not in admin.get(page).content.decode()
    admin.post(page, {"reason": " "})
    breaker.refresh_from_db()
    assert breaker.state == "open"
    assert admin.post(page, {"reason": "the disk was replaced"}).status_code == 302
    breaker.refresh_from_db()
    assert (breaker.state, breaker.bad, breaker.reason) == ("closed", 0, "closed by ada: the disk was replaced")
    assert lines("breaker") == [("closed", "ada")]
    assert "closed already" in admin.post(page, {"reason": "again"}, follow=True).content.decode()
    assert lines("breaker") == [("closed", "ada")]


def test_breaker_and_storm_are_not_edited(admin: Client, breaker: Breaker) -> None:
    for name in ("breaker", "storm"):
        assert admin.get(f"/admin/remediation/{name}/").status_code == 200
        assert admin.get(f"/admin/remediation/{name}/add/").status_code == 403
    page = f"/admin/remediation/breaker/{breaker.pk}"
    assert admin.get(f"{page}/change/").status_code == 200
    assert admin.post(f"{page}/change/", {"state": "closed"}).status_code == 403
    assert admin.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    assert Storm.objects.count() == 0


@pytest.mark.parametrize("group", ["viewer", "operator"])
def test_others_close_nothing(breaker: Breaker, group: str) -> None:
    user = User.objects.create_user(group, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    answer = client.post(f"/admin/remediation/breaker/{breaker.pk}/close/", {"reason": "x"})
    breaker.refresh_from_db()
    assert (answer.status_code, breaker.state) == (403, "open")
