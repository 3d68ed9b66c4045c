"""Filters of lists: what they find, what they say of nonsense, and what they cost."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.pages import matching
from dashboard.pages.incidents import LABELS, Filter
from remediation.matchers import Matcher
from remediation.models import Incident, Transition
from tests.dashboard import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer", name="vic"))
    return client


@pytest.fixture
def three() -> dict[str, Incident]:
    cart = factories.a_rule(factories.a_service("cart", team="shop"), "CartErrors", severity="critical")
    pay = factories.a_rule(factories.a_service("pay", team="money"), "PaySlow", severity="warning")
    loose = factories.a_rule(None, "Loose", severity="info")
    return {
        "cart": factories.an_incident(cart, labels={"instance": "a:1", "zone": "x"}),
        "pay": factories.an_incident(pay, labels={"instance": "b:1"}),
        "loose": factories.an_incident(loose, labels={"instance": "c:1", "service": "search", "team": "shop"}),
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {"cart", "pay", "loose"}),
        ('severity="critical"', {"cart"}),
        ('severity!="critical"', {"pay", "loose"}),
        ('service=~"cart|pay"', {"cart", "pay"}),
        ('service=~"car"', set()),
        ('service!~"cart|pay"', {"loose"}),
        ("service=search", {"loose"}),
        ('team="shop"', {"cart", "loose"}),
        ('{alertname="PaySlow"}', {"pay"}),
        ('instance="a:1"', {"cart"}),
        ('zone=""', {"pay", "loose"}),
        ('zone!=""', {"cart"}),
        ('zone=~".*"', {"cart", "pay", "loose"}),
        ('zone=~".+"', {"cart"}),
        ('nowhere="x"', set()),
        ('severity="critical", service=~"cart|pay"', {"cart"}),
        ('severity="critical", severity="warning"', set()),
        ("contains=\"x\", in='y'", set()),
    ],
)
def test_matchers_find_incidents(three: dict[str, Incident], text: str, found: set[str]) -> None:
    rows = matching.narrowed(Incident.objects.all(), matching.read(text), LABELS)
    names = {row.pk: name for name, row in three.items()}
    assert {names[row.pk] for row in rows} == found


@pytest.mark.parametrize("hostile", ['"', "'; drop", "a\\b", 'x"y', "%", "_", "$.a", "é\n"])
def test_a_label_of_any_value_is_found_by_its_own_link(viewer: Client, hostile: str) -> None:
    rule = factories.a_rule(factories.a_service("web"))
    mine = factories.an_incident(rule, labels={"instance": hostile})
    factories.an_incident(rule, labels={"instance": "another"})
    query = Filter().with_matcher(Matcher("instance", "=", hostile))
    page = viewer.get(f"/incidents/?{query}").content.decode()
    assert f'id="incident-{mine.pk}"' in page
    assert page.count('id="incident-') == 1


@pytest.mark.parametrize("text", ['severity="critical', "critical", 'a=~"("', 'a=="b"', "x" * 300, "a=b," * 20])
@pytest.mark.parametrize("path", ["/incidents/", "/rules/"])
def test_nonsense_is_said_beside_the_field_which_keeps_it(viewer: Client, path: str, text: str) -> None:
    factories.an_incident(factories.a_rule(factories.a_service("web")))
    page = viewer.get(f"{path}?{urlencode({'match': text})}")
    told = page.content.decode()
    assert page.status_code == 200
    assert "This filter cannot be used." in told
    assert 'aria-invalid="true"' in told
    assert "data-row" not in told
    assert page.context["chosen"].match == text


def test_a_pattern_that_explodes_is_stopped_and_said(viewer: Client) -> None:
    rule = factories.a_rule(factories.a_service("web"))
    for number in range(30):
        factories.an_incident(rule, labels={"path": "a" * 40 + f"!{number}"})
    page = viewer.get("/incidents/?" + urlencode({"match": 'path=~"(a|a|aa)+$"'})).content.decode()
    assert "takes too long" in page
    assert "data-row" not in page


def test_a_label_of_too_many_values_is_not_searched(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "VALUES", 3)
    rule = factories.a_rule(factories.a_service("web"))
    for number in range(4):
        factories.an_incident(rule, labels={"path": str(number)})
    page = viewer.get("/incidents/?" + urlencode({"match": 'path=~"1"'})).content.decode()
    assert "path has more than 3 values here" in page
    page = viewer.get("/incidents/?" + urlencode({"match": 'path=~"1", path!="0"'})).content.decode()
    assert page.count('id="incident-') == 1


def test_a_filter_is_a_live_piece_and_addresses_of_before_still_work(viewer: Client) -> None:
    factories.an_incident(factories.a_rule(factories.a_service("web")))
    page = viewer.get("/incidents/?service=web")
    key = page.context["key"]
    assert page.content.decode().count('id="incident-') == 1
    assert page.context["chosen"].match == 'service="web"'
    piece = viewer.get("/live/fragments/", {"key": f"incidents:{key}"}).json()["fragments"]
    assert 'id="incident-' in piece[0]["html"]


def test_incidents_of_before_a_moment(viewer: Client) -> None:
    rule = factories.a_rule(factories.a_service("web"))
    old = factories.an_incident(rule, age_s=7200)
    factories.an_incident(rule, age_s=60)
    until = timezone.now().replace(microsecond=0)
    page = viewer.get(
        "/incidents/", {"until": f"{until.fromtimestamp(until.timestamp() - 3600, until.tzinfo):%Y-%m-%dT%H:%M}"}
    )
    assert f'id="incident-{old.pk}"' in page.content.decode()
    assert page.content.decode().count('id="incident-') == 1


def test_a_click_adds_to_the_filter_and_replaces_what_says_the_opposite() -> None:
    chosen = Filter(match='severity!="critical", team="shop"', page=3)
    both = Filter.read(chosen.with_matcher(Matcher("severity", "=", "critical")))
    assert both.match == 'team="shop", severity="critical"'
    assert both.page == 1


# --- rules --------------------------------------------------------------------------------------------------------


def test_rules_are_paged_with_the_worst_first(viewer: Client) -> None:
    service = factories.a_service("web")
    for number in range(53):
        factories.a_rule(service, f"Fine{number:02}")
    worst = factories.a_rule(service, "Zed", labels={"tier": "one"})
    factories.an_incident(worst)
    page = viewer.get("/rules/").content.decode()
    assert page.count("<tr data-row") == 50
    assert page.index(f'id="rule-{worst.pk}"') < page.index("Fine00")
    assert viewer.get("/rules/?page=2").content.decode().count("<tr data-row") == 4
    assert viewer.get("/rules/?state=firing").content.decode().count("<tr data-row") == 1
    found = viewer.get("/rules/?" + urlencode({"match": 'tier="one", detector="threshold"'})).content.decode()
    assert found.count("<tr data-row") == 1


@pytest.mark.parametrize("path", ["/incidents/", "/rules/", "/audit/"])
def test_more_rows_cost_no_more_queries(viewer: Client, path: str) -> None:
    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            viewer.get(path)
        return len(seen)

    service = factories.a_service("web")
    factories.an_incident(factories.a_rule(service))
    viewer.get(path)
    few = cost()
    for _ in range(30):
        factories.an_incident(factories.a_rule(service))
    assert cost() == few


# --- what is offered ----------------------------------------------------------------------------------------------


def test_names_and_values_that_exist_are_offered(viewer: Client, three: dict[str, Incident]) -> None:
    def found(**asked: str) -> list[str]:
        answer: list[str] = viewer.get("/labels.json", {"list": "incidents", **asked}).json()["found"]
        return answer

    assert {"service", "severity", "alertname", "team", "instance", "zone"} <= set(found())
    assert found(start="z") == ["zone"]
    assert found(name="service") == ["cart", "pay", "search"]
    assert found(name="service", start="PA") == ["pay"]
    assert found(name="nowhere") == []
    assert viewer.get("/labels.json", {"list": "rules", "name": "alertname"}).json()["found"] == [
        "CartErrors",
        "Loose",
        "PaySlow",
    ]


@pytest.mark.parametrize("asked", [{}, {"list": "users"}, {"list": "incidents", "name": "a b"}])
def test_offers_of_anything_else_are_400(viewer: Client, asked: dict[str, str]) -> None:
    assert viewer.get("/labels.json", asked).status_code == 400


# --- many at once -------------------------------------------------------------------------------------------------


def test_selected_incidents_are_acknowledged_once(client: Client) -> None:
    client.force_login(factories.a_user("operator", name="olga"))
    rule = factories.a_rule(factories.a_service("web"))
    rows = [factories.an_incident(rule) for _ in range(3)]
    over = factories.an_incident(rule, state="resolved")
    asked = [rows[0].pk, rows[1].pk, over.pk, "x", "9" * 30]
    for _ in range(2):
        answer = client.post(
            "/incidents/acknowledge/",
            {"incident": asked},
            headers={"referer": "http://testserver/incidents/?state=all"},
        )
        assert answer["Location"] == "http://testserver/incidents/?state=all"
    said = Transition.objects.filter(to_state="acknowledged").order_by("object_id")
    assert [(line.object_id, line.actor) for line in said] == [(rows[0].pk, "olga"), (rows[1].pk, "olga")]
    assert "2 incidents are acknowledged." in client.get("/incidents/").content.decode()


def test_a_viewer_acknowledges_nothing(viewer: Client) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web")))
    assert viewer.post("/incidents/acknowledge/", {"incident": row.pk}).status_code == 403
    assert not Transition.objects.filter(to_state="acknowledged").exists()
