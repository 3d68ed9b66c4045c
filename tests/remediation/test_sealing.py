"""The hash chain over history: nothing can be changed, taken out or put in unnoticed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from remediation import sealing
from remediation.canonical import canonical
from remediation.models import Seal, Transition
from tests.remediation.threaded import Apart
from tests.remediation.world import World, make_playbook, make_rule, make_service

HARD_FACTS: dict[str, Any] = {
    "whole": 22,
    "whole float": 22.0,
    "tiny": 1e-07,
    "huge": 1e22,
    "larger": 1.7976931348623157e308,
    "minus zero": -0.0,
    "third": 1 / 3,
    "long": 123456789012345678901234567890,
    "text": 'ä ß 漢 \u2028 "quoted" \\ /',
    "yes": True,
    "none": None,
    "list": [3.5, [], {}, {"b": 1, "a": 2}],
    "": "an empty name",
}


def write(count: int = 1, *, at: datetime | None = None, **fields: Any) -> list[Transition]:
    values: dict[str, Any] = {"kind": "incident", "object_id": 1, "to_state": "firing", "at": at or timezone.now()}
    return [Transition.objects.create(**values | fields) for _ in range(count)]


def sealed(count: int = 1, **fields: Any) -> list[Transition]:
    rows = write(count, **fields)
    sealing.seal(timezone.now(), at_most=10_000, whole=True)
    return rows


def found() -> list[str]:
    """What the verification of the whole chain names."""
    return [f"{fault.number}: {fault.text}" for _, wrong in sealing.faults(sealing.links()) for fault in wrong]


def raw(statement: str, *values: Any) -> None:
    """What somebody does who has the database to themselves."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


# --- one text for one value ---


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (22.0, "22"),
        (22, "22"),
        (-0.0, "0"),
        (1e22, "1" + "0" * 22),
        (1e-7, "0.0000001"),
        (0.1, "0.1"),
        (123456789012345678901234567890, "123456789012345678901234567890"),
        (True, "true"),
        (None, "null"),
        ("ä\n", '"\\u00e4\\n"'),
        ({"b": [1.5, None], "a": {}}, '{"a":{},"b":[1.5,null]}'),
        ((1, 2), "[1,2]"),
    ],
)
def test_canonical(value: Any, text: str) -> None:
    assert canonical(value) == text


def test_what_json_has_no_form_of_is_refused() -> None:
    with pytest.raises(TypeError, match="datetime"):
        canonical({"at": datetime.now(UTC)})


@pytest.mark.django_db
def test_a_line_hashes_the_same_after_the_database_had_it() -> None:
    at = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    row = Transition(kind="x", object_id=1, to_state="y", reason="ä\u2028\U0001f600", at=at, facts=HARD_FACTS)
    row.save()
    before = canonical({**sealing.said(row), "facts": HARD_FACTS})
    again = Transition.objects.get(pk=row.pk)
    assert canonical(sealing.said(again)) == before
    assert sealing.said(again)["at"] == "2026-03-01T12:00:00.123456+00:00"
    assert sealing.link("0", again) == sealing.link("0", row)


def test_a_link_is_what_it_always_was() -> None:
    """Fixed for good: chains that exist are verified with it."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    row = Transition(pk=7, kind="incident", object_id=3, to_state="firing", at=at, facts={"x": 1.5})
    assert sealing.link(sealing.BEGINNING, row) == "57ddc9adc8799fdcbdae5aa88b1b413fa5b547d765faeaaccc10427df9805fff"


# --- sealing ---


@pytest.mark.django_db
def test_lines_are_sealed_in_order_and_once() -> None:
    rows = write(5)
    assert sealing.seal(timezone.now(), at_most=3) == 3
    assert sealing.seal(timezone.now()) == 2
    assert sealing.seal(timezone.now()) == 0
    assert list(Seal.objects.values_list("number", "transition_id")) == [(n, row.pk) for n, row in enumerate(rows, 1)]
    assert found() == []


@pytest.mark.django_db
def test_a_line_that_was_committed_late_is_sealed_after_its_followers() -> None:
    """Its key is lower than that of the head, as when a long transaction took the key first."""
    rows = write(6)
    late = rows[1].pk
    rows[1].delete()
    sealing.seal(timezone.now())
    write(pk=late)
    assert sealing.seal(timezone.now()) == 1
    assert (sealing.head()[0], Seal.objects.get(number=6).transition_id, found()) == (6, late, [])


@pytest.mark.django_db
def test_a_line_from_long_before_is_found_by_the_search_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "LOOKED_BACK", 2)
    rows = write(9)
    late = rows[0].pk
    rows[0].delete()
    sealing.seal(timezone.now(), whole=True)
    write(pk=late)
    assert sealing.seal(timezone.now()) == 0
    assert sealing.seal(timezone.now(), whole=True) == 1
    monkeypatch.setattr(sealing, "_searched_at", float("-inf"))
    write()
    assert sealing.seal(timezone.now()) == 1


def test_the_sweep_seals(world: World) -> None:
    make_rule(make_service())
    make_playbook()
    world.set({"app-1": 1, "app-2": 1})
    world.tick()
    world.set({"app-1": 0, "app-2": 1})
    world.ticks(3)
    assert Transition.objects.filter(kind="remediation", to_state="verifying").exists()
    world.tick()
    assert not sealing.unsealed(whole=True).filter(at__lt=world.now).exists()
    assert found() == []


@pytest.mark.django_db
def test_what_a_transaction_took_back_leaves_no_gap() -> None:
    sealed(2)
    with pytest.raises(RuntimeError), transaction.atomic():
        sealed(2)
        raise RuntimeError
    sealed(1)
    assert (list(Seal.objects.values_list("number", flat=True)), found()) == ([1, 2, 3], [])


def writers_and_sealers() -> None:
    stop = threading.Event()

    def work(call: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                while not stop.is_set():
                    call()
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def write_some() -> None:
        with transaction.atomic():
            write(3)

    def seal_some() -> None:
        sealing.seal(timezone.now(), at_most=7)

    threads = [work(call) for call in (write_some, write_some, seal_some, seal_some, seal_some)]
    stop.wait(3)
    stop.set()
    for thread in threads:
        thread.join()
    while sealing.seal(timezone.now(), whole=True):
        pass
    lines = Transition.objects.count()
    assert lines > 10
    assert list(Seal.objects.values_list("number", flat=True)) == list(range(1, lines + 1))
    assert found() == []


@pytest.mark.django_db(transaction=True)
def test_several_workers_at_once_make_no_gap_and_no_fork(threaded_database: Apart) -> None:
    threaded_database(writers_and_sealers)


# --- what it shows ---


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"reason": "another"},
        {"actor": "somebody else"},
        {"to_state": "resolved"},
        {"kind": "freeze"},
        {"object_id": 2},
        {"facts": {"given": 2}},
        {"at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"from_state": "pending"},
    ],
)
def test_a_changed_line_is_named(change: dict[str, Any]) -> None:
    rows = sealed(5)
    Transition.objects.filter(pk=rows[2].pk).update(**change)
    assert [text.split(" (")[0] for text in found()] == [f"3: line {rows[2].pk}"]
    assert found()[0].endswith("is not what was sealed")


@pytest.mark.django_db(transaction=True)
def test_a_deleted_line_is_named() -> None:
    rows = sealed(4)
    with pytest.raises(ProtectedError):
        rows[1].delete()
    on_postgresql = connection.vendor == "postgresql"
    raw("SET session_replication_role = replica" if on_postgresql else "PRAGMA foreign_keys = OFF")
    raw("DELETE FROM remediation_transition WHERE id = %s", rows[1].pk)
    raw("SET session_replication_role = DEFAULT" if on_postgresql else "PRAGMA foreign_keys = ON")
    assert found() == [f"2: line {rows[1].pk} of history was deleted"]
    raw("DELETE FROM remediation_seal")


@pytest.mark.django_db
def test_a_line_deleted_with_its_seal_is_a_gap() -> None:
    rows = sealed(5)
    raw("DELETE FROM remediation_seal WHERE number IN (2, 3)")
    raw("DELETE FROM remediation_transition WHERE id IN (%s, %s)", rows[1].pk, rows[2].pk)
    assert found() == ["4: seals 2 to 3 are missing"]


@pytest.mark.django_db
def test_a_forged_end_is_named() -> None:
    sealed(3)
    (row,) = write()
    Seal.objects.create(number=4, transition=row, hash="f" * 64, at=timezone.now())
    assert [text.split(":")[0] for text in found()] == ["4"]


@pytest.mark.django_db
def test_a_line_changed_with_its_seal_shows_in_the_next() -> None:
    rows = sealed(3)
    Transition.objects.filter(pk=rows[1].pk).update(reason="another")
    rows[1].refresh_from_db()
    Seal.objects.filter(number=2).update(hash=sealing.link(Seal.objects.get(number=1).hash, rows[1]))
    assert [text.split(":")[0] for text in found()] == ["3"]


@pytest.mark.django_db
def test_two_lines_that_changed_places_are_named() -> None:
    first, second, _ = sealed(3)
    one, two = Seal.objects.get(number=1), Seal.objects.get(number=2)
    two.delete()
    Seal.objects.filter(number=1).update(transition=second)
    Seal.objects.create(number=2, transition=first, hash=two.hash, at=one.at)
    assert [text.split(":")[0] for text in found()] == ["1", "2"]


@pytest.mark.django_db
def test_a_line_without_a_seal_is_named_after_a_minute() -> None:
    now = timezone.now()
    write(at=now - timedelta(seconds=30))
    assert list(sealing.late(now=now)) == []
    (fault,) = sealing.late(now=now + timedelta(seconds=31))
    assert str(fault.text).endswith("has no seal")


@pytest.mark.django_db
def test_a_long_chain_is_walked_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "CHUNK", 4)
    sealed(10)
    assert [link.number for link in sealing.links(after=3)] == [4, 5, 6, 7, 8, 9, 10]
    assert found() == []
