"""A person is repairing it by hand."""

from __future__ import annotations

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Incident, Prepared
from remediation.states import IncidentState

_taken = Prepared(
    lambda given: (
        Incident.objects.filter(service=given("service"), taken_until__gt=given("now"))
        .exclude(pk=given("own"))
        .exclude(state=IncidentState.RESOLVED)
        .select_related("taken_by", "rule")
        .order_by("pk")
    )
)


class TakenGuard(Guard):
    """Two hands on one machine undo each other: automation waits until the person's time is over. What a person has
    taken is an incident, but what they work on is its service, and whatever else fires there is held as well."""

    name = "taken"
    label = "Taken by a person"

    def ask(self, situation: Situation) -> Answer:
        now = situation.now
        for incident in (situation.incident, *_others(situation)):
            if incident.taken_by is not None and incident.taken_until is not None and incident.taken_until > now:
                left_s = (incident.taken_until - now).total_seconds()
                what = "it" if incident == situation.incident else f"{incident.rule.name} of this service"
                reason = f"{incident.taken_by} is on {what} for another {left_s / 60:.0f} min"
                return Answer(passed=False, reason=reason, numbers={"left_s": round(left_s)})
        return Answer(passed=True, reason="nobody is repairing it by hand")


def _others(situation: Situation) -> list[Incident]:
    """The service's further incidents that are open and were taken for a time that is not over."""
    incident = situation.incident
    if incident.service_id is None:
        return []
    return _taken.all(service=incident.service_id, now=situation.now, own=incident.pk)
