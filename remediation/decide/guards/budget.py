"""Too many effects on the service in the window."""

from datetime import timedelta

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Remediation


class BudgetGuard(Guard):
    """A fault that comes back again and again is not repaired by one more restart: a person has to look."""

    name = "budget"
    label = "Budget"

    def ask(self, situation: Situation) -> Answer:
        allowed = int(situation.step["budget"])
        window_s = float(situation.step["budget_window_s"])
        spent = (
            Remediation.objects.filter(
                incident__service=situation.incident.service,
                effect_started_at__gt=situation.now - timedelta(seconds=window_s),
            )
            .exclude(pk=situation.remediation.pk)
            .count()
        )
        numbers = {"spent": spent, "allowed": allowed, "window_s": window_s}
        reason = f"{spent} of {allowed} effects spent in the last {window_s / 60:.0f} min"
        return Answer(passed=spent < allowed, reason=reason, numbers=numbers)
