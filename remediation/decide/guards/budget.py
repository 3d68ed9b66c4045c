"""Too many effects in the window: on the service, on one target, in one failure domain, or everywhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Q, QuerySet

from remediation import conf
from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import PreparedTally, Remediation, RemediationTarget

HOUR_S = 3600.0

_on_service = PreparedTally(
    lambda given: Remediation.objects.filter(
        effect_started_at__gt=given("since"), incident__service=given("service")
    ).exclude(pk=given("own")),
    spent=Count("pk"),
)
_anywhere = PreparedTally(
    lambda given: Remediation.objects.filter(effect_started_at__gt=given("since")).exclude(pk=given("own")),
    spent=Count("pk"),
)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What was spent of one budget. where: empty for the service's own."""

    where: str
    spent: int
    allowed: int
    window_s: float

    @property
    def left(self) -> bool:
        return self.spent < self.allowed

    def __str__(self) -> str:
        where = f" {self.where}" if self.where else ""
        return f"{self.spent} of {self.allowed} effects spent{where} in the last {self.window_s / 60:.0f} min"


class BudgetGuard(Guard):
    """A fault that comes back again and again is not repaired by one more restart: a person has to look."""

    name = "budget"
    label = "Budget"

    def ask(self, situation: Situation) -> Answer:
        mine = _of_service(situation)
        budgets = [mine, *_of_targets(situation), *_of_domains(situation), _everywhere(situation)]
        empty = [one for one in budgets if not one.left]
        numbers = {"spent": mine.spent, "allowed": mine.allowed, "window_s": mine.window_s}
        numbers |= {f"spent {one.where}": one.spent for one in budgets[1:]}
        reason = "; ".join(map(str, empty or [mine]))
        return Answer(passed=not empty, reason=reason, numbers=numbers, needs_person=bool(empty))


def _spent(situation: Situation, window_s: float) -> QuerySet[Remediation]:
    """The other attempts whose effect began within the window."""
    rows = Remediation.objects.filter(effect_started_at__gt=situation.now - timedelta(seconds=window_s))
    return rows.exclude(pk=situation.remediation.pk)


def _of_service(situation: Situation) -> Budget:
    window_s = float(situation.step["budget_window_s"])
    spent = _on_service.of(
        since=situation.now - timedelta(seconds=window_s),
        service=situation.incident.service_id,
        own=situation.remediation.pk,
    )["spent"]
    return Budget(where="", spent=spent, allowed=int(situation.step["budget"]), window_s=window_s)


def _of_targets(situation: Situation) -> list[Budget]:
    """Where the step gives each target a budget of its own."""
    allowed = int(situation.step.get("budget_per_target", 0))
    if not allowed:
        return []
    window_s = float(situation.step["budget_window_s"])
    began = situation.now - timedelta(seconds=window_s)
    # A target that an effect did not reach has no time of its own; old rows know the time of the whole only.
    within = Q(effect_started_at__gt=began) | Q(effect_started_at=None, remediation__effect_started_at__gt=began)
    rows = RemediationTarget.objects.filter(within, target__in=situation.target_ids)
    spent = Counter(rows.exclude(remediation=situation.remediation).values_list("target_id", flat=True))
    return [
        Budget(where=f"on {target['name']}", spent=spent[target["id"]], allowed=allowed, window_s=window_s)
        for target in situation.remediation.plan["targets"]
    ]


def _of_domains(situation: Situation) -> list[Budget]:
    """Where the step names the label of its failure domain: every value that its targets have, of all services."""
    label = str(situation.step.get("domain", ""))
    values = {target.labels[label] for target in situation.targets if label in target.labels} if label else set()
    if not values:
        return []
    holds = RemediationTarget.objects.filter(remediation__in=_spent(situation, HOUR_S))
    touched = {(pk, labels.get(label)) for pk, labels in holds.values_list("remediation_id", "target__labels")}
    spent = Counter(value for _, value in touched)
    return [
        Budget(where=f"in {label} {value}", spent=spent[value], allowed=conf.BUDGET_PER_DOMAIN, window_s=HOUR_S)
        for value in sorted(values)
    ]


def _everywhere(situation: Situation) -> Budget:
    since = situation.now - timedelta(seconds=HOUR_S)
    spent = _anywhere.of(since=since, own=situation.remediation.pk)["spent"]
    return Budget(where="everywhere", spent=spent, allowed=conf.BUDGET_EVERYWHERE, window_s=HOUR_S)
