"""Invariants 1 and 15: what comes while a target is being repaired attaches to that, and so does what depends on it."""

from __future__ import annotations

from remediation.models import Decision, Incident, Playbook, Remediation, RemediationTarget
from remediation.states import Outcome
from tests.remediation.world import World, make_playbook, make_rule, make_service


def repaired(world: World) -> Remediation:
    """app-1 is down and has been restarted; the proof is under way."""
    service = make_service()
    make_rule(service)
    make_rule(service, name="Errors", query="errors", params={"op": ">", "value": 5})
    make_playbook(verify_within_s=60, collateral=False)
    Playbook.objects.update(matchers='alertname=~"AppDown|Errors"')
    world.set({"app-1": 1, "app-2": 1})
    world.set({"app-1": 0, "app-2": 0}, query="errors")
    world.tick()
    world.set({"app-1": 0, "app-2": 1})
    world.tick()
    row = Remediation.objects.get()
    assert row.state == "verifying"
    return row


def test_a_duplicate_attaches_to_what_is_under_way(world: World) -> None:
    row = repaired(world)
    world.set({"app-1": 9, "app-2": 0}, query="errors")
    world.ticks(8)
    late = Incident.objects.get(rule__name="Errors")
    decisions = Decision.objects.filter(incident=late)
    assert [(one.outcome, one.body.get("attached_to")) for one in decisions] == [(Outcome.ATTACHED, row.pk)]
    assert decisions[0].summary.startswith(f"Waits: restart of app-1 (remediation {row.pk}) is already under way")
    assert not late.remediations.exists()
    assert world.ledger.effects == ["app-1"]


def test_what_comes_on_the_target_waits_for_its_repair(world: World) -> None:
    """And is repaired by itself once that is over, when it is still there."""
    row = repaired(world)
    world.set({"app-1": 9, "app-2": 0}, query="errors")
    world.ticks(8)
    assert Remediation.objects.count() == 1
    held = RemediationTarget.objects.get(live=True)
    assert (held.remediation_id, held.target.name) == (row.pk, "app-1")
    world.set({"app-1": 1, "app-2": 1})
    world.ticks(12)
    assert world.ledger.effects == ["app-1", "app-1"]


def test_what_comes_on_a_dependant_waits_for_the_repair(world: World) -> None:
    """Also when the cause's own incident is over already and only the proof is under way; and its record says so."""
    web, payments = make_service(), make_service("payments", targets=("pay-1",))
    web.depends_on.add(payments)
    make_rule(web)
    make_rule(payments, name="PaymentsDown", query="pay")
    make_playbook(good_samples=9, verify_within_s=60, collateral=False)
    Playbook.objects.update(matchers='alertname=~"AppDown|PaymentsDown"')
    world.set({"app-1": 1, "app-2": 1})
    world.set({"pay-1": 0}, query="pay")
    world.ticks(2)
    cause = Remediation.objects.get()
    world.set({"pay-1": 1}, query="pay")
    world.ticks(2)
    world.set({"app-1": 0, "app-2": 1})
    world.ticks(3)
    cause.refresh_from_db()
    assert (cause.incident.state, cause.state) == ("resolved", "verifying")
    assert (world.states()[1:], world.ledger.effects) == (["gated"], ["pay-1"])
    waits = f"waits for payments (restart pay-1, remediation {cause.pk}, is verifying)"
    assert waits in world.remediation().reason
    world.set({"app-1": 1, "app-2": 1})
    world.ticks(2)
    record = Decision.objects.get(incident__rule__name="AppDown")
    assert (record.outcome, waits in record.summary) == (Outcome.NOTHING, True)
    assert world.ledger.effects == ["pay-1"]
