"""The one function that changes state, and what the database itself refuses."""

from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError, transaction

from remediation.models import Incident, Remediation, RemediationTarget, Transition, change
from remediation.models.transition import IllegalMove
from remediation.states import RemediationState
from remediation.texts import fill
from tests.remediation.world import World, make_playbook, make_rule, make_service


@pytest.fixture
def waiting(world: World) -> Remediation:
    """A remediation that awaits approval."""
    make_rule(make_service())
    make_playbook(autonomy="approve")
    world.set({"app-1": 0})
    world.tick()
    return world.remediation()


def test_move_that_does_not_exist_is_a_bug(waiting: Remediation, world: World) -> None:
    before = Transition.objects.count()
    with pytest.raises(IllegalMove, match="cannot go from awaiting_approval to verified"):
        change(waiting, RemediationState.VERIFIED, now=world.now, reason="because")
    assert Transition.objects.count() == before


def test_slower_of_two_writes_nothing(waiting: Remediation, world: World) -> None:
    other = Remediation.objects.get(pk=waiting.pk)
    assert change(waiting, RemediationState.REJECTED, now=world.now, reason="first")
    before = Transition.objects.count()
    assert not change(other, RemediationState.READY, now=world.now, reason="second")
    assert Transition.objects.count() == before
    assert Remediation.objects.get(pk=waiting.pk).reason == "first"


def test_condition_that_no_longer_holds_writes_nothing(waiting: Remediation, world: World) -> None:
    assert not change(waiting, RemediationState.READY, now=world.now, reason="", where={"fence": 99})
    assert Remediation.objects.get(pk=waiting.pk).state == RemediationState.AWAITING_APPROVAL


def test_end_lets_the_targets_go(waiting: Remediation, world: World) -> None:
    assert RemediationTarget.objects.filter(live=True).count() == 1
    change(waiting, RemediationState.CANCELLED, now=world.now, reason="")
    assert not RemediationTarget.objects.filter(live=True).exists()


def test_database_refuses_a_second_live_remediation_of_a_target(waiting: Remediation) -> None:
    held = RemediationTarget.objects.get()
    twin = Remediation.objects.get(pk=waiting.pk)
    twin.pk, twin.key = None, uuid.uuid4()
    twin.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        RemediationTarget.objects.create(remediation=twin, target=held.target, live=True)


def test_database_refuses_a_second_open_incident_of_a_series(waiting: Remediation) -> None:
    twin = Incident.objects.get()
    twin.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{target} is down", "app-1 is down"),
        ("{{ $labels.target }} is down", "app-1 is down"),
        ("{{$labels.target}} at {{ $value }}", "app-1 at 0.25"),
        ("{missing} and {{ $labels.missing }}", "{missing} and {{ $labels.missing }}"),
        ("{{7*7}} {x.__class__} {}", "{{7*7}} {x.__class__} {}"),
        ("{evil}", "{target} {{ $value }}"),
    ],
)
def test_summary_is_looked_up_and_never_evaluated(text: str, filled: str) -> None:
    assert fill(text, {"target": "app-1", "evil": "{target} {{ $value }}"}, 0.25) == filled
