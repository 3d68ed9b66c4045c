"""What pages show and what their buttons do."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.pages import health, plans
from dashboard.pages.words import ago
from dashboard.templatetags.homeostat import facts
from remediation.decide import freeze
from remediation.models import Freeze, Heartbeat, Incident, Note, RuleStatus, Service, Transition, record
from remediation.states import RemediationState
from tests.dashboard import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def approver(client: Client) -> Client:
    client.force_login(factories.a_user("approver", name="ann"))
    return client


def state_of(service: Service) -> tuple[str, str]:
    found = health.survey(now=timezone.now(), ids=[service.pk])[0]
    return found.state, found.because


# --- how a service is ---------------------------------------------------------------------------------------------


def test_a_service_nobody_watches_is_unknown() -> None:
    assert state_of(factories.a_service()) == ("unknown", "No rule watches it")


def test_a_service_in_range_is_ok() -> None:
    service = factories.a_service()
    factories.a_series(factories.a_rule(service))
    assert state_of(service) == ("ok", "")


def test_an_unknown_verdict_is_not_ok() -> None:
    service = factories.a_service()
    rule = factories.a_rule(service, "Errors")
    factories.a_series(rule, verdict="unknown", reason="no fresh sample")
    assert state_of(service) == ("unknown", "Errors: no fresh sample")


def test_a_rule_that_fails_makes_its_service_unknown() -> None:
    service = factories.a_service()
    factories.a_rule(service, "Errors", error="bad PromQL")
    assert state_of(service) == ("unknown", "Errors: bad PromQL")


def test_a_rule_that_is_not_evaluated_any_more_makes_its_service_unknown() -> None:
    service = factories.a_service()
    rule = factories.a_rule(service, "Errors")
    RuleStatus.objects.filter(rule=rule).update(evaluated_at=timezone.now() - timedelta(minutes=10))
    state, because = state_of(service)
    assert state == "unknown"
    assert because.startswith("Errors has not been evaluated since")


def test_a_rule_without_a_service_counts_for_the_one_its_series_belong_to() -> None:
    cart, pay = factories.a_service("cart"), factories.a_service("pay")
    rule = factories.a_rule(None, "Errors")
    factories.a_series(rule, {"service": "cart"}, verdict="unknown", reason="stale")
    assert state_of(cart) == ("unknown", "Errors: stale")
    assert state_of(pay) == ("unknown", "No rule watches it")


@pytest.mark.parametrize(
    ("incident_state", "remediation", "expected"),
    [
        ("pending", None, "pending"),
        ("firing", None, "firing"),
        ("firing", "awaiting_approval", "firing"),
        ("firing", "gated", "firing"),
        ("firing", "executing", "repairing"),
        ("firing", "verifying", "repairing"),
        ("firing", "ineffective", "firing"),
        ("resolved", None, "ok"),
    ],
)
def test_incidents_and_repairs_make_the_state(incident_state: str, remediation: str | None, expected: str) -> None:
    service = factories.a_service()
    rule = factories.a_rule(service)
    factories.a_series(rule)
    row = factories.an_incident(rule, state=incident_state)
    if remediation:
        factories.a_remediation(row, state=remediation)
    assert state_of(service)[0] == expected


def test_an_incident_of_severity_info_is_noted_and_no_trouble() -> None:
    service = factories.a_service()
    rule = factories.a_rule(service, "TrafficLow", severity="info")
    series = factories.a_series(rule)
    factories.an_incident(rule)
    assert state_of(service) == ("ok", "Noted: TrafficLow")
    type(series).objects.update(verdict="unknown", reason="stale")
    assert state_of(service) == ("unknown", "TrafficLow: stale")


def test_a_frozen_service_that_fires_shows_both() -> None:
    service = factories.a_service()
    freeze.freeze(service=service, reason="", by="ann", until=None, now=timezone.now())
    rule = factories.a_rule(service)
    assert state_of(service)[0] == "frozen"
    factories.an_incident(rule)
    found = health.survey(now=timezone.now())[0]
    assert (found.state, found.frozen) == ("firing", True)


def test_a_dependency_in_trouble_is_named() -> None:
    store = factories.a_service("store")
    web = factories.a_service("web", depends_on=(store,))
    found = {one.name: one for one in health.survey(now=timezone.now())}
    assert found[web.name].depends_on == (("store", "store", "unknown"),)


# --- pages --------------------------------------------------------------------------------------------------------


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get(path).status_code == 200
    return len(seen)


def many(count: int) -> None:
    for number in range(count):
        service = factories.a_service(depends_on=tuple(Service.objects.all()[:2]))
        rule = factories.a_rule(service)
        factories.a_series(rule)
        row = factories.an_incident(rule, state=("firing", "pending", "resolved")[number % 3])
        if row.state == "firing":
            factories.a_remediation(row, state=("awaiting_approval", "verifying")[number % 2])


@pytest.mark.parametrize("path", ["/", "/incidents/", "/approvals/", "/rules/", "/playbooks/", "/system/"])
def test_more_rows_cost_no_more_queries(approver: Client, path: str) -> None:
    many(5)
    few = queries(approver, path)
    many(45)
    assert queries(approver, path) == few


def test_every_page_is_there(approver: Client) -> None:
    many(3)
    names = [f"/services/{name}/" for name in Service.objects.values_list("name", flat=True)]
    paths = [f"/incidents/{pk}/" for pk in Incident.objects.values_list("pk", flat=True)]
    for path in ["/", "/incidents/?state=all", "/approvals/", "/rules/", "/playbooks/", "/system/", *names, *paths]:
        page = approver.get(path)
        assert page.status_code == 200, path
        assert "style=" not in page.content.decode(), path
        assert "<script>" not in page.content.decode(), path


@pytest.mark.parametrize("path", ["/", "/incidents/", "/approvals/", "/rules/", "/playbooks/", "/system/"])
def test_an_empty_installation_says_why_it_is_empty(approver: Client, path: str) -> None:
    page = approver.get(path)
    assert page.status_code == 200
    assert 'class="empty' in page.content.decode()


@pytest.mark.parametrize("path", ["/", "/incidents/"])
def test_where_nothing_is_watched_no_incident_is_no_good_news(approver: Client, path: str) -> None:
    said = "nothing is watched: no incident can open"
    assert said in approver.get(path).content.decode()
    rule = factories.a_rule(factories.a_service("web"))
    assert said not in approver.get(path).content.decode()
    rule.enabled = False
    rule.save()
    assert said in approver.get(path).content.decode()


@pytest.mark.parametrize("path", ["/incidents/999/", "/services/none/", "/nowhere/"])
def test_what_is_not_there_is_404_in_our_look(approver: Client, path: str) -> None:
    page = approver.get(path)
    assert page.status_code == 404
    assert "nothing at this address" in page.content.decode()


HOSTILE = '<img src=x onerror="alert(1)">'


def test_a_hostile_label_is_text_everywhere(approver: Client) -> None:
    service = factories.a_service("web")
    rule = factories.a_rule(
        service,
        annotations={"summary": "{instance} is broken", "runbook_url": "javascript:alert(1)", "description": HOSTILE},
    )
    labels = {"instance": HOSTILE}
    factories.a_series(rule, labels, verdict="bad", reason=HOSTILE)
    row = factories.an_incident(rule, labels=labels, reason=HOSTILE, needs_person=True, attention=HOSTILE)
    factories.a_remediation(row, output=HOSTILE, reason=HOSTILE)
    Note.objects.create(incident=row, author="ann", text=HOSTILE, at=timezone.now())
    keys = "&".join(
        f"key={key}" for key in ("attention", "open", f"incident-head:{row.pk}", f"incident-story:{row.pk}")
    )
    for path in ("/", "/incidents/", f"/incidents/{row.pk}/", "/approvals/", "/services/web/"):
        page = approver.get(path).content.decode()
        assert "&lt;img src=x onerror=" in page, path
        assert "<img" not in page, path
        assert "javascript:" not in page, path
    pieces = approver.get(f"/live/fragments/?{keys}").json()["fragments"]
    assert len(pieces) == 4
    assert not [piece for piece in pieces if "<img" in piece["html"]]
    title = re.search(r"<title>(.*?)</title>", approver.get(f"/incidents/{row.pk}/").content.decode(), re.S)
    assert title is not None
    assert "&lt;img" in title[1]


def test_incidents_filter_and_page(approver: Client) -> None:
    rule = factories.a_rule(factories.a_service("web"))
    other = factories.a_rule(factories.a_service("pay"))
    for number in range(53):
        factories.an_incident(rule, state="resolved", age_s=1000 + number)
    factories.an_incident(other)

    def shown(query: str) -> int:
        return approver.get(f"/incidents/?{query}").content.decode().count('id="incident-')

    assert shown("") == 1
    assert shown("state=all") == 50
    assert shown("state=all&page=2") == 4
    assert shown("state=resolved&service=pay") == 0
    assert shown("state=firing&service=pay") == 1
    assert shown("state=nonsense&page=x&service=pay") == 1


# --- the story of an incident -------------------------------------------------------------------------------------


def a_healed_incident() -> Incident:
    now = timezone.now()
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    checks = [
        {
            "at": now.timestamp() - 9 + k,
            "verdict": v,
            "value": 0.1,
            "sample_at": now.timestamp() + k,
            "counts": True,
            "reason": "r",
        }
        for k, v in enumerate(("bad", "ok", "ok"))
    ]
    factories.a_remediation(row, state="verifying", output="app-1: stopped\napp-1: started", checks=checks)
    return row


def test_the_story_is_in_order_and_has_effects_and_notes(approver: Client) -> None:
    row = a_healed_incident()
    approver.post(f"/incidents/{row.pk}/notes/", {"text": "I look at it"})
    approver.post(f"/incidents/{row.pk}/acknowledge/")
    page = approver.get(f"/incidents/{row.pk}/").content.decode()
    told = page[page.index('class="story"') :]
    parts = ["Out of range", "Firing", "Plans to restart", "app-1: stopped", "I look at it", "Acknowledged"]
    places = [told.index(part) for part in parts]
    assert places == sorted(places)
    assert Note.objects.get().author == "ann"
    assert "2 of 3" in page


def test_why_nothing_was_done_is_said(approver: Client) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")), state="resolved")
    factories.a_decision(row, summary="Did nothing: no playbook serves it.")
    page = approver.get(f"/incidents/{row.pk}/").content.decode()
    assert "Why nothing was done" in page
    assert "Did nothing: no playbook serves it." in page


def test_the_head_of_an_incident_says_how_its_repair_stands(approver: Client) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    assert "#remediation-" not in head_of(approver, row)
    held = factories.a_remediation(row, state="gated", reason="Dependency: waits for store")
    html = head_of(approver, row)
    assert f'href="#remediation-{held.pk}"' in html
    assert "Held by guards" in html
    assert "waits for store" in html
    over = factories.an_incident(row.rule, state="resolved")
    factories.a_remediation(over, state="verified")
    assert "#remediation-" not in head_of(approver, over)
    factories.a_remediation(over, state="verifying")
    assert "Verifying" in head_of(approver, over)


def head_of(client: Client, incident: Incident) -> str:
    pieces = client.get(f"/live/fragments/?key=incident-head:{incident.pk}").json()["fragments"]
    return str(pieces[0]["html"])


def test_a_gate_names_its_guards_and_numbers(approver: Client) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    guards = [
        {"guard": "cooldown", "label": "Cooldown", "passed": False, "reason": "40 s ago", "numbers": {"since_s": 40}}
    ]
    factories.a_remediation(row, state="gated", guards=guards)
    page = approver.get(f"/incidents/{row.pk}/").content.decode()
    assert "Held by <b>Cooldown</b>: 40 s ago" in page
    assert "since s 40" in page


def test_acknowledging_twice_keeps_the_first(approver: Client) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    approver.post(f"/incidents/{row.pk}/acknowledge/")
    approver.force_login(factories.a_user("operator", name="bob"))
    approver.post(f"/incidents/{row.pk}/acknowledge/")
    row.refresh_from_db()
    assert row.acknowledged_by is not None
    assert row.acknowledged_by.username == "ann"
    assert Transition.objects.filter(to_state="acknowledged").count() == 1


def test_an_empty_note_is_not_kept(approver: Client) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    assert approver.post(f"/incidents/{row.pk}/notes/", {"text": "  "}).status_code == 302
    assert not Note.objects.exists()


@pytest.mark.parametrize("query", ["", "start=x&end=2", "start=5&end=2", "start=0&end=99999999", "start=nan&end=inf"])
def test_a_senseless_range_is_400(approver: Client, query: str) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    assert approver.get(f"/incidents/{row.pk}/series.json?{query}").status_code == 400


# --- approvals ----------------------------------------------------------------------------------------------------


def test_an_approval_card_says_what_where_why_and_how(approver: Client) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web", title="Web shop"), "WebErrors"))
    asked = factories.a_remediation(row)
    page = approver.get("/approvals/").content.decode()
    for part in (
        f"Restart {asked.target_names}",
        "Web shop",
        "0.41 is above 0.05",
        "WebErrors",
        "supervisor.stopProcess",
    ):
        assert part in page, part
    for part in ("3 good samples in a row", "Cannot be undone", "data-countdown", "4711", "a new one"):
        assert part in page, part


def test_approving_makes_it_ready_and_leads_to_the_incident(approver: Client) -> None:
    asked = factories.a_remediation(factories.an_incident(factories.a_rule(factories.a_service("web"))))
    answer = approver.post(f"/approvals/{asked.pk}/approve/", {"digest": asked.digest})
    assert answer["Location"] == f"/incidents/{asked.incident_id}/"
    asked.refresh_from_db()
    assert asked.state == RemediationState.READY
    assert "Approved" in approver.get("/approvals/").content.decode()


def test_rejecting_keeps_the_reason(approver: Client) -> None:
    asked = factories.a_remediation(factories.an_incident(factories.a_rule(factories.a_service("web"))))
    approver.post(f"/approvals/{asked.pk}/reject/", {"digest": asked.digest, "reason": "sale running"})
    asked.refresh_from_db()
    assert (asked.state, asked.reason) == (RemediationState.REJECTED, "rejected by ann: sale running")


def test_the_second_to_answer_is_told_who_was_quicker(approver: Client) -> None:
    asked = factories.a_remediation(factories.an_incident(factories.a_rule(factories.a_service("web"))))
    approver.post(f"/approvals/{asked.pk}/approve/", {"digest": asked.digest})
    approver.force_login(factories.a_user("approver", name="bob"))
    answer = approver.post(f"/approvals/{asked.pk}/reject/", {"digest": asked.digest, "reason": "no"})
    assert answer.status_code == 409
    assert "approved by ann" in answer.content.decode()


def test_another_plan_than_the_one_shown_is_409(approver: Client) -> None:
    asked = factories.a_remediation(factories.an_incident(factories.a_rule(factories.a_service("web"))))
    answer = approver.post(f"/approvals/{asked.pk}/approve/", {"digest": "0" * 64, "state": "ready"})
    assert answer.status_code == 409
    asked.refresh_from_db()
    assert asked.state == RemediationState.AWAITING_APPROVAL


def test_an_expired_request_is_409(approver: Client) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    asked = factories.a_remediation(row, expires_at=timezone.now() - timedelta(seconds=1))
    assert approver.post(f"/approvals/{asked.pk}/approve/", {"digest": asked.digest}).status_code == 409


def test_two_people_are_needed_where_the_step_says_so(approver: Client) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    asked = factories.a_remediation(row, approvals_needed=2)
    answer = approver.post(f"/approvals/{asked.pk}/approve/", {"digest": asked.digest}, follow=True)
    assert "Another person has to approve" in answer.content.decode()
    assert "1 of 2 people have approved" in approver.get("/approvals/").content.decode()


# --- freeze -------------------------------------------------------------------------------------------------------


def test_pausing_everywhere_shows_on_every_page_and_can_be_lifted(approver: Client) -> None:
    approver.post("/freeze/", {"reason": "database move", "for": "3600"})
    row = Freeze.objects.get()
    assert (row.service, row.reason, row.by) == (None, "database move", "ann")
    assert row.until is not None
    for path in ("/", "/rules/"):
        page = approver.get(path).content.decode()
        assert "Paused everywhere" in page, path
        assert "database move" in page, path
    approver.post("/unfreeze/")
    assert not Freeze.active(now=timezone.now(), anywhere=True).exists()


def test_pausing_one_service_leads_back_to_it(approver: Client) -> None:
    service = factories.a_service("web")
    answer = approver.post("/freeze/", {"service": "web"}, headers={"referer": "http://testserver/services/web/"})
    assert answer["Location"] == "http://testserver/services/web/"
    assert Freeze.objects.get().service == service


def test_a_referer_from_elsewhere_leads_home(approver: Client) -> None:
    answer = approver.post("/freeze/", {}, headers={"referer": "http://evil.example/"})
    assert answer["Location"] == "/"


@pytest.mark.parametrize("seconds", ["", "0", "-5", "x", "99999999999999", "0000000019999999999999999", "²"])
def test_a_senseless_length_means_until_lifted(approver: Client, seconds: str) -> None:
    assert approver.post("/freeze/", {"for": seconds}).status_code == 302
    assert Freeze.objects.get().until is None


# --- the system ---------------------------------------------------------------------------------------------------


def test_a_stage_that_stands_still_is_a_banner_everywhere(approver: Client) -> None:
    Heartbeat.beat("reconcile", now=timezone.now() - timedelta(minutes=5), every_s=1)
    assert "Homeostat itself stands still" in approver.get("/incidents/").content.decode()
    Heartbeat.beat("reconcile", now=timezone.now(), every_s=1)
    assert "Homeostat itself stands still" not in approver.get("/incidents/").content.decode()


def test_errors_of_sources_and_rules_are_shown(approver: Client) -> None:
    factories.a_source("edge", failing="connection refused")
    factories.a_rule(factories.a_service("web"), "Broken", error="bad PromQL: parse error")
    page = approver.get("/system/").content.decode()
    assert "connection refused" in page
    assert "bad PromQL: parse error" in page


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_s", "said"),
    [
        (-40, "in 40 s"),
        (0, "just now"),
        (9.9, "just now"),
        (25, "20 s ago"),
        (61, "1 min ago"),
        (7200, "2 h ago"),
        (3e5, "3 d ago"),
    ],
)
def test_ages_are_said_calmly(age_s: float, said: str) -> None:
    assert ago(age_s) == said


def test_good_samples_are_counted_as_the_verification_counts_them() -> None:
    row = a_healed_incident().remediations.get()
    assert plans.view_of(row).dots == [True, True, False]


@pytest.mark.django_db
def test_rule_that_lost_sight_says_why_nothing_is_done(client: Client) -> None:
    rule = factories.a_rule(factories.a_service("web"))
    record(rule, "unknown", now=timezone.now(), reason="no fresh sample; unknown is not a fault, so nothing is done")
    client.force_login(factories.a_user())
    assert "unknown is not a fault, so nothing is done" in client.get("/").content.decode()


def test_a_list_of_names_is_said_as_one() -> None:
    assert facts({"done": ["app-1", "app-2"], "left_s": 1.5}) == [("done", "app-1, app-2"), ("left s", "1.5")]
