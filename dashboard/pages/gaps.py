"""When Homeostat did not look: what was measured meanwhile was judged by nobody, and nobody knows how it stood."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from remediation.models import Gap, Prepared, Rule
from remediation.models.gap import LATE_S, late_after

Span = tuple[float, float]
"""From when to when, in seconds since the epoch."""

_gaps = Prepared(
    lambda given: (
        Gap.objects.filter(ended_at__gt=given("since"))
        .order_by("pk")
        .values_list("rule_id", "began_at", "ended_at", "off")
    )
)
_not_lately = Prepared(
    lambda given: (
        Rule.objects.filter(enabled=True, status__error="", status__evaluated_at__lte=given("lately"))
        .order_by()
        .values_list("pk", "interval_s", "status__evaluated_at")
    )
)


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """By rule. late: it should have been judged by, and was not, until now where it still is not. off: it was not to
    be judged by: switched off, or not switched on yet."""

    late: Mapping[int, Sequence[Span]]
    off: Mapping[int, Sequence[Span]]


def since(start: float, *, now: datetime) -> Gaps:
    """Of all rules."""
    late: dict[int, list[Span]] = defaultdict(list)
    off: dict[int, list[Span]] = defaultdict(list)
    for rule, began, ended, was_off in _gaps.all(since=datetime.fromtimestamp(start, UTC)):
        (off if was_off else late)[rule].append((began.timestamp(), ended.timestamp()))
    for rule, interval_s, evaluated_at in _not_lately.all(lately=now - timedelta(seconds=LATE_S)):
        if evaluated_at is not None and now - evaluated_at > late_after(interval_s):
            late[rule].append((evaluated_at.timestamp(), math.inf))
    return Gaps(late=late, off=off)


def of_rule(rule: int, start: float, end: float) -> list[Span]:
    """When this rule was not judged by between these two times, those that are over."""
    within = Gap.objects.filter(rule=rule, ended_at__gt=_moment(start), began_at__lt=_moment(end)).order_by("began_at")
    spans = within.values_list("began_at", "ended_at")
    return [(max(start, began.timestamp()), min(end, ended.timestamp())) for began, ended in spans]


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def without(span: Span, gaps: Iterable[Span]) -> list[Span]:
    """What is left of a span, in order."""
    left = [span] if span[0] < span[1] else []
    for began, ended in gaps:
        left = [
            piece
            for start, end in left
            for piece in ((start, min(end, began)), (max(start, ended), end))
            if piece[0] < piece[1]
        ]
    return sorted(set(left))
