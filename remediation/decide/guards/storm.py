"""So much went bad at once that the observer is the likelier fault."""

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Heartbeat, Storm

LOOKED_WITHIN_S = 30.0
"""Storms are looked for every few seconds. After a longer time without a look nobody knows whether there is one."""


class StormGuard(Guard):
    """Holds everything that rests on a source while its storm lasts, and until it has been calm for a while."""

    name = "storm"
    label = "Storm"

    def ask(self, situation: Situation) -> Answer:
        source, now = situation.incident.rule.source, situation.now
        # One that confirms this source counts as well: it is asked right before the effect.
        storm = Storm.objects.filter(source_id__in=[source.pk, source.confirmed_by_id], ended_at=None).first()
        if storm is not None:
            since_s = (now - storm.began_at).total_seconds()
            return Answer(passed=False, reason=str(storm), numbers={"storm": storm.pk, "since_s": round(since_s)})
        looked_at = Heartbeat.objects.filter(stage="storms").values_list("at", flat=True).first()
        looked_s = (now - looked_at).total_seconds() if looked_at else float("inf")
        if looked_s > LOOKED_WITHIN_S:
            return Answer(passed=False, reason="nobody has looked for storms for a while, so there may be one")
        return Answer(passed=True, reason="no storm", numbers={"looked_s_ago": round(looked_s)})
