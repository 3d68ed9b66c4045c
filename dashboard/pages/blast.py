"""What a plan acts on, and how much of the service stays up meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

DOTS = 24


@dataclass(frozen=True, kw_only=True)
class TargetView:
    """batch: with which of the batches it is reached, from 1; 0 where all are reached one by one in their order."""

    name: str
    backend: str
    role: str
    batch: int


@dataclass(frozen=True, kw_only=True)
class Blast:
    """Of the `size` targets of that role `available` are well now; `stay` of them the plan leaves alone at the moment
    at which it touches most."""

    stay: int
    available: int
    size: int
    least: int

    @property
    def dots(self) -> list[bool]:
        """One per target of that role, those that stay first; none where they are too many to count by eye."""
        return [place < self.stay for place in range(self.size)] if self.size <= DOTS else []


def targets_of(plan: Mapping[str, Any]) -> list[TargetView]:
    batches = plan.get("batches") or []
    place = {pk: number for number, batch in enumerate(batches, start=1) for pk in batch} if len(batches) > 1 else {}
    return [
        TargetView(
            name=str(one.get("name", "")),
            backend=str(one.get("backend", "")),
            role=str(one.get("role", "")),
            batch=place.get(one.get("id"), 0),
        )
        for one in plan.get("targets", [])
    ]


def blast_of(guards: Sequence[Mapping[str, Any]]) -> tuple[Blast | None, str]:
    """As the guard counted when it was asked last, and its own words."""
    said = next((one for one in guards if one.get("guard") == "blast_radius"), None)
    if said is None:
        return None, _("Nobody has counted yet.")
    numbers = said.get("numbers") or {}
    if not {"stay", "available", "size"} <= numbers.keys():
        return None, str(said.get("reason", ""))
    known = {name: int(numbers[name]) for name in ("stay", "available", "size")}
    return Blast(**known, least=int(numbers.get("min_healthy", 0))), str(said.get("reason", ""))
