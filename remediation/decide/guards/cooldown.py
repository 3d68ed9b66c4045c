"""The last effect on the target is too recent."""

from datetime import timedelta

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Remediation


class CooldownGuard(Guard):
    """Gives an effect time to show before the next one on the same target."""

    name = "cooldown"
    label = "Cooldown"

    def ask(self, situation: Situation) -> Answer:
        cooldown_s = float(situation.step["cooldown_s"])
        last = (
            Remediation.objects.filter(targets__in=situation.target_ids, effect_started_at__isnull=False)
            .exclude(pk=situation.remediation.pk)
            .order_by("-effect_started_at")
            .values_list("effect_started_at", flat=True)
            .first()
        )
        if last is None:
            return Answer(passed=True, reason="no effect on this target before", numbers={"cooldown_s": cooldown_s})
        # A clock set back makes the last effect lie ahead: then nothing has passed yet, and the guard holds.
        since = (situation.now - last) / timedelta(seconds=1)
        numbers = {"cooldown_s": cooldown_s, "since_s": round(since, 1)}
        if since >= cooldown_s:
            return Answer(
                passed=True, reason=f"last effect {since:.0f} s ago, {cooldown_s:.0f} s asked", numbers=numbers
            )
        return Answer(passed=False, reason=f"last effect {since:.0f} s ago, {cooldown_s:.0f} s asked", numbers=numbers)
