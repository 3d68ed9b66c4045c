"""What turned bad around an effect, and what it may not be blamed for."""

from __future__ import annotations

from typing import Any

import pytest

from remediation.states import Phase, Verdict
from remediation.verify.collateral import Neighbour, not_well, persisting, turned_bad

EFFECT_AT = 1000.0


def neighbour(key: str = "a", **fields: Any) -> Neighbour:
    usual: dict[str, Any] = {"verdict": Verdict.BAD, "phase": Phase.PENDING, "judged_at": 1010.0, "reach_s": 5.0}
    return Neighbour(key=key, name=key, **(usual | fields))


@pytest.mark.parametrize(
    ("verdict", "phase", "excused"),
    [
        (Verdict.OK, Phase.OK, False),
        (Verdict.BAD, Phase.PENDING, True),
        (Verdict.UNKNOWN, Phase.OK, True),
        (Verdict.OK, Phase.RECOVERING, True),
        (Verdict.UNKNOWN, Phase.UNKNOWN, True),
    ],
)
def test_what_is_not_well_before_is_excused(verdict: Verdict, phase: Phase, excused: bool) -> None:
    assert (not_well([neighbour(verdict=verdict, phase=phase)]) == ["a"]) == excused


@pytest.mark.parametrize(
    ("fields", "before", "found"),
    [
        ({}, [], True),
        ({}, ["a"], False),
        ({"verdict": Verdict.OK}, [], False),
        ({"verdict": Verdict.UNKNOWN}, [], False),
        ({"judged_at": 999.0}, [], False),
        ({"judged_at": 1004.0}, [], False),  # it rests on what was before the effect
        ({"judged_at": 1005.0}, [], True),
    ],
)
def test_turned_bad(fields: dict[str, Any], before: list[str], found: bool) -> None:
    assert bool(turned_bad([neighbour(**fields)], before=before, effect_at=EFFECT_AT)) == found


def seen(at: float, phase: Phase = Phase.PENDING, key: str = "a") -> dict[str, Any]:
    return {"key": key, "name": key, "phase": phase, "judged_at": at}


@pytest.mark.parametrize(
    ("looks", "counts"),
    [
        ([], False),
        ([[seen(1)]], False),
        ([[seen(1, Phase.FIRING)]], True),
        ([[seen(1)], [seen(1)]], False),  # one verdict, looked at twice
        ([[seen(1)], [seen(2)]], True),
        ([[seen(1)], [seen(1)], [seen(2)]], True),
        ([[seen(1)], [], [seen(2)]], False),
        ([[seen(1, key="b")], [seen(2)]], False),
        ([[seen(1)], [seen(2)], []], False),  # it is well again
    ],
)
def test_lasting(looks: list[list[dict[str, Any]]], counts: bool) -> None:
    assert bool(persisting(looks)) == counts
