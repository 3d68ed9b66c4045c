"""People are at work on the service."""

from remediation.decide import windows
from remediation.decide.guards.base import Answer, Guard, Situation


class MaintenanceGuard(Guard):
    """Holds while a maintenance window covers the service, or all of them."""

    name = "maintenance"
    label = "Maintenance"

    def ask(self, situation: Situation) -> Answer:
        # A window that cannot be read raises: then nobody knows whether it holds, and the answer is no.
        for window in windows.of_service(situation.incident.service_id):
            now = windows.occurrence(window, situation.now)
            if now is not None:
                until = f"until {windows.local(window, now.end):%a %H:%M %Z}" if now.end else "until it is ended"
                left_s = (now.end - situation.now).total_seconds() if now.end else None
                numbers = {"window": window.pk} | ({"left_s": round(left_s)} if left_s is not None else {})
                return Answer(passed=False, reason=f"{window}, {until}", numbers=numbers)
        return Answer(passed=True, reason="no maintenance window covers this moment")
