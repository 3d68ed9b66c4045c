"""What a page says after a form belongs to the tab that the form was in."""

from __future__ import annotations

import pytest
from django.test import Client

from dashboard import toasts
from remediation.models import Incident
from tests.dashboard import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def row(client: Client) -> Incident:
    client.force_login(factories.a_user("operator", name="olga"))
    return factories.an_incident(factories.a_rule(factories.a_service("web")))


def said(client: Client, path: str) -> bool:
    return "The note was empty" in client.get(path).content.decode()


def say(client: Client, row: Incident) -> str:
    return client.post(f"/incidents/{row.pk}/notes/", {"text": " "})["Location"]


def test_it_is_said_once_on_the_page_the_form_leads_to(client: Client, row: Incident) -> None:
    led = say(client, row)
    assert said(client, led)
    assert not said(client, led)


def test_another_tab_neither_says_nor_takes_it(client: Client, row: Incident) -> None:
    led = say(client, row)
    assert not said(client, "/rules/")
    assert not said(client, "/incidents/")
    client.get("/live/fragments/?key=automation")
    assert said(client, led)


def test_it_goes_along_where_the_next_page_leads_on(client: Client, row: Incident) -> None:
    """The sign-in and other pages answer with yet another redirect: the message is for what comes last."""
    client.post(f"/incidents/{row.pk}/notes/", {"text": " "})
    client.post(f"/incidents/{row.pk}/notes/", {"text": "seen"})
    assert said(client, f"/incidents/{row.pk}/")


def test_two_tabs_each_hear_their_own(client: Client, row: Incident) -> None:
    say(client, row)
    client.post("/views/", {"page": "rules", "name": " "})
    rules = client.get("/rules/").content.decode()
    assert "needs a name" in rules
    assert "The note was empty" not in rules
    incident = client.get(f"/incidents/{row.pk}/").content.decode()
    assert "The note was empty" in incident
    assert "needs a name" not in incident


def test_what_nobody_comes_for_is_forgotten(client: Client, row: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    led = say(client, row)
    monkeypatch.setattr(toasts, "FORGOTTEN_AFTER_S", -2)
    client.get("/rules/")
    assert not said(client, led)


def test_it_is_said_in_its_own_look(client: Client, row: Incident) -> None:
    assert 'class="toast is-error"' in client.get(say(client, row)).content.decode()
