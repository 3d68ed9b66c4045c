"""Where each series of a rule stands: verdicts into phases, kept across restarts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from remediation.conf import FORGET_AFTER_S
from remediation.detect.base import Verdicts
from remediation.detect.phase import Standing, advance
from remediation.models import Incident, Rule, RuleStatus, SeriesState, rewrite
from remediation.series import fingerprint
from remediation.states import Code, IncidentState, Phase, Verdict

REFRESH_S = 10.0
"""A series whose verdict does not change is written again after this many seconds, so that its value stays current."""
REFRESHED_PER_S = 25
"""Well series that are written again in a second, of all rules together: with many, each has to wait for its turn."""
REFRESH_AT_MOST_S = 300.0
PARTLY, NAMED, BUSY = "/partly", "/named", "/busy"
"""End the name of an outcome: series are stored that are not in the answer, because they are well; only `__name__`
tells some of them apart, which they show together only; not all are well."""

KEY_FIELDS = ("rule", "fingerprint")
MOVING_FIELDS = (
    *("phase", "phase_since", "verdict", "verdict_since", "judged_at"),
    *("value", "score", "lower", "upper", "reason"),
)
STATE_FIELDS = ("labels", *MOVING_FIELDS)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One series, judged."""

    labels: dict[str, str]
    verdict: Verdict
    value: float | None = None
    score: float | None = None
    lower: float | None = None
    upper: float | None = None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Tally:
    series: int
    bad: int
    unknown: int
    changed: bool
    settled: str = ""
    """RuleStatus.settled."""


def finite(number: float) -> float | None:
    """A number that a database and JSON can hold."""
    return float(number) if math.isfinite(number) else None


def judged_series(verdicts: Verdicts) -> dict[str, Judged]:
    """By fingerprint."""
    return {
        fingerprint(labels): Judged(
            labels=dict(labels),
            verdict=Code(int(verdicts.codes[i])).verdict,
            value=finite(verdicts.values[i]),
            score=finite(verdicts.scores[i]),
            lower=finite(verdicts.lower[i]),
            upper=finite(verdicts.upper[i]),
            reason=verdicts.reasons[i],
        )
        for i, labels in enumerate(verdicts.labels)
    }


def missing(labels: dict[str, str], verdicts: Verdicts | None, *, why_not: str = "") -> Judged:
    """A series that was judged before and is not in this answer: unknown, unless the detector said otherwise."""
    if verdicts is None:
        return Judged(labels=labels, verdict=Verdict.UNKNOWN, reason=why_not)
    return Judged(labels=labels, verdict=Code(verdicts.missing).verdict, reason=verdicts.missing_reason)


def forget_well(
    known: dict[str, SeriesState], judged: dict[str, Judged], verdicts: Verdicts | None, *, now: datetime
) -> None:
    """Drop series that are well, and that are missing because they are well: otherwise each one that was ever bad
    would be written for ever."""
    if verdicts is None or verdicts.missing != Code.OK:
        return
    at = now.timestamp()
    gone = [row for name, row in known.items() if name not in judged and row.phase == Phase.OK]
    gone = [row for row in gone if row.verdict == Verdict.OK and at - row.verdict_since >= FORGET_AFTER_S]
    SeriesState.objects.filter(pk__in=[row.pk for row in gone]).delete()
    for row in gone:
        del known[row.fingerprint]


def forget_replaced(rule: Rule, known: dict[str, SeriesState], judged: dict[str, Judged], *, now: datetime) -> None:
    """Drop what was replaced: instances come and go, and nobody should look at `unknown` for ever because of one that
    went. A rule that sees nothing at all forgets nothing, since then it is the eyes that are gone."""
    if not any(one.verdict != Verdict.UNKNOWN for one in judged.values()):
        return
    before = now.timestamp() - FORGET_AFTER_S
    gone = [
        row.fingerprint
        for name, row in known.items()
        if name not in judged and row.verdict == Verdict.UNKNOWN and row.verdict_since < before
    ]
    if not gone:
        return
    incidents = Incident.objects.filter(rule=rule, fingerprint__in=gone).exclude(state=IncidentState.RESOLVED)
    kept = set(incidents.values_list("fingerprint", flat=True))
    for name in set(gone) - kept:
        known.pop(name).delete()


def settled_name(version: int, verdicts: Verdicts, *, known: Iterable[str] = (), busy: bool = False) -> str:
    """Names a rule's version and its series, for RuleStatus.settled, when something is known of each of them.

    Seen again with all of them well, and not BUSY, nothing has to be read or written. `known`: the fingerprints that
    are stored. Empty when one of those is not in the answer, unless what is missing is certainly well.
    """
    names = sorted(fingerprint(labels) for labels in verdicts.labels)
    partly = not set(known) <= set(names)
    if np.any(verdicts.codes == Code.UNKNOWN) or (partly and verdicts.missing != Code.OK):
        return ""
    digest = hashlib.sha256(" ".join(names).encode()).hexdigest()[:32]
    named = any("__name__" in labels for labels in verdicts.labels)
    return f"{version}/{digest}{NAMED if named else ''}{PARTLY if partly else ''}{BUSY if busy else ''}"


def is_settled(status: RuleStatus, version: int, verdicts: Verdicts) -> bool:
    """Whether every series is well, and they are those of the last time, and were so then."""
    settled = status.settled
    if not settled or settled.endswith(BUSY) or not np.all(verdicts.codes == Code.OK):
        return False
    partly = settled.endswith(PARTLY)
    same = settled.removesuffix(PARTLY) == settled_name(version, verdicts)
    return same and (not partly or verdicts.missing == Code.OK)


def is_countable(status: RuleStatus, version: int) -> bool:
    """Whether the number of its series says which they are: all that are stored were in the last answer, and one says
    by itself which it is."""
    known = status.settled.startswith(f"{version}/")
    return known and PARTLY not in status.settled and NAMED not in status.settled


def are_all_that_is_wrong(rule: Rule, bad: set[str]) -> bool:
    """Whether these bad series are known, and no other was not well: otherwise the rule has to be looked at. A series
    that began may hide another that ended, and one that is well again is on its way."""
    rows = SeriesState.objects.filter(rule=rule)
    restless = rows.exclude(phase=Phase.OK, verdict=Verdict.OK).values_list("fingerprint", flat=True)
    return set(restless) <= bad and rows.filter(fingerprint__in=bad).count() == len(bad)


def refresh(rule: Rule, verdicts: Verdicts, *, now: datetime) -> None:
    """Write the values of series that are all well, as they were; none has to be read for that."""
    rows = [
        SeriesState(
            rule=rule,
            fingerprint=name,
            judged_at=now.timestamp(),
            value=one.value,
            score=one.score,
            lower=one.lower,
            upper=one.upper,
            reason=one.reason,
        )
        for name, one in judged_series(verdicts).items()
    ]
    rewrite(SeriesState, rows, ("judged_at", "value", "score", "lower", "upper", "reason"), by=KEY_FIELDS)


def refresh_s(series: int) -> float:
    """Seconds after which a well series is written again, by how many series all rules have together."""
    return min(max(REFRESH_S, series / REFRESHED_PER_S), REFRESH_AT_MOST_S)


def write_states(
    rule: Rule, known: dict[str, SeriesState], judged: dict[str, Judged], *, now: datetime, every_s: float = REFRESH_S
) -> bool:
    """Advance every series and write those that changed or are due for a refresh, well ones after `every_s`; `known`
    holds all of them after."""
    at = now.timestamp()
    new: list[SeriesState] = []
    edited: list[SeriesState] = []
    changed = False
    for name, one in judged.items():
        row = known.get(name)
        if row is None:
            row = SeriesState(rule=rule, fingerprint=name)
            standing = None
            new.append(row)
        else:
            standing = Standing(phase=Phase(row.phase), since=row.phase_since, judged_at=row.judged_at)
        after = advance(standing, one.verdict, now=at, for_s=rule.for_s, keep_firing_for_s=rule.keep_firing_for_s)
        moved = standing is None or after.phase != row.phase or one.verdict != row.verdict
        # What is on its way somewhere is written often whatever there is: its time counts from what was written.
        due_s = every_s if row.phase == Phase.OK else REFRESH_S
        if standing is not None and (moved or one.verdict != Verdict.OK or not 0 <= at - row.judged_at < due_s):
            edited.append(row)
        elif standing is not None:
            continue
        changed = changed or moved
        if one.verdict != row.verdict or not row.verdict_since:
            row.verdict_since = at
        row.labels, row.phase, row.phase_since = one.labels, after.phase, after.since
        row.verdict, row.judged_at, row.reason = one.verdict, at, one.reason
        if one.verdict != Verdict.UNKNOWN:
            row.value, row.score, row.lower, row.upper = one.value, one.score, one.lower, one.upper
        known[name] = row
    SeriesState.objects.bulk_create(
        new, batch_size=500, update_conflicts=True, unique_fields=KEY_FIELDS, update_fields=STATE_FIELDS
    )
    rewrite(SeriesState, edited, MOVING_FIELDS)
    return changed
