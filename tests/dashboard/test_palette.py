"""The command palette and saved views: what is found, by whom, and what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from remediation.models import SavedView
from tests.dashboard import factories

pytestmark = pytest.mark.django_db


def found(client: Client, text: str = "", **more: str) -> str:
    return client.get("/palette/", {"q": text, **more}).content.decode()


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(factories.a_user("operator", name="olga"))
    return client


def test_each_kind_is_found(operator: Client) -> None:
    service = factories.a_service("cart", title="Shopping cart", team="shop")
    rule = factories.a_rule(service, "CartErrors")
    row = factories.an_incident(rule)
    playbook = factories.a_playbook(name="Restart the cart")
    page = found(operator, "cart")
    own = (f"/incidents/{row.pk}/", f"/rules/{rule.pk}/", f"/playbooks/{playbook.pk}/")
    for address in ("/services/cart/", *own):
        assert f'data-href="{address}"' in page, address
    assert f'data-href="/incidents/{row.pk}/"' in found(operator, f"#{row.pk}")
    assert 'data-href="/audit/"' in found(operator, "AUD")
    assert "Nothing is called “zzz”." in found(operator, "zzz")


def test_a_closed_incident_is_found_by_its_number_only(operator: Client) -> None:
    row = factories.an_incident(factories.a_rule(factories.a_service("web"), "WebErrors"), state="resolved")
    assert f'data-href="/incidents/{row.pk}/"' not in found(operator, "WebErrors")
    assert f'data-href="/incidents/{row.pk}/"' in found(operator, str(row.pk))


@pytest.mark.parametrize(("role", "freezes", "configures"), [("viewer", False, False), ("operator", True, False)])
def test_actions_are_those_one_may_take(client: Client, role: str, freezes: bool, configures: bool) -> None:
    client.force_login(factories.a_user(role))
    page = found(client)
    assert ('data-deed="automation"' in page) is freezes
    assert ('data-href="/admin/"' in page) is configures
    assert "approve/" not in page


def test_an_admin_configures(client: Client) -> None:
    client.force_login(factories.a_user("admin", is_staff=True))
    page = found(client)
    assert 'data-href="/admin/"' in page
    assert "/admin/remediation/rule/add/" in page


def test_nothing_is_found_without_signing_in(client: Client) -> None:
    assert client.get("/palette/").status_code == 302
    assert client.get("/labels.json").status_code == 302


def test_what_is_typed_is_text(operator: Client) -> None:
    page = found(operator, "<img src=x>" + "x" * 5000 + "\x00")
    assert "<img" not in page
    assert len(page) < 4000


def test_few_are_found_and_at_a_constant_cost(operator: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as seen:
            found(operator, "web")
        return len(seen)

    service = factories.a_service("web")
    factories.an_incident(factories.a_rule(service, "web"))
    found(operator, "web")
    few = cost()
    for number in range(20):
        factories.an_incident(factories.a_rule(factories.a_service(f"web-{number}"), f"web {number}"))
    assert cost() == few
    assert found(operator, "web").count('role="option"') <= 24


# --- saved views --------------------------------------------------------------------------------------------------

CRITICAL = "state=firing&match=severity%3D%22critical%22&page=4"


def save(client: Client, **more: Any) -> Any:
    return client.post("/views/", {"page": "incidents", "name": "At night", "query": CRITICAL} | more)


def test_a_view_is_kept_for_its_owner(operator: Client) -> None:
    answer = save(operator)
    view = SavedView.objects.get()
    assert view.query == "state=firing&match=severity%3D%22critical%22"
    assert answer["Location"] == f"/incidents/?{view.query}"
    assert "At night" in operator.get("/incidents/").content.decode()
    assert f'data-href="/incidents/?{view.query.replace("&", "&amp;")}"' in found(operator, "night")
    assert "At night" not in operator.get("/rules/").content.decode()
    operator.force_login(factories.a_user("operator", name="bob"))
    assert "At night" not in operator.get("/incidents/").content.decode()
    assert "At night" not in found(operator, "night")
    assert operator.post(f"/views/{view.pk}/delete/").status_code == 404


def test_a_shared_view_is_everybodys_and_deleted_by_its_owner(operator: Client) -> None:
    save(operator, shared="on")
    view = SavedView.objects.get()
    operator.force_login(factories.a_user("viewer", name="vic"))
    page = operator.get("/incidents/").content.decode()
    assert "At night" in page
    assert "Shared by olga" in page
    assert operator.post(f"/views/{view.pk}/delete/").status_code == 403
    operator.force_login(view.owner)
    assert operator.post(f"/views/{view.pk}/delete/").status_code == 302
    assert not SavedView.objects.exists()


def test_saving_the_same_name_again_replaces_it(operator: Client) -> None:
    save(operator)
    save(operator, query="state=all", name="  At   night ")
    assert [view.query for view in SavedView.objects.all()] == ["state=all"]


@pytest.mark.parametrize("wrong", [{"page": "system"}, {"page": ""}, {"query": "match=" + "%22" * 400}])
def test_what_is_no_filter_is_not_kept(operator: Client, wrong: dict[str, str]) -> None:
    assert save(operator, **wrong).status_code == 400
    assert not SavedView.objects.exists()


def test_a_view_keeps_nothing_but_the_filter(operator: Client) -> None:
    save(operator, query="next=//evil.example&state=open&kind=x")
    assert SavedView.objects.get().query == "state=open"


def test_a_view_needs_a_name(operator: Client) -> None:
    assert save(operator, name=" \x00 ").status_code == 302
    assert not SavedView.objects.exists()
    assert "needs a name" in operator.get("/incidents/").content.decode()


# --- theme --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cookie", "said"), [("dark", ' data-theme="dark"'), ("light", ' data-theme="light"'), ("x", ""), ("", "")]
)
def test_the_theme_is_there_from_the_first_byte(operator: Client, cookie: str, said: str) -> None:
    operator.cookies["homeostat_theme"] = cookie
    head = operator.get("/rules/").content.decode()[:300]
    assert f'<html lang="en"{said}>' in head


def test_both_dark_blocks_hold_the_same_tokens() -> None:
    text = Path("dashboard/static/dashboard/tokens.css").read_text()
    system = text[text.index(":root:not([data-theme])") :]
    chosen = text[text.index('[data-theme="dark"] {') :]
    lines = [
        [line.strip() for line in block[: block.index("}")].splitlines() if line.strip().startswith("--")]
        for block in (system, chosen)
    ]
    assert lines[0] == lines[1]
    assert len(lines[0]) > 25
