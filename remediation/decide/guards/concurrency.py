"""Enough is under way already: everywhere, or in another failure domain of the service."""

from __future__ import annotations

from django.db.models import Count

from remediation import conf
from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.decide.guards.busy import AT_WORK
from remediation.models import PreparedTally, Remediation, RemediationTarget

_at_work = PreparedTally(
    lambda given: Remediation.objects.filter(state__in=AT_WORK).exclude(pk=given("own")), count=Count("pk")
)


class ConcurrencyGuard(Guard):
    """A few repairs at a time, so that a mistake stays small; and of one service one failure domain at a time, so that
    the others keep it up."""

    name = "concurrency"
    label = "Concurrency"

    def ask(self, situation: Situation) -> Answer:
        count = _at_work.of(own=situation.remediation.pk)["count"]
        numbers = {"at_work": count, "allowed": conf.CONCURRENCY}
        if count >= conf.CONCURRENCY:
            reason = f"{count} repairs are under way everywhere, {conf.CONCURRENCY} allowed"
            return Answer(passed=False, reason=reason, numbers=numbers)
        elsewhere = _other_domains(situation)
        if elsewhere:
            reason = f"one failure domain at a time: {', '.join(elsewhere)} is being repaired"
            return Answer(passed=False, reason=reason, numbers=numbers)
        reason = f"{count} of {conf.CONCURRENCY} repairs are under way everywhere"
        return Answer(passed=True, reason=reason, numbers=numbers)


def _other_domains(situation: Situation) -> list[str]:
    """The values of the step's domain label, of this service, that are being acted on and are not those of the plan.
    A target without the label is a domain of its own."""
    label = str(situation.step.get("domain", ""))
    if not label:
        return []
    at_work = Remediation.objects.filter(state__in=AT_WORK).exclude(pk=situation.remediation.pk)
    own = {target.labels.get(label, target.name) for target in situation.targets}
    holds = RemediationTarget.objects.filter(
        remediation__in=at_work, live=True, target__service_id=situation.incident.service_id
    )
    touched = holds.select_related("target").order_by("pk")
    found = {hold.target.labels.get(label, hold.target.name) for hold in touched}
    return [f"{label} {value}" for value in sorted(found - own)]
