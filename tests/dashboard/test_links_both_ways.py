"""From each object's page to its form in the admin, and back."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from tests.dashboard import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(factories.a_user("admin", is_staff=True))
    return client


def rows() -> list[tuple[Model, str]]:
    """Rows, and the page that shows each of them."""
    service = factories.a_service("web")
    rule = factories.a_rule(service)
    incident = factories.an_incident(rule)
    playbook, target = factories.a_playbook(), factories.a_target(service)
    return [
        (rule.source, "/system/"),
        (service, "/services/web/"),
        (target, "/services/web/"),
        (rule, f"/rules/{rule.pk}/"),
        (playbook, f"/playbooks/{playbook.pk}/"),
        (incident, f"/incidents/{incident.pk}/"),
    ]


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def test_each_page_links_to_its_form_and_each_form_back(admin: Client) -> None:
    missing = []
    for row, page in rows():
        form = reverse(f"admin:remediation_{row._meta.model_name}_change", args=[row.pk])
        if f'href="{form}"' not in text(admin.get(page)):
            missing.append(f"{page} to {form}")
        if f'href="{page}' not in text(admin.get(form)):
            missing.append(f"{form} to {page}")
    assert missing == []


def test_what_has_no_page_of_its_own_leads_to_where_it_is_told(admin: Client) -> None:
    incident = factories.an_incident(factories.a_rule(factories.a_service("web")))
    repair, decision = factories.a_remediation(incident), factories.a_decision(incident)
    for row in (repair, decision):
        form = reverse(f"admin:remediation_{row._meta.model_name}_change", args=[row.pk])
        assert f'href="/incidents/{incident.pk}/"' in text(admin.get(form))
