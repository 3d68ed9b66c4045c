"""What the database remembers of a range: freezes, effects, incidents of dependencies, how long things usually take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from statistics import median

from django.db.models import Q

from remediation.decide.guards.dependency import causes_of
from remediation.models import (
    Approval,
    Freeze,
    Incident,
    Playbook,
    Remediation,
    Rule,
    Service,
    Step,
    Target,
    Transition,
)
from remediation.states import RemediationState, Severity

ASSUMED_APPROVAL_S = 300.0
"""How long an approval is assumed to take where none was ever given for this playbook."""
REMEMBERED = 50
"""Past attempts that a median is made of."""
NEVER = float("inf")


@dataclass(frozen=True, kw_only=True)
class Window:
    """Something that held from start to end."""

    start: float
    end: float
    text: str

    def covers(self, at: float) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True, kw_only=True)
class PastEffect:
    start: float
    end: float
    target_ids: frozenset[int]
    own: bool  # of the rule that is backtested
    text: str


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A number that the simulation assumes, and where it comes from."""

    seconds: float
    source: str


class ServiceRecord:
    """What is known of one service (or of none) in a range. Everything is read once, on demand."""

    def __init__(self, rule: Rule, service: Service | None, *, start: float, end: float) -> None:
        self.rule, self.service = rule, service
        self.start, self.end = start, end

    @cached_property
    def targets(self) -> list[Target]:
        return list(Target.objects.filter(service=self.service).select_related("service")) if self.service else []

    @cached_property
    def freezes(self) -> list[Window]:
        mine = Q(service=None) | Q(service=self.service) if self.service else Q(service=None)
        rows = Freeze.objects.filter(mine, at__lt=_moment(self.end))
        found = [
            Window(start=row.at.timestamp(), end=_earliest(row.until, row.lifted_at), text=str(row)) for row in rows
        ]
        return [one for one in found if one.end > self.start]

    @cached_property
    def effects(self) -> list[PastEffect]:
        """Oldest first, from a day before the range: budgets look back."""
        rows = Remediation.objects.filter(
            incident__service=self.service,
            effect_started_at__gte=_moment(self.start - 86400),
            effect_started_at__lt=_moment(self.end),
        )
        rows = rows.select_related("incident").prefetch_related("holds").order_by("effect_started_at")
        return [self._effect(row) for row in rows] if self.service else []

    def _effect(self, row: Remediation) -> PastEffect:
        assert row.effect_started_at is not None  # noqa: S101 - the query says so
        return PastEffect(
            start=row.effect_started_at.timestamp(),
            end=row.ended_at.timestamp() if row.ended_at else NEVER,
            target_ids=frozenset(hold.target_id for hold in row.holds.all()),
            own=row.incident.rule_id == self.rule.pk,
            text=f"{row.verb} {row.target_names}",
        )

    def touched(self, start: float, end: float) -> bool:
        """Whether something was really done to the service in a time."""
        return any(start <= one.start < end for one in self.effects)

    @cached_property
    def causes(self) -> list[Window]:
        """The incidents of what the service depends on."""
        rows = Incident.objects.filter(service__in=causes_of(self.service), opened_at__lt=_moment(self.end))
        rows = rows.exclude(severity=Severity.INFO).exclude(resolved_at__lte=_moment(self.start))
        return [
            Window(
                start=row.opened_at.timestamp(), end=_earliest(row.resolved_at), text=f"{row.service} ({row.rule.name})"
            )
            for row in rows.select_related("service", "rule")
        ]

    @cached_property
    def depends(self) -> int:
        return len(causes_of(self.service))

    def effect(self, step: Step) -> Guess:
        """How long the effect of a step takes."""
        rows = Remediation.objects.filter(
            incident__service=self.service, verb=step.verb, effect_ended_at__isnull=False
        ).order_by("-pk")[:REMEMBERED]
        took = [
            (row.effect_ended_at - row.effect_started_at).total_seconds()
            for row in rows
            if row.effect_ended_at and row.effect_started_at
        ]
        what = f"{step.verb} of {self.service}"
        if took and self.service:
            return Guess(seconds=median(took), source=f"{what}: median of the last {len(took)}")
        return Guess(seconds=float(step.timeout_s), source=f"{what}: never done yet, so the step's deadline")


def approval_time(playbook: Playbook) -> Guess:
    """From asking to the last approval that was needed, for this playbook."""
    given = Approval.objects.filter(remediation__playbook=playbook, answer=Approval.Answer.APPROVE).order_by("-pk")
    answered = {one.remediation_id: one.at for one in reversed(given[:REMEMBERED])}
    asked = Transition.objects.filter(
        kind=Remediation.KIND, object_id__in=list(answered), to_state=RemediationState.AWAITING_APPROVAL
    ).order_by("-pk")
    began = {row.object_id: row.at for row in asked}
    took = [(answered[pk] - at).total_seconds() for pk, at in began.items()]
    if took:
        return Guess(seconds=median(took), source=f"median of the last {len(took)} approvals of this playbook")
    return Guess(seconds=ASSUMED_APPROVAL_S, source="none was given for this playbook yet")


def first_incident_at() -> float | None:
    """Since when incidents are recorded at all."""
    at = Incident.objects.order_by("opened_at").values_list("opened_at", flat=True).first()
    return at.timestamp() if at else None


def _earliest(*moments: datetime | None) -> float:
    return min((moment.timestamp() for moment in moments if moment is not None), default=NEVER)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
