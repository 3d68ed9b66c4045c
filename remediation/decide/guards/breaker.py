"""This step did not help on this service, several times in a row."""

from __future__ import annotations

from remediation.decide import approval
from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Breaker, Prepared
from remediation.states import Autonomy
from remediation.states import RemediationState as R

_breaker = Prepared(
    lambda given: Breaker.objects.filter(
        playbook=given("playbook"), position=given("position"), service=given("service")
    ).order_by("pk")[:1]
)


class BreakerGuard(Guard):
    """Open: nothing passes. Half-open, after a rest: one attempt that a person approves. Only an attempt that is
    verified closes it."""

    name = "breaker"
    label = "Circuit breaker"

    def ask(self, situation: Situation) -> Answer:
        row = situation.remediation
        breaker = _breaker.first(playbook=row.playbook_id, position=row.position, service=situation.incident.service_id)
        if breaker is None or breaker.state == Breaker.State.CLOSED:
            bad = breaker.bad if breaker else 0
            return Answer(passed=True, reason=f"closed, {bad} bad in a row", numbers={"bad": bad})
        numbers = {"bad": breaker.bad, "breaker": breaker.pk}
        if breaker.state == Breaker.State.OPEN:
            return Answer(passed=False, reason=f"open: {breaker.reason}", numbers=numbers)
        if row.autonomy != Autonomy.AUTO or approval.enough(row):
            return Answer(passed=True, reason="half-open: a person decides on this attempt", numbers=numbers)
        # Past the gate there is no way back to a person but to be held: then the gate asks.
        reason = f"half-open, so a person must approve this attempt; {breaker.reason}"
        return Answer(passed=row.state != R.READY, reason=reason, numbers=numbers, needs_person=row.state != R.READY)
