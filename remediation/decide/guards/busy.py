"""Another repair of the same service is under way."""

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Remediation
from remediation.states import RemediationState

AT_WORK = (
    RemediationState.EXECUTING,
    RemediationState.UNKNOWN,
    RemediationState.VERIFYING,
    RemediationState.ROLLING_BACK,
)


class BusyGuard(Guard):
    """One repair of a service at a time: two at once cannot be told apart when verifying, and what is being repaired
    counts as unavailable."""

    name = "busy"
    label = "Busy"

    def ask(self, situation: Situation) -> Answer:
        others = (
            Remediation.objects.filter(incident__service=situation.incident.service, state__in=AT_WORK)
            .exclude(pk=situation.remediation.pk)
            .order_by("pk")
        )
        at_work = [f"{other.verb} {other.target_names} is {other.state}" for other in others[:3]]
        if not at_work:
            return Answer(passed=True, reason="no other repair of this service is under way")
        return Answer(passed=False, reason="; ".join(at_work), numbers={"at_work": len(at_work)})
