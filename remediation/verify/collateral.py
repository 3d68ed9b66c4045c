"""What turned bad around an effect: on the service itself and on what depends on it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from remediation.states import Phase, Verdict

OPEN = (Phase.PENDING, Phase.FIRING, Phase.RECOVERING)


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """One series of another rule, as it stands. key: names it for good; name: for people. judged_at: seconds since the
    epoch; reach_s: how far back before that the verdict may rest on older samples."""

    key: str
    name: str
    verdict: str
    phase: str
    judged_at: float
    reach_s: float


def not_well(neighbours: Iterable[Neighbour]) -> list[str]:
    """The keys of what an effect that follows cannot be blamed for: bad, unknown, or in an episode already."""
    return sorted(one.key for one in neighbours if one.verdict != Verdict.OK or one.phase in OPEN)


def turned_bad(
    neighbours: Iterable[Neighbour], *, before: Collection[str], effect_at: float, early: bool = False
) -> list[dict[str, Any]]:
    """Those that are bad now and were well before, as a look keeps them. A verdict that rests on samples from before
    the effect says nothing about the effect. early: those as well that rest on some from before it: too little to
    blame the effect, and enough not to go on."""
    excused = set(before)
    return [
        {"key": one.key, "name": one.name, "phase": one.phase, "judged_at": one.judged_at}
        for one in neighbours
        if one.verdict == Verdict.BAD
        and one.key not in excused
        and one.judged_at - (0.0 if early else one.reach_s) >= effect_at
    ]


def persisting(seen: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Of what each look found (oldest first), what counts: firing now, or bad by two verdicts in a row."""
    return [one for one in seen[-1] if one["phase"] == Phase.FIRING or _lasts(one, seen[:-1])] if seen else []


def _lasts(one: dict[str, Any], seen: Sequence[Sequence[dict[str, Any]]]) -> bool:
    for found in reversed(seen):
        same = next((other for other in found if other["key"] == one["key"]), None)
        if same is None:
            return False
        if same["judged_at"] < one["judged_at"]:
            return True
    return False
