"""The door: bad passwords lock a name, wherever they are typed; and what is refused leaves a line of history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import aauthenticate, authenticate
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard import signing_in
from remediation import conf
from remediation.models import Freeze, Transition
from tests.dashboard import factories

pytestmark = pytest.mark.django_db

PASSWORD = "secret-of-a-test"


@pytest.fixture(autouse=True)
def quick_hashing(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ann() -> User:
    return factories.a_user("approver", "ann", password=PASSWORD)


def sign_in(client: Client, password: str, name: str = "ann", **more: str) -> Any:
    return client.post("/login/", {"username": name, "password": password, **more})


def fail(client: Client, times: int, name: str = "ann") -> None:
    for _ in range(times):
        assert sign_in(client, "wrong", name).status_code in (200, 429)


def lines(**about: Any) -> list[tuple[str, str]]:
    return list(Transition.objects.filter(kind="login", **about).order_by("pk").values_list("to_state", "actor"))


def test_without_any_account_the_door_says_how_to_make_one(client: Client) -> None:
    assert "manage.py createsuperuser" in client.get("/login/").content.decode()
    User.objects.create_user("first")
    assert "createsuperuser" not in client.get("/login/").content.decode()


def test_six_bad_passwords_lock_the_name_for_a_while(client: Client, ann: User) -> None:
    fail(client, 6)
    answer = sign_in(client, PASSWORD)
    assert (answer.status_code, "locked for another" in answer.content.decode()) == (429, True)
    assert "_auth_user_id" not in client.session
    Transition.objects.filter(kind="login").update(at=timezone.now() - timedelta(seconds=conf.LOCK_S + 1))
    assert sign_in(client, PASSWORD).status_code == 302
    assert lines() == [("bad password", "ann")] * 6 + [("locked", "ann"), ("signed in", "ann")]


def test_five_do_not_and_a_good_one_begins_anew(client: Client, ann: User) -> None:
    fail(client, 5)
    assert sign_in(client, PASSWORD).status_code == 302
    client.post("/logout/")
    fail(client, 5)
    assert sign_in(client, PASSWORD).status_code == 302


def test_another_name_is_not_locked_with_it(client: Client, ann: User) -> None:
    factories.a_user("viewer", "bob", password=PASSWORD)
    fail(client, 6)
    assert sign_in(client, PASSWORD, "bob").status_code == 302


def test_a_name_nobody_has_is_answered_alike_and_not_written_down(client: Client, ann: User) -> None:
    known, unknown = [[sign_in(client, "wrong", name) for _ in range(7)] for name in ("ann", "pa55word-typed-here")]
    assert [one.status_code for one in known] == [one.status_code for one in unknown]
    assert not [row for row in Transition.objects.all() if "pa55word" in f"{row.actor}{row.reason}{row.facts}"]


def test_the_admins_own_door_is_locked_as_well(client: Client, ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(is_staff=True)
    for _ in range(6):
        client.post("/admin/login/", {"username": "ann", "password": "wrong"})
    client.post("/admin/login/", {"username": "ann", "password": PASSWORD})
    assert "_auth_user_id" not in client.session


def test_the_asynchronous_way_in_is_locked_as_well(ann: User) -> None:
    for _ in range(6):
        assert async_to_sync(aauthenticate)(None, username="ann", password="wrong") is None
    assert async_to_sync(aauthenticate)(None, username="ann", password=PASSWORD) is None
    assert authenticate(None, username="ann", password=PASSWORD) is None


def test_a_nul_is_no_error_of_ours(client: Client) -> None:
    assert sign_in(client, "x", "an\x00n").status_code == 200


@pytest.mark.parametrize(
    ("target", "leads"),
    [
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("http:///evil.example/", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/rules/", "/rules/"),
    ],
)
def test_signing_in_leads_nowhere_else(client: Client, ann: User, target: str, leads: str) -> None:
    answer = client.post("/login/", {"username": "ann", "password": PASSWORD, "next": target})
    assert answer["Location"] == leads


@pytest.mark.parametrize("target", ["//evil.example/", "https://evil.example/"])
def test_nor_does_the_admins_own_door(client: Client, ann: User, target: str) -> None:
    User.objects.filter(pk=ann.pk).update(is_staff=True)
    answer = client.post("/admin/login/", {"username": "ann", "password": PASSWORD, "next": target})
    assert answer["Location"] == "/"


def test_when_somebody_signed_in_is_known(client: Client, ann: User) -> None:
    sign_in(client, PASSWORD)
    request: Any = type("Request", (), {"session": client.session})
    assert signing_in.lately(request)
    for at in (timezone.now().timestamp() - conf.REAUTH_S - 1, timezone.now().timestamp() + 60, None, "x"):
        request.session = {"signed_in_at": at}
        assert not signing_in.lately(request)


# --- what is refused ---


def test_what_is_refused_leaves_a_line(client: Client) -> None:
    vic = factories.a_user("viewer", "vic")
    client.force_login(vic)
    incident = factories.an_incident(factories.a_rule(factories.a_service("web")))
    asked = factories.a_remediation(incident)
    paths = [f"/approvals/{asked.pk}/approve/", f"/approvals/{asked.pk}/reject/", "/freeze/", "/unfreeze/"]
    paths += [f"/incidents/{incident.pk}/take/", f"/incidents/{incident.pk}/hand-back/"]
    for path in paths:
        assert client.post(path, {"digest": asked.digest}).status_code == 403
    kept = Transition.objects.filter(kind="user", object_id=vic.pk, to_state="refused", actor="vic").order_by("pk")
    assert [row.reason for row in kept] == [f"POST {path}" for path in paths]
    assert not Freeze.objects.exists()


@pytest.mark.parametrize("staff", [True, False])
def test_a_viewer_who_edits_a_rule_is_refused_and_it_is_kept(client: Client, staff: bool) -> None:
    rule = factories.a_rule(factories.a_service("web"))
    vic = factories.a_user("viewer", "vic", is_staff=staff)
    client.force_login(vic)
    path = f"/admin/remediation/rule/{rule.pk}/change/"
    assert client.post(path, {"query": "up"}).status_code == 403
    assert path in Transition.objects.get(kind="user", to_state="refused").reason


def test_merely_looking_leaves_no_line_and_a_flood_few(client: Client) -> None:
    client.force_login(factories.a_user("viewer", "vic"))
    assert client.get("/audit/history.jsonl").status_code == 403
    assert not Transition.objects.filter(kind="user").exists()
    for _ in range(40):
        client.post("/freeze/")
    assert Transition.objects.filter(kind="user").count() == 30
