"""Too much went bad in one scrape: the telemetry is partial, or the observer is cut off."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, Sum

from remediation import conf
from remediation.decide.guards.base import Answer, Guard, Situation
from remediation.models import Place, Prepared, PreparedTally, RuleStatus, SeriesState, Storm
from remediation.states import Phase, Verdict

SCRAPES_IN_STALE = 4
"""A source scrapes about so often within the age at which its samples are stale."""


TURNED = Count(
    "pk",
    filter=Q(
        verdict__in=(Verdict.BAD, Verdict.UNKNOWN),
        verdict_since__gte=Place("from"),
        verdict_since__lte=Place("to"),
    ),
)
_storm = Prepared(lambda given: Storm.objects.filter(source=given("source"), ended_at=None).order_by())
_since = Prepared(
    lambda given: (
        SeriesState.objects.filter(rule=given("rule"), fingerprint=given("fingerprint"))
        .order_by()
        .values_list("verdict_since", flat=True)
    )
)
# What was never judged was not well before either, and so did not turn.
_of_rule = PreparedTally(
    lambda given: SeriesState.objects.filter(rule=given("rule")).exclude(phase=Phase.UNKNOWN),
    known=Count("pk"),
    turned=TURNED,
)
_of_rules = PreparedTally(
    lambda given: SeriesState.objects.filter(rule__source=given("source"), rule__enabled=True).exclude(
        phase=Phase.UNKNOWN
    ),
    known=Count("pk"),
    turned=TURNED,
)
_sums = PreparedTally(
    lambda given: RuleStatus.objects.filter(rule__source=given("source"), rule__enabled=True),
    known=Sum("series"),
    bad=Sum("bad"),
    unknown=Sum("unknown"),
)


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
        storms = _storm.all(source=rule.source_id)
        if storms and all(storm.dismissed(situation.now) for storm in storms):
            return Answer(passed=True, reason="a person says that so much really broke")
        if storms:
            return Answer(passed=False, reason="nobody counts series in the middle of a storm")
        scrape = _scrape(situation)
        mine = Turned(of=str(rule), **_of_rule.of(rule=rule.pk, **scrape))
        found = mine if mine.much else _of_source(situation, scrape) or mine
        limit = f"{conf.PARTIAL_SHARE:.0%} and {conf.PARTIAL_LEAST} allowed"
        numbers = {"turned": found.turned, "known": found.known, "share": conf.PARTIAL_SHARE}
        return Answer(passed=not found.much, reason=f"{found}, {limit}", numbers=numbers)


def _scrape(situation: Situation) -> dict[str, float]:
    """Between which moments what turned did so in one scrape with the incident's series (seconds since the epoch).
    Rules look at their own times, so an interval is added. Raises DoesNotExist."""
    rule = situation.incident.rule
    since = _since.first(rule=rule.pk, fingerprint=situation.incident.fingerprint)
    if since is None:
        raise SeriesState.DoesNotExist
    within_s = float(rule.source.stale_after_s) / SCRAPES_IN_STALE + float(rule.interval_s)
    return {"from": since - within_s, "to": since + within_s}


def _of_source(situation: Situation, scrape: dict[str, float]) -> Turned | None:
    """Counted across its rules, and only where the rules' own counts leave it possible: series may be many."""
    source = situation.incident.rule.source
    sums = _sums.of(source=source.pk)
    at_most = Turned(of=str(source), turned=(sums["bad"] or 0) + (sums["unknown"] or 0), known=sums["known"] or 0)
    if not at_most.much:
        return None
    return Turned(of=str(source), **_of_rules.of(source=source.pk, **scrape))
