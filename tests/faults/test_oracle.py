"""The oracle is fed broken ledgers and databases, and names each violation: what cannot complain proves nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults import oracle
from tests.faults.ledger import Record, Row

KEY = "11111111-2222-3333-4444-555555555555"
Break = Callable[[Record], object]


def move(kind: str, object_id: int, origin: str, to: str, at: float, **facts: object) -> Row:
    return {"kind": kind, "object_id": object_id, "from_state": origin, "to_state": to, "at": at, "facts": facts}


def sound() -> Record:
    """One fault at 100, repaired at 110 after an approval, over at 120, and looked at at 200."""
    states = ["planned", "awaiting_approval", "ready", "executing", "verifying", "verified"]
    walk = [move("remediation", 1, origin, to, 105.0) for origin, to in zip(["", *states], states, strict=False)]
    walk[3] |= {"at": 109.0, "facts": {"key": KEY, "fence": 1}}
    incident = [
        move("incident", 1, "", "pending", 101.0),
        move("incident", 1, "pending", "firing", 101.0),
        move("incident", 1, "", "needs a person", 102.0),
        move("incident", 1, "firing", "resolved", 120.0),
    ]
    return Record(
        now=200.0,
        effects=[{"at": 110.0, "service": "cart", "key": f"{KEY}:7"}],
        health=[{"at": at, "service": "cart", "up": up} for at, up in ((50.0, 1.0), (100.0, 0.0), (110.5, 1.0))],
        remediations=[
            {
                "id": 1,
                "incident_id": 1,
                "incident__service__name": "cart",
                "state": "verified",
                "key": KEY,
                "state_since": 119.0,
                "fence": 1,
                "autonomy": "approve",
                "digest": "abc",
                "approvals_needed": 1,
                "effect_started_at": 109.0,
            }
        ],
        incidents=[
            {
                "id": 1,
                "rule_id": 1,
                "rule__detector": "threshold",
                "fingerprint": "f",
                "state": "resolved",
                "fired_at": 101.0,
                "resolved_at": 120.0,
                "service__name": "cart",
            }
        ],
        transitions=[*incident, *walk],
        approvals=[{"remediation_id": 1, "user_id": 1, "answer": "approve", "digest": "abc", "at": 106.0}],
        freezes=[{"id": 1, "service__name": None, "at": 10.0, "until": None, "lifted_at": 20.0}],
        decisions=[{"id": 1, "incident_id": 1, "outcome": "acted", "closed_at": 120.0}],
        holds=[{"remediation_id": 1, "target_id": 7, "live": False}],
    )


def told(breaks: Break) -> set[str]:
    """The names of the checks that complain."""
    record = sound()
    breaks(record)
    return {text.split(":")[0] for text in oracle.violations(record)}


def test_sound_record_violates_nothing() -> None:
    assert oracle.violations(sound()) == []


def twice(record: Record) -> None:
    record.effects.append(record.effects[0] | {"at": 111.0})


def again_with_another_key(record: Record) -> None:
    record.effects.append(record.effects[0] | {"at": 111.0, "key": f"{KEY}:8"})


def two_rows(record: Record) -> None:
    """Two remediations hold the target, and two incidents of the series are open."""
    record.incidents = [record.incidents[0] | {"id": pk, "state": "firing", "resolved_at": None} for pk in (1, 2)]
    record.remediations = [record.remediations[0] | {"id": pk, "state": "verifying"} for pk in (1, 2)]
    record.holds = [{"remediation_id": pk, "target_id": 7, "live": True} for pk in (1, 2)]


def jump(record: Record) -> None:
    """From planned to executing."""
    record.transitions = [one for one in record.transitions if one["to_state"] not in ("awaiting_approval", "ready")]
    next(one for one in record.transitions if one["to_state"] == "executing")["from_state"] = "planned"


def first(rows: str, **change: object) -> Break:
    return lambda record: getattr(record, rows)[0].update(change)


def every(rows: str, **change: object) -> Break:
    return lambda record: [row.update(change) for row in getattr(record, rows)]


def none(rows: str) -> Break:
    return lambda record: getattr(record, rows).clear()


def executing(record: Record, **change: object) -> None:
    next(one for one in record.transitions if one["to_state"] == "executing").update(change)


@pytest.mark.parametrize(
    ("breaks", "named"),
    [
        (twice, {"doubled effect", "second effect of one attempt"}),
        (again_with_another_key, {"second effect of one attempt"}),
        (first("effects", key="nobody:7"), {"effect without intent", "done and told as not done"}),
        (lambda record: executing(record, at=111.0), {"effect without intent"}),
        (lambda record: executing(record, facts={"key": KEY, "fence": 2}), {"effect without intent"}),
        (none("effects"), {"done and told as not done"}),
        (first("approvals", answer="reject"), {"effect without approval"}),
        (first("approvals", digest="another plan"), {"effect without approval"}),
        (first("approvals", at=115.0), {"effect without approval"}),
        (first("remediations", approvals_needed=2), {"effect without approval"}),
        (first("freezes", at=107.0, lifted_at=None), {"effect while frozen"}),
        (first("freezes", at=107.0, lifted_at=None, service__name="cart"), {"effect while frozen"}),
        (none("decisions"), {"episode without its decision"}),
        (first("decisions", closed_at=None), {"episode without its decision"}),
        (first("decisions", outcome="nothing"), {"episode without its decision"}),
        (lambda record: record.decisions.append(record.decisions[0]), {"episode without its decision"}),
        (jump, {"illegal walk"}),
        (first("remediations", state="verifying"), {"illegal walk"}),
        (lambda record: record.transitions.pop(1), {"illegal walk"}),
        (lambda record: record.health.pop(), {"resolved without good samples"}),
        (every("health", up=None), {"resolved without good samples"}),
    ],
)
def test_broken_record_is_named(breaks: Break, named: set[str]) -> None:
    assert told(breaks) == named


def test_two_live_ones_are_named() -> None:
    assert "two at once" in told(two_rows)


def test_effect_that_is_told_as_failed_is_named() -> None:
    def fails(record: Record) -> None:
        record.remediations[0]["state"] = "failed"
        record.transitions = record.transitions[:-2]
        record.transitions.append(move("remediation", 1, "executing", "failed", 112.0))

    assert told(fails) == {"done and told as not done"}


@pytest.mark.parametrize("state", ["executing", "unknown"])
def test_unknown_that_lasts_is_named(state: str) -> None:
    def lasts(record: Record) -> None:
        record.remediations[0] |= {"state": state, "state_since": 112.0}
        record.transitions = record.transitions[:-2]
        if state == "unknown":
            record.transitions.append(move("remediation", 1, "executing", "unknown", 112.0))

    assert told(lasts) == {"unsettled"}


@pytest.mark.parametrize(
    "harmless",
    [
        first("freezes", at=108.5, lifted_at=None),  # within the two seconds
        first("freezes", at=100.0, lifted_at=109.0),
        first("freezes", at=100.0, lifted_at=None, until=105.0),
        first("freezes", at=100.0, lifted_at=None, service__name="payments"),
        lambda record: record.transitions.append(move("remediation", 1, "", "relapsed", 150.0)),
        first("incidents", rule__detector="firing_alert"),
    ],
)
def test_what_is_allowed_is_not_named(harmless: Break) -> None:
    assert told(harmless) == set()
