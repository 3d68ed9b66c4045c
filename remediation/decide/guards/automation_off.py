"""Somebody, or a failed undo, switched automation off for the target."""

from remediation.decide.guards.base import Answer, Guard, Situation


class AutomationOffGuard(Guard):
    """Holds until a person switches it on again: on the page System."""

    name = "automation_off"
    label = "Automation off"

    def ask(self, situation: Situation) -> Answer:
        off = [target for target in situation.targets if target.automation_off]
        if not off:
            return Answer(passed=True, reason="automation is on for every target of the plan")
        reason = "; ".join(f"{target}: {target.automation_off}" for target in off)
        return Answer(passed=False, reason=reason, numbers={"off": len(off)})
