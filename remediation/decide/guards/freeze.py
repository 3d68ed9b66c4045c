"""Automation is paused."""

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Freeze


class FreezeGuard(Guard):
    """Holds every effect while a freeze is active, everywhere or on the service."""

    name = "freeze"
    label = "Freeze"

    def ask(self, situation: Situation) -> Answer:
        active = Freeze.active(now=situation.now, service_id=situation.incident.service_id).first()
        if active is None:
            return Answer(passed=True, reason="not frozen")
        return Answer(passed=False, reason=f"frozen {active}", numbers={"freeze": active.pk})
