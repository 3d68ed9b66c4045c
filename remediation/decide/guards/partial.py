"""Too much went bad in one scrape: the telemetry is partial, or the observer is cut off."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, Sum

from remediation import conf
from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import RuleStatus, SeriesState, Storm
from remediation.states import Phase, Verdict

SCRAPES_IN_STALE = 4
"""A source scrapes about so often within the age at which its samples are stale."""


@dataclass(frozen=True, kw_only=True)
class Turned:
    """How many of the series that were ever judged went bad or unknown together with the incident's, and still are."""

    of: str
    turned: int
    known: int

    @property
    def much(self) -> bool:
        return self.turned >= conf.PARTIAL_LEAST and self.turned > conf.PARTIAL_SHARE * self.known

    def __str__(self) -> str:
        return f"{self.turned} of {self.known} series of {self.of} went bad or unknown in one scrape"


class PartialGuard(Guard):
    """Did much go bad in one scrape? Then it is more likely that the scrape was bad, or the way to the targets is
    (`up` is 0 for them), than that so much broke at once. Holds as long as those series stay so."""

    name = "partial"
    label = "Partial telemetry"

    def ask(self, situation: Situation) -> Answer:
        rule = situation.incident.rule
        if Storm.objects.filter(source=rule.source_id, ended_at=None).exists():
            return Answer(passed=False, reason="nobody counts series in the middle of a storm")
        together = _together(situation)
        mine = _count(SeriesState.objects.filter(rule=rule), together, of=str(rule))
        found = mine if mine.much else _of_source(situation, together) or mine
        limit = f"{conf.PARTIAL_SHARE:.0%} and {conf.PARTIAL_LEAST} allowed"
        numbers = {"turned": found.turned, "known": found.known, "share": conf.PARTIAL_SHARE}
        return Answer(passed=not found.much, reason=f"{found}, {limit}", numbers=numbers)


def _together(situation: Situation) -> Q:
    """Turned in the same scrape as the incident's series. Rules look at their own times, so an interval is added."""
    rule = situation.incident.rule
    since = SeriesState.objects.values_list("verdict_since", flat=True).get(
        rule=rule, fingerprint=situation.incident.fingerprint
    )
    within_s = float(rule.source.stale_after_s) / SCRAPES_IN_STALE + float(rule.interval_s)
    turned = Q(verdict__in=(Verdict.BAD, Verdict.UNKNOWN))
    return turned & Q(verdict_since__gte=since - within_s, verdict_since__lte=since + within_s)


def _count(rows: QuerySet[SeriesState], together: Q, *, of: str) -> Turned:
    # What was never judged was not well before either, and so did not turn.
    counts = rows.exclude(phase=Phase.UNKNOWN).aggregate(known=Count("pk"), turned=Count("pk", filter=together))
    return Turned(of=of, turned=counts["turned"], known=counts["known"])


def _of_source(situation: Situation, together: Q) -> Turned | None:
    """Counted across its rules, and only where the rules' own counts leave it possible: series may be many."""
    source = situation.incident.rule.source
    rules = RuleStatus.objects.filter(rule__source=source, rule__enabled=True)
    sums = rules.aggregate(known=Sum("series"), bad=Sum("bad"), unknown=Sum("unknown"))
    at_most = Turned(of=str(source), turned=(sums["bad"] or 0) + (sums["unknown"] or 0), known=sums["known"] or 0)
    if not at_most.much:
        return None
    rows = SeriesState.objects.filter(rule__source=source, rule__enabled=True)
    return _count(rows, together, of=str(source))
