"""The same fault comes and goes."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count

from remediation import conf
from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Incident, PreparedTally

# Those that ended while pending are what the rule's `for` is there to leave out.
_fired = PreparedTally(
    lambda given: Incident.objects.filter(
        rule=given("rule"), fingerprint=given("fingerprint"), fired_at__gt=given("since")
    ),
    times=Count("pk"),
)


class FlappingGuard(Guard):
    """What fires again and again was not repaired, or never was broken: a person looks at the fault, or at the rule."""

    name = "flapping"
    label = "Flapping"

    def ask(self, situation: Situation) -> Answer:
        incident, window_s = situation.incident, conf.FLAPPING_WINDOW_S
        since = situation.now - timedelta(seconds=window_s)
        fired = _fired.of(rule=incident.rule_id, fingerprint=incident.fingerprint, since=since)["times"]
        reason = f"fired {fired} times in the last {window_s / 60:.0f} min, {conf.FLAPPING_TIMES} allowed"
        numbers = {"fired": fired, "allowed": conf.FLAPPING_TIMES, "window_s": window_s}
        steady = fired <= conf.FLAPPING_TIMES
        return Answer(passed=steady, reason=reason, numbers=numbers, needs_person=not steady)
