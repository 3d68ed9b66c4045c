"""A rule's turn: its slot is claimed, it is judged, what was seen is taken in, and how it went is written."""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from django.db.models import F, Q, Sum
from django.db.models.functions import Greatest
from django.utils import timezone

from remediation import condition, conf, episodes, evaluation, gaps, judging, storms
from remediation.combination import is_combined
from remediation.detect.base import Verdicts
from remediation.judging import Asked
from remediation.models import Alert, Place, Prepared, PreparedUpdate, Rule, RuleStatus, SeriesState, record
from remediation.signals import evaluated
from remediation.standings import Tally, is_countable, refresh, refresh_s

log = logging.getLogger(__name__)

AT_LEAST_S = 5.0
"""Seconds that an evaluation may take whatever the interval is."""
GOLDEN = 0.6180339887498949
"""Multiples of it spread evenly between 0 and 1."""
COUNT_EVERY_S = 10.0
HEARD_LATELY = timedelta(minutes=10)
_held = Prepared(
    lambda given: RuleStatus.objects.filter(rule__pk__in=given("rules"), running_until=given("lease")).order_by()
)
_still = Prepared(
    lambda given: (
        RuleStatus.objects.filter(
            rule=given("rule"), running_until=given("lease"), rule__version=given("version"), rule__enabled=True
        )
        .order_by()
        .values_list("pk", flat=True)
    )
)
_left = Prepared(
    lambda given: RuleStatus.objects.filter(rule=given("rule"), waiting=True).order_by().values_list("pk", flat=True)
)
_leave = PreparedUpdate(lambda given: RuleStatus.objects.filter(rule=given("rule")), waiting=True)
_take_turn = PreparedUpdate(
    lambda given: RuleStatus.objects.filter(_free_at(given("now"), given("far")), rule=given("rule")),
    running_until=Place("lease"),
)
_take_for_all = PreparedUpdate(
    lambda given: RuleStatus.objects.filter(_free_at(given("now"), given("far")), rule=given("rule")),
    running_until=Place("lease"),
    waiting=False,
)
_seen_at = Prepared(
    lambda given: (
        Alert.objects.filter(source=given("source"), seen_at__gte=given("since"))
        .order_by()
        .values_list("fingerprint", "seen_at")
    )
)
_judged_at = Prepared(
    lambda given: SeriesState.objects.filter(rule=given("rule")).order_by().values_list("fingerprint", "judged_at")
)
_count_in = PreparedUpdate(
    lambda given: RuleStatus.objects.filter(rule=given("rule"), running_until=given("lease")),
    running_until=None,
    settled="",
    series=F("series") + Place("series"),
    bad=Greatest(F("bad") + Place("bad"), 0),
    unknown=Greatest(F("unknown") + Place("unknown"), 0),
)
_counted: tuple[float, int] = (float("-inf"), 0)
"""When the series of all rules were counted, and how many there were."""


def lease(now: datetime) -> datetime:
    """Until when the rules taken now are ours. No two are the same, so that this also says whose they are."""
    return now + timedelta(seconds=conf.EVALUATION_LEASE_S, microseconds=secrets.randbelow(1_000_000))


def claim_slot(rules: list[Rule], slot: int, lease: datetime, *, now: datetime) -> list[evaluation.Due]:
    """Take the current slot of rules by compare-and-set. A slot whose predecessor still runs is an overrun."""
    known = RuleStatus.objects.filter(rule__in=[rule.pk for rule in rules])
    # A slot far ahead is one that a clock, since set back, once saw: it must not keep the rule waiting until then.
    open_ones = known.filter(Q(slot__lt=slot) | Q(slot__gt=slot + 2))
    free = _free(now)
    taken = open_ones.filter(free).update(slot=slot, running_until=lease)
    if taken < len(rules):
        open_ones.exclude(free).update(overruns=F("overruns") + 1, slot=slot)
        have = set(known.values_list("rule_id", flat=True))
        for rule in rules:
            if rule.pk not in have:
                RuleStatus.objects.get_or_create(rule=rule, defaults={"slot": slot, "running_until": lease})
    return ours(rules, lease, now=now)


def ours(rules: list[Rule], lease: datetime, *, now: datetime) -> list[evaluation.Due]:
    """Those of the rules that this lease holds, with what their last evaluation came to."""
    rows = {row.rule_id: row for row in _held.all(rules=[rule.pk for rule in rules], lease=lease)}
    return [
        evaluation.Due(rule=rule, status=row, look=_is_due_for_a_look(row, now=now))
        for rule in rules
        if (row := rows.get(rule.pk)) is not None
    ]


def _is_due_for_a_look(row: RuleStatus, *, now: datetime) -> bool:
    """Rules that were looked at together are not again: each has a pace of its own, a quarter slower or quicker."""
    pace = 0.75 + (row.rule_id * GOLDEN % 1.0) / 2
    return row.looked_at is None or not timedelta() <= now - row.looked_at < pace * timedelta(seconds=_refresh_s())


def _refresh_s() -> float:
    """How often series that stay well are written; counted anew once in a while."""
    global _counted  # noqa: PLW0603 - one number of this process, and whichever thread writes it last is right
    at, series = _counted
    if not 0 <= time.monotonic() - at < COUNT_EVERY_S:
        series = RuleStatus.objects.filter(rule__enabled=True).aggregate(Sum("series"))["series__sum"] or 0
        _counted = (time.monotonic(), series)
    return refresh_s(series)


def _free(now: datetime) -> Q:
    """Nobody is at the rule: never, no longer, or by a lease that reaches further ahead than leases do."""
    return _free_at(now, _far(now))


def _far(now: datetime) -> datetime:
    return now + 2 * timedelta(seconds=conf.EVALUATION_LEASE_S)


def _free_at(now: Any, far: Any) -> Q:
    return Q(running_until=None) | Q(running_until__lte=now) | Q(running_until__gt=far)


def evaluate(due: list[evaluation.Due], lease: datetime, *, now: datetime) -> None:
    """Judge, take in, and write how it went. Whatever breaks is the rule's error, and its lease ends with this."""
    if not due:
        return
    started = time.perf_counter()
    # What does not fit into an interval is an overrun: the next slot is soon, and others wait for this thread.
    seen = evaluation.look(due, now=now, within_s=max(due[0].rule.period_s, AT_LEAST_S))
    took_ms = (time.perf_counter() - started) * 1000 / len(due)
    _note_gaps([one for one in due if one.rule.pk in seen], now=now)
    mine = RuleStatus.objects.filter(running_until=lease)
    quiet = [one for one in due if _is_quiet(one, seen.get(one.rule.pk))]
    looked = [one for one in quiet if one.look]
    ours_still = set(mine.filter(rule__in=[one.rule.pk for one in looked]).values_list("rule_id", flat=True))
    looked = [one for one in looked if one.rule.pk in ours_still]
    for one in looked:
        refresh(one.rule, cast(Verdicts, seen[one.rule.pk].verdicts), now=now)
    unchanged = {one.rule.pk for one in quiet}
    done = {"running_until": None, "evaluated_at": now, "took_ms": took_ms}
    mine.filter(rule__in=[one.rule.pk for one in quiet if not one.look]).update(**done)
    mine.filter(rule__in=[one.rule.pk for one in looked]).update(**done, looked_at=now)
    missed = [one.rule.pk for one in due if one.rule.pk not in seen]
    mine.filter(rule__in=missed).update(running_until=None, overruns=F("overruns") + 1)
    for one in due:
        if one.rule.pk in seen and one.rule.pk not in unchanged:
            _take_in(one, seen[one.rule.pk], lease, took_ms, now=now)


def _note_gaps(due: list[evaluation.Due], *, now: datetime) -> None:
    """Before it is written that they were evaluated, which would hide that they were not for so long."""
    try:
        gaps.note([(one.rule, one.status) for one in due], now=now)
    except Exception:
        log.exception("what was not watched cannot be noted; the rules are judged all the same")


def _is_quiet(one: evaluation.Due, seen: evaluation.Seen | None) -> bool:
    """Nothing to be written but the values, when it is their turn. What is stored beside the answer is for take_in."""
    if seen is None or not seen.unchanged or one.status.error:
        return False
    return not one.look or (seen.verdicts is not None and is_countable(one.status, one.rule.version))


def _take_in(one: evaluation.Due, seen: evaluation.Seen, held: datetime, took_ms: float, *, now: datetime) -> None:
    rule, before, error = one.rule, one.status, seen.error
    mine = RuleStatus.objects.filter(rule=rule, running_until=held)
    if not _still_so(rule, held):
        mine.update(running_until=None)
        return
    started = time.perf_counter()
    tally = Tally(series=before.series, bad=before.bad, unknown=before.unknown, changed=False)
    try:
        if seen.others_well and seen.verdicts is not None:
            tally = episodes.take_in_bad(rule, seen.verdicts, series=before.series, settled=before.settled, now=now)
        else:
            tally = episodes.take_in(rule, seen.verdicts, why_not=error, now=now, every_s=_refresh_s())
    except Exception as problem:
        log.exception("what rule %s saw cannot be stored", rule)
        error = f"what it saw cannot be stored ({type(problem).__name__})"
    mine.update(
        running_until=None,
        evaluated_at=before.evaluated_at if error else now,
        took_ms=took_ms + (time.perf_counter() - started) * 1000,
        error=error,
        error_at=now if error else None,
        series=tally.series,
        bad=tally.bad,
        unknown=tally.unknown,
        settled="" if error else tally.settled,
        looked_at=before.looked_at if seen.others_well else now,
    )
    _note_unknown(rule, before, tally, error=error, now=now)
    if tally.bad + tally.unknown - before.bad - before.unknown >= conf.STORM_LEAST:
        _look_for_a_storm(now)
    evaluated.send(Rule, rule_id=rule.pk, changed=tally.changed or error != before.error)


def _still_so(rule: Rule, held: datetime) -> bool:
    """Not when it took longer than its lease, for somebody else has newer verdicts then; nor when the rule was edited
    or switched off meanwhile: what it was says nothing about what it is."""
    return bool(_still.all(rule=rule.pk, lease=held, version=rule.version))


def _note_unknown(rule: Rule, before: RuleStatus, tally: Tally, *, error: str, now: datetime) -> None:
    """A line of history when a rule loses sight of its series, and when it sees them again: unknown is no fault, and
    nothing is done about it, so somebody must be able to read that."""
    if tally.unknown and not before.unknown:
        why = error or f"{tally.unknown} of {tally.series} series have no fresh sample"
        record(rule, "unknown", now=now, reason=f"{why}; unknown is not a fault, so nothing is done")
    elif before.unknown and not tally.unknown:
        record(rule, "known again", now=now, reason="fresh samples again")


def _look_for_a_storm(now: datetime) -> None:
    """So much went bad that the next sweep would be late."""
    try:
        storms.look(now=now, at_once=True)
    except Exception:
        log.exception("nobody could look for a storm; the guard says no once that lasts")


def alerts_came(rule: Rule, names: frozenset[str] | None) -> None:
    """Judge the alerts with these fingerprints (None: all) at once, outside the rule's slots.

    While somebody is at the rule they are left to whoever that is: it looks once more when it is done.
    """
    now = timezone.now()
    held = _take(rule, for_all=names is None, now=now)
    if held is None:
        # Marked before the second try: whoever held the rule until then has not looked for marks yet, or is done.
        if not _leave.run(rule=rule.pk):
            RuleStatus.objects.update_or_create(rule=rule, defaults={"waiting": True})
        held = _take(rule, for_all=True, now=now)
        names = _unjudged(rule, now=now) if held is not None else None
    while held is not None:
        due = ours([rule], held, now=now)
        if names is not None and due and due[0].status.evaluated_at is not None and not is_combined(rule):
            _judge_some(due[0], names, held, now=now)
        else:
            evaluate(due, held, now=now)
        if not _left.all(rule=rule.pk):
            return
        now = timezone.now()
        held = _take(rule, for_all=True, now=now)
        names = _unjudged(rule, now=now) if held is not None else None


def _take(rule: Rule, *, for_all: bool, now: datetime) -> datetime | None:
    """The lease, unless somebody is at the rule. Marks that were left are answered by who takes it for all, only."""
    held = lease(now)
    take = _take_for_all if for_all else _take_turn
    return held if take.run(rule=rule.pk, now=now, far=_far(now), lease=held) else None


def _unjudged(rule: Rule, *, now: datetime) -> frozenset[str]:
    """The fingerprints of alerts that were heard of lately and after they were last judged, if they ever were. What a
    bell that came very late is about is at the rule's next slot."""
    judged = dict(_judged_at.all(rule=rule.pk))
    heard = _seen_at.all(source=rule.source_id, since=now - HEARD_LATELY)
    return frozenset(name for name, seen_at in heard if judged.get(name, 0.0) <= seen_at.timestamp())


def _judge_some(one: evaluation.Due, names: frozenset[str], held: datetime, *, now: datetime) -> None:
    """The alerts that came, and no others: a storm's thousandth costs what its first did."""
    rule, mine = one.rule, RuleStatus.objects.filter(rule=one.rule, running_until=held)
    try:
        verdicts, _ = judging.judge(replace(Asked.of_rule(rule), only=names), now=now)
        if not _still_so(rule, held):
            mine.update(running_until=None)
            return
        tally = episodes.take_in_some(rule, verdicts, now=now)
    except Exception as problem:
        log.exception("alerts of rule %s cannot be judged; they are at its next slot", rule)
        mine.update(running_until=None, error=condition.plain(problem), error_at=now)
        return
    _count_in.run(rule=rule.pk, lease=held, series=tally.series, bad=tally.bad, unknown=tally.unknown)
    if tally.bad + tally.unknown >= conf.STORM_LEAST:
        _look_for_a_storm(now)
    evaluated.send(Rule, rule_id=rule.pk, changed=tally.changed)
