"""Something this service depends on is broken itself."""

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.decide.guards.busy import AT_WORK
from remediation.models import Incident, Prepared, Remediation, Service
from remediation.states import IncidentState, Severity

_links = Prepared(
    lambda given: Service.depends_on.through.objects.order_by().values_list("from_service_id", "to_service_id")
)


class DependencyGuard(Guard):
    """The cause is repaired, not its victims: while a dependency has an open incident (pending counts, since a victim
    often fires first), or is being repaired still, automation on its dependants waits."""

    name = "dependency"
    label = "Dependency"

    def ask(self, situation: Situation) -> Answer:
        causes = causes_of(situation.incident.service)
        if not causes:
            return Answer(passed=True, reason="depends on nothing that is watched")
        open_there = (
            Incident.objects.filter(service__in=causes)
            .exclude(state=IncidentState.RESOLVED)
            .exclude(severity=Severity.INFO)
            .select_related("rule", "service")
        )
        names = sorted({f"{incident.service} ({incident.rule.name})" for incident in open_there} | under_repair(causes))
        if not names:
            return Answer(
                passed=True,
                reason=f"{len(causes)} dependencies without an incident",
                numbers={"dependencies": len(causes)},
            )
        return Answer(passed=False, reason=f"waits for {', '.join(names)}", numbers={"open": len(names)})


def under_repair(causes: set[int]) -> set[str]:
    """What is being done to these services, as a reason to wait: an incident may be over before its repair is."""
    rows = Remediation.objects.filter(incident__service__in=causes, state__in=AT_WORK).select_related(
        "incident__service"
    )
    return {f"{row.incident.service} ({row}, remediation {row.pk}, is {row.state})" for row in rows}


def causes_of(service: Service | None) -> set[int]:
    """The ids of everything a service depends on, however far, less what depends on it in turn: in a circle nobody can
    say who the cause is, and all would wait for each other."""
    if service is None:
        return set()
    links = _links.all()
    upstream = _reach(service.pk, links)
    downstream = _reach(service.pk, [(to, start) for start, to in links])
    return upstream - downstream - {service.pk}


def _reach(start: int, links: list[tuple[int, int]]) -> set[int]:
    """Everything that can be reached along the links."""
    found: set[int] = set()
    edge = {start}
    while edge:
        edge = {to for origin, to in links if origin in edge} - found
        found |= edge
    return found
