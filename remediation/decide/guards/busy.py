"""Another repair of the same service is under way."""

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Prepared, Remediation
from remediation.states import RemediationState

AT_WORK = (
    RemediationState.EXECUTING,
    RemediationState.UNKNOWN,
    RemediationState.VERIFYING,
    RemediationState.ROLLING_BACK,
)


_others = Prepared(
    lambda given: (
        Remediation.objects.filter(incident__service=given("service"), state__in=AT_WORK)
        .exclude(pk=given("own"))
        .order_by("pk")[:3]
    )
)


class BusyGuard(Guard):
    """One repair of a service at a time: two at once cannot be told apart when verifying, and what is being repaired
    counts as unavailable."""

    name = "busy"
    label = "Busy"

    def ask(self, situation: Situation) -> Answer:
        others = _others.all(service=situation.incident.service_id, own=situation.remediation.pk)
        at_work = [f"{other.verb} {other.target_names} is {other.state}" for other in others]
        if not at_work:
            return Answer(passed=True, reason="no other repair of this service is under way")
        return Answer(passed=False, reason="; ".join(at_work), numbers={"at_work": len(at_work)})
