"""Automation is paused."""

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Freeze, Prepared

_active = Prepared(lambda given: Freeze.active(now=given("now"), service_id=given("service"))[:1])


class FreezeGuard(Guard):
    """Holds every effect while a freeze is active, everywhere or on the service."""

    name = "freeze"
    label = "Freeze"

    def ask(self, situation: Situation) -> Answer:
        active = _active.first(now=situation.now, service=situation.incident.service_id)
        if active is None:
            return Answer(passed=True, reason="not frozen")
        return Answer(passed=False, reason=f"frozen {active}", numbers={"freeze": active.pk})
