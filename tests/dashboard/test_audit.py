"""The audit: who did what, and whether anything was altered; and that nobody can alter it from here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import pytest
from asgiref.sync import async_to_sync
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from dashboard.pages import audit
from remediation import sealing
from remediation.models import Seal, Transition
from tests.dashboard import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def walk(monkeypatch: pytest.MonkeyPatch) -> audit.Walk:
    """Nothing was verified by this process yet."""
    fresh = audit.Walk()
    monkeypatch.setattr(audit, "walk", fresh)
    return fresh


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(factories.a_user("viewer", "vic"))
    return client


def write(count: int = 1, **fields: Any) -> list[Transition]:
    values: dict[str, Any] = {"kind": "incident", "object_id": 1, "to_state": "firing", "at": timezone.now()}
    return [Transition.objects.create(**values | fields) for _ in range(count)]


def seal() -> None:
    sealing.seal(timezone.now(), at_most=10_000, whole=True)


def ids(client: Client, query: str = "") -> list[int]:
    """The lines that a page shows, in its order."""
    text = client.get(f"/audit/?{query}").content.decode()
    return [int(part.split('"')[0]) for part in text.split('id="line-')[1:]]


def test_the_newest_come_first_and_the_rest_on_further_pages(viewer: Client) -> None:
    rows = [row.pk for row in write(120)][::-1]
    assert ids(viewer) == rows[:50]
    assert ids(viewer, f"before={rows[49]}") == rows[50:100]
    assert ids(viewer, f"before={rows[99]}") == rows[100:]
    first = viewer.get("/audit/").content.decode()
    assert (f"before={rows[49]}" in first, "Newest" in first) == (True, False)


def test_lines_are_found_by_kind_person_text_and_time(viewer: Client) -> None:
    now = timezone.now()
    (old,) = write(at=now - timedelta(days=2))
    (frozen,) = write(kind="freeze", to_state="frozen", actor="ann", reason="Database move", facts={"service": ""})
    (fired,) = write()
    assert ids(viewer, "kind=freeze") == [frozen.pk]
    assert ids(viewer, "actor=AN") == [frozen.pk]
    assert ids(viewer, "text=database") == [frozen.pk]
    assert ids(viewer, f"since={now - timedelta(days=1):%Y-%m-%dT%H:%M}") == [fired.pk, frozen.pk]
    assert ids(viewer, f"until={now - timedelta(days=1):%Y-%m-%d}") == [old.pk]
    assert ids(viewer, "kind=freeze&actor=bob") == []
    assert "No line of history fits" in viewer.get("/audit/?actor=nobody").content.decode()
    assert "paused: everywhere" in viewer.get("/audit/?kind=freeze").content.decode()


@pytest.mark.parametrize(
    "query", ["kind=x", "since=x", "until=2026-13-40", "before=x", "before=²", "before=" + "9" * 40]
)
def test_what_it_does_not_understand_is_left_out(viewer: Client, query: str) -> None:
    rows = write(2)
    assert ids(viewer, query) == [rows[1].pk, rows[0].pk]


def test_an_empty_history_says_so(viewer: Client) -> None:
    assert "Nothing has happened yet" in viewer.get("/audit/").content.decode()


def test_hostile_text_is_inert(viewer: Client) -> None:
    write(reason="<img src=x onerror=alert(1)>", actor="<b>x</b>")
    text = viewer.get("/audit/?text=%3Cimg").content.decode()
    assert ("<img src=x" in text, "&lt;img src=x" in text, "<b>x</b>" in text) == (False, True, False)


def test_more_lines_cost_no_more_queries(viewer: Client, django_assert_max_num_queries: Any) -> None:
    for row in (factories.an_incident(factories.a_rule(factories.a_service())) for _ in range(12)):
        factories.a_remediation(row)
    seal()
    with django_assert_max_num_queries(40):
        viewer.get("/audit/")


def test_the_head_is_shown_and_what_was_altered_is_named(viewer: Client, walk: audit.Walk) -> None:
    rows = write(5)
    seal()
    head = "{}:{}".format(*sealing.head())
    for page in ("/audit/", "/system/"):
        text = viewer.get(page).content.decode()
        assert head in text, page
        assert "up to link 5 of 5: as it was sealed" in text, page
    Transition.objects.filter(pk=rows[1].pk).update(actor="somebody else")
    walk.look(now=timezone.now() + timedelta(hours=1))
    text = viewer.get("/audit/").content.decode()
    assert f"Link 2: line {rows[1].pk} " in text
    assert "is not what was sealed" in text


def test_an_end_that_was_cut_off_is_noticed(viewer: Client) -> None:
    write(5)
    seal()
    viewer.get("/audit/")
    Seal.objects.filter(number__gt=3).delete()
    assert "the chain was cut off" in viewer.get("/audit/").content.decode()


def test_a_long_chain_is_verified_a_piece_a_look(walk: audit.Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "A_LOOK", 4)
    write(10)
    seal()
    reached = []
    for _ in range(4):
        walk.look(now=timezone.now())
        reached.append(walk.number)
    assert (reached, walk.found) == ([4, 8, 10, 10], {})


def test_lines_that_wait_too_long_are_shown(viewer: Client) -> None:
    write(at=timezone.now() - timedelta(minutes=5))
    assert "The oldest line without a seal" in viewer.get("/audit/").content.decode()


def test_metrics_say_how_long_the_chain_is(client: Client) -> None:
    write(3)
    seal()
    write(at=timezone.now() - timedelta(minutes=5))
    text = client.get("/metrics").content.decode()
    assert "homeostat_audit_seals 3.0" in text
    age = next(line for line in text.splitlines() if line.startswith("homeostat_audit_unsealed_seconds "))
    assert 299 < float(age.split()[1]) < 330


def test_staff_export_everything_as_json_lines(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "A_LOOK", 2)
    client.force_login(factories.a_user("viewer", "sam", is_staff=True))
    write(5, reason="ä\u2028")
    seal()
    answer = client.get("/audit/history.jsonl")

    async def read() -> str:
        parts = cast("AsyncIterator[bytes]", cast(Any, answer).streaming_content)
        return b"".join([part async for part in parts]).decode()

    lines = [json.loads(line) for line in async_to_sync(read)().split("\n") if line]
    assert [line["number"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[-1]["hash"] == sealing.head()[1]
    assert "Export everything" in client.get("/audit/").content.decode()


def test_others_export_nothing(viewer: Client) -> None:
    assert viewer.get("/audit/history.jsonl").status_code == 403
    assert "Export everything" not in viewer.get("/audit/").content.decode()


# --- nobody edits it ---


@pytest.mark.parametrize("name", ["transition", "seal"])
@pytest.mark.parametrize("how", ["add/", "{pk}/change/", "{pk}/delete/"])
def test_the_admin_neither_adds_nor_changes_nor_deletes_history(admin_client: Client, name: str, how: str) -> None:
    (row,) = write()
    seal()
    pk = {"transition": row.pk, "seal": 1}[name]
    answer = admin_client.post(f"/admin/remediation/{name}/{how.format(pk=pk)}", {"post": "yes", "reason": "edited"})
    assert answer.status_code in (403, 404)
    action = {"action": "delete_selected", "_selected_action": [str(pk)], "post": "yes"}
    admin_client.post(f"/admin/remediation/{name}/", action)  # there is no such action, so it is a list again
    row.refresh_from_db()
    assert (row.reason, Seal.objects.count()) == ("", 1)


def test_no_address_of_ours_takes_away_history(admin_client: Client) -> None:
    write()
    seal()
    paths = ("/audit/", "/audit/history.jsonl", "/api/incidents.json", "/metrics")
    for path in paths:
        for method in ("post", "put", "patch", "delete"):
            answer = getattr(admin_client, method)(path)
            assert answer.status_code in (403, 404, 405), (method, path)
    assert get_resolver().resolve("/audit/").url_name == "audit"
    assert Transition.objects.filter(kind="incident").count() == 1
