"""So much went bad at once that the observer is the likelier fault."""

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Heartbeat, Prepared, Storm

LOOKED_WITHIN_S = 30.0
"""Storms are looked for every few seconds. After a longer time without a look nobody knows whether there is one."""


_going_on = Prepared(
    lambda given: Storm.objects.filter(source__pk__in=given("sources"), ended_at=None).order_by("-began_at")
)
_looked_at = Prepared(lambda given: Heartbeat.objects.filter(stage="storms").order_by().values_list("at", flat=True))


class StormGuard(Guard):
    """Holds everything that rests on a source while its storm lasts, and until it has been calm for a while."""

    name = "storm"
    label = "Storm"

    def ask(self, situation: Situation) -> Answer:
        source, now = situation.incident.rule.source, situation.now
        # One that confirms this source counts as well: it is asked right before the effect.
        storms = _going_on.all(sources=[pk for pk in (source.pk, source.confirmed_by_id) if pk is not None])
        for storm in storms:
            if storm.dismissed(now):
                continue
            since_s = (now - storm.began_at).total_seconds()
            return Answer(passed=False, reason=str(storm), numbers={"storm": storm.pk, "since_s": round(since_s)})
        looked_at = _looked_at.first()
        # One that lies ahead was written by a clock that has since been set back.
        looked_s = abs(now - looked_at).total_seconds() if looked_at else float("inf")
        if looked_s > LOOKED_WITHIN_S:
            return Answer(passed=False, reason="nobody has looked for storms for a while, so there may be one")
        numbers = {"looked_s_ago": round(looked_s)}
        for said in filter(None, (storm.dismissed(now) for storm in storms)):
            return Answer(passed=True, reason=f"{said.get('by')} says that it is no storm", numbers=numbers)
        return Answer(passed=True, reason="no storm", numbers=numbers)
