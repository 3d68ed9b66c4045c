"""A person is repairing it by hand."""

from remediation.decide.guards.base import Answer, Guard, Situation


class TakenGuard(Guard):
    """Two hands on one machine undo each other: automation waits until the person's time is over."""

    name = "taken"
    label = "Taken by a person"

    def ask(self, situation: Situation) -> Answer:
        incident, now = situation.incident, situation.now
        if incident.taken_by is None or incident.taken_until is None or incident.taken_until <= now:
            return Answer(passed=True, reason="nobody is repairing it by hand")
        left_s = (incident.taken_until - now).total_seconds()
        reason = f"{incident.taken_by} is on it for another {left_s / 60:.0f} min"
        return Answer(passed=False, reason=reason, numbers={"left_s": round(left_s)})
