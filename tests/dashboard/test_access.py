"""Who gets in, and who may do what: every address as nobody, every POST as one who may only look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from remediation.models import Freeze, Incident, Remediation
from remediation.states import RemediationState
from tests.dashboard import factories

pytestmark = pytest.mark.django_db

OPEN = {"login", "healthy", "ready"}
CHOICE = {"set_language"}
"""Keeps a choice in the browser and shows nothing."""
SAMPLES = {
    "<int:pk>": "1",
    "<int:rule>": "1",
    "<int:number>": "1",
    "<path:object_id>": "1",
    "<slug:name>": "web",
    "<str:name>": "web",
    "<slug:fingerprint>": "f",
    "<slug:shelf>": "redis",
    "<str:rule>": "RedisDown",
}


def addresses(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[tuple[str, str]]:
    """Name and path of everything the site map holds; the admin's own parts are its own to guard."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if pattern.app_name == "admin":
                yield "admin", path
            else:
                yield from addresses(pattern.url_patterns, path)
            continue
        for placeholder, sample in SAMPLES.items():
            path = path.replace(placeholder, sample)
        yield pattern.name or "", path


ADDRESSES = dict(addresses(get_resolver().url_patterns))


def test_the_site_map_was_read() -> None:
    assert {"overview", "incident", "approve", "freeze", "live-fragments"} <= ADDRESSES.keys()
    assert not [path for path in ADDRESSES.values() if "<" in path]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", sorted(ADDRESSES.keys() - OPEN - CHOICE))
def test_nobody_is_sent_to_the_sign_in(client: Client, name: str, method: str) -> None:
    answer = getattr(client, method)(ADDRESSES[name], REMOTE_ADDR="203.0.113.9")
    signs_in = answer.status_code == 302 and "/login/" in answer["Location"]
    assert signs_in or answer.status_code in (401, 405), (answer.status_code, ADDRESSES[name])


def test_whoever_is_nobody_may_choose_a_language_and_is_sent_nowhere_else(client: Client) -> None:
    answer = client.post(ADDRESSES["set_language"], {"language": "zh-hans", "next": "//evil.example/"})
    assert (answer.status_code, answer["Location"]) == (302, "/")


@pytest.mark.parametrize("name", sorted(OPEN))
def test_health_and_sign_in_are_open(client: Client, name: str) -> None:
    assert client.get(ADDRESSES[name]).status_code in (200, 503)


@pytest.fixture
def asked() -> Remediation:
    service = factories.a_service("web")
    return factories.a_remediation(factories.an_incident(factories.a_rule(service)))


def posts(asked: Remediation) -> dict[str, dict[str, str]]:
    return {
        f"/approvals/{asked.pk}/approve/": {"digest": asked.digest},
        f"/approvals/{asked.pk}/reject/": {"digest": asked.digest, "reason": "no"},
        f"/incidents/{asked.incident_id}/acknowledge/": {},
        f"/incidents/{asked.incident_id}/notes/": {"text": "hello"},
        f"/incidents/{asked.incident_id}/take/": {"for": "900"},
        f"/incidents/{asked.incident_id}/hand-back/": {},
        f"/approvals/{asked.pk}/ask-again/": {},
        "/freeze/": {"reason": "x"},
        "/unfreeze/": {},
        "/demo/break/crash/": {},
        "/demo/mend/": {},
    }


def test_a_viewer_may_look_and_nothing_else(client: Client, asked: Remediation) -> None:
    client.force_login(factories.a_user("viewer"))
    for path, form in posts(asked).items():
        assert client.post(path, form).status_code == 403, path
    asked.refresh_from_db()
    assert asked.state == RemediationState.AWAITING_APPROVAL
    assert Incident.objects.get().acknowledged_at is None
    assert not Freeze.objects.exists()


def test_an_operator_may_not_approve(client: Client, asked: Remediation) -> None:
    client.force_login(factories.a_user("operator"))
    assert client.post(f"/approvals/{asked.pk}/approve/", {"digest": asked.digest}).status_code == 403


def test_a_post_without_a_token_is_refused(asked: Remediation) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.a_user("approver"))
    for path, form in posts(asked).items():
        answer = client.post(path, form)
        assert answer.status_code == 403, path
        assert "no longer belongs to your session" in answer.content.decode()


def test_a_form_of_the_page_carries_a_token_that_works(asked: Remediation) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.a_user("approver"))
    page = client.get("/approvals/").content.decode()
    token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    form = {"digest": asked.digest, "csrfmiddlewaretoken": token}
    assert client.post(f"/approvals/{asked.pk}/approve/", form).status_code == 302


def test_signing_in_leads_nowhere_else(client: Client) -> None:
    user = factories.a_user("viewer", password="secret-of-a-test")
    form = {"username": user.username, "password": "secret-of-a-test", "next": "//evil.example/"}
    assert client.post("/login/", form)["Location"] == "/"


def test_signing_out_takes_a_post(client: Client) -> None:
    client.force_login(factories.a_user("viewer"))
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_the_demo_is_not_there_without_the_demo(client: Client) -> None:
    client.force_login(factories.a_user("operator"))
    assert client.get("/demo/").status_code == 404
    assert client.post("/demo/break/crash/").status_code == 404
    assert client.get("/live/fragments/?key=demo-faults").json()["gone"] == ["demo-faults"]
