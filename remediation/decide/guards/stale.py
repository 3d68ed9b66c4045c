"""The telemetry that the decision rests on is old, missing or unknown."""

from datetime import datetime, timedelta

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Prepared, RuleStatus, SourceStatus
from remediation.states import Verdict

MISSED = 3
"""Evaluations that may be missing before a verdict is old."""


_source = Prepared(lambda given: SourceStatus.objects.filter(source=given("source")).order_by())
_evaluated_at = Prepared(
    lambda given: RuleStatus.objects.filter(rule=given("rule")).order_by().values_list("evaluated_at", flat=True)
)


class StaleGuard(Guard):
    """Nothing is done on a guess: the last verdict must be bad, recent, and from a source that answers."""

    name = "stale"
    label = "Stale telemetry"

    def ask(self, situation: Situation) -> Answer:
        incident = situation.incident
        if incident.verdict == Verdict.UNKNOWN:
            return Answer(passed=False, reason="the last verdict is unknown, and unknown never acts")
        allowed_s = MISSED * float(incident.rule.interval_s) + 5
        status = _source.first(source=incident.rule.source_id)
        if status is None or status.failing:
            return Answer(
                passed=False, reason=f"the source does not answer: {status.error if status else 'never asked'}"
            )
        evaluated = _evaluated_at.first(rule=incident.rule_id)
        # A verdict that lies ahead was given by a clock that has since been set back, and says as little of now.
        verdict_s = abs(_age(evaluated, situation.now))
        answer_s = _age(status.answered_at, situation.now)
        oldest = max(verdict_s, answer_s)
        numbers = {"verdict_age_s": round(verdict_s, 1), "answer_age_s": round(answer_s, 1), "allowed_s": allowed_s}
        return Answer(
            passed=oldest <= allowed_s,
            reason=f"last verdict {verdict_s:.0f} s ago, {allowed_s:.0f} s allowed",
            numbers=numbers,
        )


def _age(at: datetime | None, now: datetime) -> float:
    """Seconds since then; infinite when it never was."""
    return (now - at) / timedelta(seconds=1) if at else float("inf")
