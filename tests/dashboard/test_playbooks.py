"""The pages of playbooks: what each has shown, and a person who changes its autonomy."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from remediation.models import Playbook, Problem, Remediation, Transition
from tests.dashboard import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def tried() -> Remediation:
    incident = factories.an_incident(factories.a_rule(factories.a_service("web")))
    row = factories.a_remediation(incident, state="verified")
    now = timezone.now()
    Remediation.objects.filter(pk=row.pk).update(
        effect_started_at=now - timedelta(seconds=40), ended_at=now, playbook_version=row.playbook.version
    )
    return row


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(factories.a_user(role))
    return client


def test_it_says_what_was_shown_and_what_more_autonomy_asks(tried: Remediation) -> None:
    Playbook.objects.update(autonomy="approve")
    page = signed_in("viewer").get(f"/playbooks/{tried.playbook_id}/").content.decode()
    assert "1 attempt, 10 asked" in page
    assert "Nobody knows how often the fault ends by itself" in page
    assert "Not yet auto" in page
    assert "Set autonomy" not in page


def test_more_than_was_earned_takes_a_reason_and_is_recorded(tried: Remediation) -> None:
    Playbook.objects.update(autonomy="shadow")
    admin, address = signed_in("admin"), f"/playbooks/{tried.playbook_id}/autonomy/"
    assert admin.post(address, {"autonomy": "auto"}).status_code == 409
    assert Playbook.objects.get().autonomy == "shadow"
    assert admin.post(address, {"autonomy": "auto", "reason": "the drill went well"}).status_code == 302
    assert Playbook.objects.get().autonomy == "auto"
    line = Transition.objects.get(kind="playbook")
    assert (line.to_state, line.reason) == ("autonomy auto", "the drill went well")
    assert line.actor.startswith("admin")


@pytest.mark.parametrize("role", ["viewer", "operator", "approver"])
def test_only_who_may_edit_playbooks_changes_it(tried: Remediation, role: str) -> None:
    before = Playbook.objects.get().autonomy
    answer = signed_in(role).post(f"/playbooks/{tried.playbook_id}/autonomy/", {"autonomy": "auto", "reason": "x"})
    assert answer.status_code == 403
    assert Playbook.objects.get().autonomy == before


def test_a_masked_fault_is_shown_until_somebody_closes_it(tried: Remediation) -> None:
    now = timezone.now()
    Problem.objects.create(
        rule=tried.incident.rule,
        service=tried.incident.service,
        playbook=tried.playbook,
        position=1,
        verb="restart",
        opened_at=now,
        last_at=now,
        repairs=7,
        trend=[0] * 12 + [3, 4],
    )
    operator = signed_in("operator")
    assert "was verified 7 times" in operator.get("/playbooks/").content.decode()
    address = f"/problems/{Problem.objects.get().pk}/close/"
    assert signed_in("viewer").post(address).status_code == 403
    assert operator.post(address, {"reason": "the leak is mended"}).status_code == 302
    assert operator.post(address).status_code == 409
    assert "was verified" not in operator.get("/playbooks/").content.decode()
