"""What else is known of a service whose incident nothing serves."""

from __future__ import annotations

from remediation.models import Incident, SeriesState
from remediation.states import Verdict


def other_conditions(incident: Incident) -> str:
    """What the other rules of the same service say, for the person who wonders whether this is a fault."""
    if incident.service_id is None:
        return ""
    others = SeriesState.objects.filter(rule__service_id=incident.service_id, rule__enabled=True).exclude(
        rule_id=incident.rule_id
    )
    verdicts = list(others.values_list("verdict", flat=True))
    if not verdicts:
        return ""
    bad, unknown = verdicts.count(Verdict.BAD), verdicts.count(Verdict.UNKNOWN)
    if not bad and not unknown:
        return f"All {len(verdicts)} other conditions of {incident.service} are in their normal range."
    return f"Of {len(verdicts)} other conditions of {incident.service}, {bad} are bad and {unknown} unknown."
