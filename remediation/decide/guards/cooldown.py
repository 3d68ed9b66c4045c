"""The last effect on the target is too recent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Prepared, RemediationTarget

NEWEST = 20
"""Effects that are looked at, the newest first. What is touched after a long rollout began is among them."""

_effects = Prepared(
    lambda given: (
        RemediationTarget.objects.filter(target__pk__in=given("targets"), remediation__effect_started_at__isnull=False)
        .exclude(remediation=given("own"))
        .order_by("-remediation__effect_started_at")
        .values_list("effect_started_at", "remediation__effect_started_at", "remediation__undone")[:NEWEST]
    )
)


class CooldownGuard(Guard):
    """Gives an effect time to show before the next one on the same target."""

    name = "cooldown"
    label = "Cooldown"

    def ask(self, situation: Situation) -> Answer:
        cooldown_s = float(situation.step["cooldown_s"])
        last = max(_touched(situation), default=None)
        if last is None:
            return Answer(passed=True, reason="no effect on this target before", numbers={"cooldown_s": cooldown_s})
        # A clock set back makes the last effect lie ahead: then nothing has passed yet, and the guard holds.
        since = (situation.now - last) / timedelta(seconds=1)
        numbers = {"cooldown_s": cooldown_s, "since_s": round(since, 1)}
        reason = f"last effect {since:.0f} s ago, {cooldown_s:.0f} s asked"
        return Answer(passed=since >= cooldown_s, reason=reason, numbers=numbers)


def _touched(situation: Situation) -> Iterator[datetime]:
    """When other attempts touched the plan's targets: each by its own call, which in a rollout may come long after the
    first, and by an undo."""
    for own, whole, undone in _effects.all(targets=situation.target_ids, own=situation.remediation.pk):
        if touched := own or whole:
            yield touched
        if "started_at" in undone:
            yield datetime.fromisoformat(undone["started_at"])
