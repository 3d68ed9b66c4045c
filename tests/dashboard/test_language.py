"""Which language a page and a websocket speak."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.conf import settings
from django.test import AsyncClient, Client
from django.utils import translation

from dashboard.language import of_scope
from remediation.models import Remediation, RuleVersion, Step, Transition
from tests.dashboard import factories

pytestmark = pytest.mark.django_db  # the page for signing in asks whether there is anybody

COOKIE = settings.LANGUAGE_COOKIE_NAME


def language_of(client: Client, **headers: str) -> str:
    return client.get("/login/", headers=headers)["Content-Language"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"),
        ("zh", "zh-hans"),
        ("de-DE,de;q=0.9,en;q=0.8,zh;q=0.5", "en"),
        ("xx", "en"),
        ("zh-CN" * 1000, "en"),
    ],
)
def test_the_browsers_language_is_taken(asked: str, expected: str) -> None:
    headers = {"Accept-Language": asked} if asked else {}
    assert language_of(Client(), **headers) == expected
    scope = {"headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()]}
    assert of_scope(scope) == expected


@pytest.mark.parametrize(
    ("chosen", "expected"), [("en", "en"), ("zh-hans", "zh-hans"), ("de", "zh-hans"), ("../x", "zh-hans")]
)
def test_what_was_chosen_goes_first(chosen: str, expected: str) -> None:
    client = Client()
    client.cookies[COOKIE] = chosen
    assert language_of(client, **{"Accept-Language": "zh-CN"}) == expected
    scope = {"headers": [(b"Accept-Language", b"zh-CN")], "cookies": {COOKIE: chosen}}
    assert of_scope(scope) == expected


def test_chosen_also_before_signing_in() -> None:
    client = Client()
    answer = client.post("/language/", {"language": "zh-hans", "next": "/login/"})
    assert (answer.status_code, answer["Location"]) == (302, "/login/")
    assert client.cookies[COOKIE].value == "zh-hans"
    assert language_of(client) == "zh-hans"


def test_choosing_leads_to_no_other_site() -> None:
    answer = Client().post("/language/", {"language": "zh-hans", "next": "https://elsewhere.example/"})
    assert answer["Location"] == "/"


def test_a_request_leaves_no_language_behind() -> None:
    client = Client(headers={"Accept-Language": "zh-CN"})
    client.force_login(factories.a_user("viewer"))
    assert client.get("/system/")["Content-Language"] == "zh-hans"
    assert translation.get_language() == "en"


def test_requests_at_once_keep_their_languages() -> None:
    async def both() -> list[str]:
        asked = [AsyncClient().get("/login/", headers={"Accept-Language": one}) for one in ("zh-CN", "en") * 5]
        return [answer["Content-Language"] for answer in await asyncio.gather(*asked)]

    assert asyncio.run(both()) == ["zh-hans", "en"] * 5


def test_a_cache_between_keeps_languages_apart() -> None:
    vary = {name.strip() for name in Client().get("/login/")["Vary"].split(",")}
    assert {"Accept-Language", "Cookie"} <= vary


CHINESE = {"Accept-Language": "zh-CN"}


def asked(**fields: Any) -> Remediation:
    incident = factories.an_incident(factories.a_rule(factories.a_service()))
    return factories.a_remediation(incident, **fields)


def test_a_refusal_is_answered_in_the_readers_language_and_kept_in_english() -> None:
    row, user, client = asked(approvals_needed=2), factories.a_user("approver"), Client()
    RuleVersion.objects.filter(pk=row.incident.rule_version_id).update(author=user.username)
    client.force_login(user)
    answer = client.post(f"/approvals/{row.pk}/approve/", {"digest": row.digest}, headers=CHINESE)
    assert answer.status_code == 403
    assert "而您编写了触发的规则。" in answer.content.decode()
    kept = Transition.objects.get(kind="user", to_state="refused").reason
    assert kept.endswith("This step takes two people who had no part in it, and you wrote the rule that fired.")


def test_who_comes_too_late_is_told_in_their_language() -> None:
    row, client = asked(state="superseded", reason="its pid changed"), Client()
    client.force_login(factories.a_user("approver"))
    answer = client.post(f"/approvals/{row.pk}/approve/", {"digest": row.digest}, headers=CHINESE)
    assert answer.status_code == 409
    assert "它已处于“已失效”状态" in answer.content.decode()


def test_a_system_check_is_said_in_the_readers_language() -> None:
    factories.a_playbook()
    Step.objects.all().delete()
    client = Client()
    client.force_login(factories.a_user("viewer"))
    assert "没有步骤。" in client.get("/system/", headers=CHINESE).content.decode()
    assert "has no step." in client.get("/system/").content.decode()
