"""Too few of a service's targets would stay available."""

from __future__ import annotations

from dataclasses import dataclass

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.decide.guards.busy import AT_WORK
from remediation.decide.match import contradicts
from remediation.decide.plan import batches_of
from remediation.models import Incident, Prepared, RemediationTarget, Target
from remediation.states import IncidentState

_peers = Prepared(lambda given: Target.objects.filter(service=given("service")).order_by("pk"))
_held = Prepared(
    lambda given: (
        RemediationTarget.objects.filter(live=True, remediation__state__in=AT_WORK)
        .exclude(remediation=given("own"))
        .order_by()
        .values_list("target_id", flat=True)
    )
)
_firing = Prepared(
    lambda given: (
        Incident.objects.filter(service=given("service"), state=IncidentState.FIRING)
        .order_by()
        .values_list("labels", flat=True)
    )
)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The targets of one role. available: those that serve now; stay: those of them that the plan leaves alone, at the
    moment at which it touches most."""

    size: int
    available: int
    stay: int

    def __str__(self) -> str:
        return f"{self.stay} of {self.size} healthy {'stays' if self.stay == 1 else 'stay'}"


class BlastRadiusGuard(Guard):
    """What is being acted on counts as unavailable, and so does what is off or broken; of the rest, enough must be left
    alone. Acting on what is broken itself costs nothing. Asked where the service has several targets of that role."""

    name = "blast_radius"
    label = "Blast radius"

    def ask(self, situation: Situation) -> Answer:
        least = int(situation.step.get("min_healthy", 1))
        pools = [pool for pool in _pools(situation) if pool.size > 1]
        if not pools:
            return Answer(passed=True, reason="no other target of that role is there to keep the service up")
        too_few = [pool for pool in pools if pool.stay < min(least, pool.available)]
        worst = min(too_few or pools, key=lambda pool: pool.stay)
        numbers = {"stay": worst.stay, "available": worst.available, "size": worst.size, "min_healthy": least}
        reason = f"{'; '.join(map(str, too_few or [worst]))}, {least} asked"
        return Answer(passed=not too_few, reason=reason, numbers=numbers)


def _pools(situation: Situation) -> list[Pool]:
    """The selected targets with their like."""
    incident = situation.incident
    selected, batches = set(situation.target_ids), batches_of(situation.remediation.plan)
    peers = _peers.all(service=incident.service_id)
    down = _acted_on(situation) | {target.pk for target in peers if not target.enabled or target.automation_off}
    down |= _broken(incident.service_id, peers)
    pools = []
    for role in sorted({target.role for target in peers if target.pk in selected}):
        pool = {target.pk for target in peers if target.role == role}
        up = pool - down
        # What an earlier batch touched has to be well again before the next one is reached.
        stay = min(len(up - set(batch)) for batch in batches)
        pools.append(Pool(size=len(pool), available=len(up), stay=stay))
    return pools


def _acted_on(situation: Situation) -> set[int]:
    """Targets that another remediation is at."""
    return set(_held.all(own=situation.remediation.pk))


def _broken(service_id: int | None, peers: list[Target]) -> set[int]:
    """Targets that a firing incident of the service is about."""
    found: set[int] = set()
    for labels in _firing.all(service=service_id):
        found |= {target.pk for target in peers if _is_about(labels, target)}
    return found


def _is_about(labels: dict[str, str], target: Target) -> bool:
    return not contradicts(target, labels) and any(labels.get(name) == value for name, value in target.labels.items())
