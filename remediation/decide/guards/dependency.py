"""Something this service depends on is broken itself."""

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Incident, Service
from remediation.states import IncidentState, Severity


class DependencyGuard(Guard):
    """The cause is repaired, not its victims: while a dependency has an open incident (pending counts, since a victim
    often fires first), automation on its dependants waits."""

    name = "dependency"
    label = "Dependency"

    def ask(self, situation: Situation) -> Answer:
        causes = upstream(situation.incident.service)
        if not causes:
            return Answer(passed=True, reason="depends on nothing that is watched")
        open_there = (
            Incident.objects.filter(service__in=causes)
            .exclude(state=IncidentState.RESOLVED)
            .exclude(severity=Severity.INFO)
            .select_related("rule", "service")
        )
        names = sorted({f"{incident.service} ({incident.rule.name})" for incident in open_there})
        if not names:
            return Answer(
                passed=True,
                reason=f"{len(causes)} dependencies without an incident",
                numbers={"dependencies": len(causes)},
            )
        return Answer(passed=False, reason=f"waits for {', '.join(names)}", numbers={"open": len(names)})


def upstream(service: Service | None) -> set[int]:
    """The ids of everything a service depends on, however far; a circle ends it."""
    found: set[int] = set()
    edge = [service.pk] if service else []
    links = Service.depends_on.through.objects
    while edge:
        reached = set(links.filter(from_service_id__in=edge).values_list("to_service_id", flat=True))
        edge = sorted(reached - found)
        found |= reached
    return found - ({service.pk} if service else set())
