"""The playbook may act by itself no longer."""

from __future__ import annotations

from remediation.decide import approval
from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Playbook
from remediation.states import Autonomy, RemediationState


class AutonomyGuard(Guard):
    """A plan that waits was made when its playbook was trusted. Since then it may have made something worse elsewhere,
    or somebody has switched it back or off: the plan stays as it is, and a person says whether it is carried out."""

    name = "autonomy"
    label = "Autonomy"

    def ask(self, situation: Situation) -> Answer:
        row = situation.remediation
        if row.autonomy != Autonomy.AUTO:
            return Answer(passed=True, reason="a person decides anyway")
        autonomy, enabled = Playbook.objects.values_list("autonomy", "enabled").get(pk=row.playbook_id)
        if enabled and autonomy == Autonomy.AUTO:
            return Answer(passed=True, reason=f"{row.playbook} may act by itself")
        became = f"was switched to {autonomy}" if enabled else "was switched off"
        reason = f"{row.playbook} {became} since this was planned"
        if row.state == RemediationState.EXECUTING:  # in the middle of a rollout nobody is asked: it stops
            return Answer(passed=approval.enough(row), reason=reason)
        return Answer(passed=True, reason=reason, needs_person=True)
