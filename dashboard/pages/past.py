"""How the same thing went before: the last attempts of a verb on the same targets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from remediation.models import Remediation, RemediationTarget
from remediation.states import RemediationState

LAST = 5


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one attempt. took_s: seconds from the effect to its end."""

    remediation: int
    incident: int
    state: str
    ended_at: datetime
    took_s: float
    relapsed: bool

    @property
    def helped(self) -> bool:
        return self.state == RemediationState.VERIFIED and not self.relapsed


def outcomes(plans: Sequence[Remediation]) -> dict[int, list[Outcome]]:
    """By remediation: the last five attempts of its verb on any of its targets that touched something and have ended,
    the newest first. One query for all of them."""
    here = {row.pk: {(int(target["id"]), row.verb) for target in row.plan.get("targets", [])} for row in plans}
    wanted = {target for keys in here.values() for target, _ in keys}
    found = _last(wanted) if wanted else {}
    return {pk: _newest(one for key in keys for one in found.get(key, ())) for pk, keys in here.items()}


def _newest(found: Iterable[Outcome]) -> list[Outcome]:
    """Of a rollout over several of the targets each is found once."""
    once = {one.remediation: one for one in found}
    return sorted(once.values(), key=lambda one: one.ended_at, reverse=True)[:LAST]


def _last(targets: Iterable[int]) -> Mapping[tuple[int, str], list[Outcome]]:
    """By target and verb."""
    place = Window(
        RowNumber(),
        partition_by=[F("target_id"), F("remediation__verb")],
        order_by=[F("remediation__ended_at").desc(), F("remediation_id").desc()],
    )
    tried = RemediationTarget.objects.filter(
        target_id__in=list(targets), remediation__ended_at__isnull=False, remediation__effect_started_at__isnull=False
    )
    fields = ("state", "ended_at", "effect_started_at", "relapsed_at", "incident_id")
    rows = (
        tried.annotate(place=place)
        .filter(place__lte=LAST)
        .values_list("target_id", "remediation__verb", "remediation_id", *(f"remediation__{name}" for name in fields))
    )
    found: dict[tuple[int, str], list[Outcome]] = defaultdict(list)
    for target, verb, pk, state, ended, started, relapsed, incident in rows:
        found[target, verb].append(
            Outcome(
                remediation=pk,
                incident=incident,
                state=state,
                ended_at=ended,
                took_s=(ended - started).total_seconds(),
                relapsed=relapsed is not None,
            )
        )
    return found
