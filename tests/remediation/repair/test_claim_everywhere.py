"""What is counted everywhere is counted by two claims at once, of different services, on a PostgreSQL."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
from django.db import connection, connections

from remediation import conf, loop
from remediation.models import Remediation
from remediation.repair import claim
from remediation.repair.timing import targets_of
from tests.remediation.threaded import Apart
from tests.remediation.world import World, make_playbook, make_rule, make_service

TOGETHER_S = 2.0
"""How long the first that gets through waits for the other, which may be kept from it."""


def test_two_claims_of_different_services_do_not_both_take_the_last_place(
    threaded_database: Apart, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    monkeypatch.setattr(conf, "CONCURRENCY", 1)
    for name in ("web", "api"):
        service = make_service(name, targets=(f"{name}-1",))
        make_rule(service, name=f"{name}Down", query=name)
        world.set({f"{name}-1": 0}, query=name)
    playbook = make_playbook()
    playbook.matchers = 'alertname=~".+Down"'
    playbook.save()
    acts = world.do
    monkeypatch.setattr(world, "do", lambda task, ids: None if task == "act" else acts(task, ids))
    world.ticks(2)
    ready = list(Remediation.objects.filter(state="ready").values_list("pk", flat=True))
    assert len(ready) == 2
    both = threading.Barrier(2)
    commit = claim._commit_intent

    def once_both_were_let_through(*given: Any, **named: Any) -> int | None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(timeout=TOGETHER_S)
        return commit(*given, **named)

    monkeypatch.setattr(claim, "_commit_intent", once_both_were_let_through)
    claimed: list[int] = []

    def act(pk: int) -> None:
        try:
            row = loop._remediation(pk)
            assert row is not None
            look = claim.still_wanted(row, targets_of(row), now=world.now)
            if look is not None and claim.claim(row, look, now=world.now) is not None:
                claimed.append(pk)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=act, args=(pk,)) for pk in ready]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(claimed) == 1
