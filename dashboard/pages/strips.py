"""Heartbeat strips: how each service was in the last intervals, oldest first, from what history keeps.

A bar shows the worst of its interval: out of range where an incident that fired was open (from its first bad verdict
on), not watched where a rule was not evaluated, whatever it had come to before, unknown where a rule had lost sight of
its series, no data where no rule was there to watch the service, and ok otherwise.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby

from django.db.models import Q
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from dashboard.live.fragments import Context, Fragment, add, once
from dashboard.pages import gaps, health
from dashboard.pages.gaps import Gaps, Span
from dashboard.pages.words import span
from remediation.models import Incident, Prepared, RuleStatus, RuleVersion, Transition
from remediation.states import IncidentState, Severity

BARS = 40
BAR_S = 180
WIDTH = 5
"""Of a bar and the gap behind it, in the units of the drawing."""

NONE, OK, UNKNOWN, UNWATCHED, BAD = range(5)
"""In this order: of what happened within one bar, the highest is shown."""
TONES = ("off", "ok", "unknown", "unwatched", "firing")
DRAWN: tuple[tuple[float, ...], ...] = ((15,), (11.5,), (3.5, 12.5), (2, 8, 14), (8,))
"""Where the strokes of a bar run, so that each state has a shape of its own; the widths are in strip.css."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Bars side by side that show the same. Their times stand in the title only where they tell something."""

    tone: str
    path: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Hashable, and the same for as long as nothing but time went on, where a service was well throughout."""

    runs: tuple[Run, ...]
    summary: str


@once
def strips() -> Mapping[int, Strip]:
    """The strip of every service, by its id."""
    seen = health.everything()
    last = math.floor(seen.at.timestamp() / BAR_S)
    first = last - BARS + 1
    unwatched = gaps.since(first * BAR_S, now=seen.at)
    bad = _bad(first * BAR_S, unwatched)
    blind = _blind(first * BAR_S)
    born = _born(first * BAR_S)
    language = get_language() or ""
    found = {}
    for pk in seen.services:
        signs = seen.signs[pk]
        bars = _watched(signs.rules, born, unwatched, first)
        lost = [one for rule in signs.rules for one in blind.get(rule, ())]
        if signs.unknown_since is not None:
            lost.append((signs.unknown_since, math.inf))
        _paint(bars, first, lost, UNKNOWN)
        _paint(bars, first, (one for rule in signs.rules for one in unwatched.late.get(rule, ())), UNWATCHED)
        _paint(bars, first, bad.get(pk, ()), BAD)
        # Where nothing changed no time is shown, and so the strip stays the same for as long as that is so.
        found[pk] = strip_of(tuple(bars), first if len(set(bars)) > 1 else 0, language)
    return found


_fired = Prepared(
    lambda given: (
        Incident.objects.exclude(service=None)
        .exclude(fired_at=None)
        .exclude(severity=Severity.INFO)
        .filter(~Q(state=IncidentState.RESOLVED) | Q(resolved_at__gt=given("since")))
        .values_list("service_id", "rule_id", "opened_at", "resolved_at")
    )
)
_before = Prepared(
    lambda given: Transition.objects.filter(at__lt=given("since")).order_by("-pk").values_list("pk", flat=True)[:1]
)
_lines = Prepared(
    lambda given: (
        Transition.objects.filter(kind="rule", to_state__in=("unknown", "known again"), at__gte=given("since"))
        .filter(pk__gt=given("before"))
        .order_by("pk")
        .values_list("object_id", "to_state", "at")
    )
)
_unknown_now = Prepared(
    lambda _: RuleStatus.objects.filter(unknown__gt=0, rule__enabled=True, rule__service__isnull=False).values_list(
        "rule_id", flat=True
    )
)
_first_versions = Prepared(
    lambda given: RuleVersion.objects.filter(number=1, at__gt=given("since")).values_list("rule_id", "at")
)


def _bad(start: float, unwatched: Gaps) -> Mapping[int, Sequence[Span]]:
    """When each service had an incident that fired, as far as its rule was judged by."""
    found: dict[int, list[Span]] = defaultdict(list)
    for service_id, rule, opened_at, resolved_at in _fired.all(since=datetime.fromtimestamp(start, UTC)):
        if service_id is not None:
            open_for = (opened_at.timestamp(), resolved_at.timestamp() if resolved_at else math.inf)
            found[service_id] += gaps.without(open_for, unwatched.late.get(rule, ()))
    return found


def _blind(start: float) -> Mapping[int, Sequence[Span]]:
    """When each rule could not see its series: between a line that it lost them and the next that it has them again.

    The first line within the time shown says as well how it was before; a rule without any is as it is now.
    """
    since = datetime.fromtimestamp(start, UTC)
    found: dict[int, list[Span]] = defaultdict(list)
    lost: dict[int, float] = {}
    for rule, to, at in _lines.all(since=since, before=_before.first(since=since) or 0):
        if to == "unknown":
            lost.setdefault(rule, at.timestamp())
        elif rule in lost or rule not in found:
            found[rule].append((lost.pop(rule, -math.inf), at.timestamp()))
    for rule in _unknown_now.all():
        if rule in lost or rule not in found:
            found[rule].append((lost.get(rule, -math.inf), math.inf))
    return found


def _born(start: float) -> Mapping[int, float]:
    """When the rules that are younger than the time shown came to be."""
    rows = _first_versions.all(since=datetime.fromtimestamp(start, UTC))
    return {rule: at.timestamp() for rule, at in rows}


def _watched(rules: Iterable[int], born: Mapping[int, float], unwatched: Gaps, first: int) -> list[int]:
    """Bars that say when there was a rule that was to be judged by."""
    absent: set[int] | None = None
    for rule in rules:
        away = [(-math.inf, born[rule])] if rule in born else []
        bars = {bar for span in (*away, *unwatched.off.get(rule, ())) for bar in _whole(span, first)}
        absent = bars if absent is None else absent & bars
        if not absent:
            return [OK] * BARS
    return [NONE if absent is None or bar in absent else OK for bar in range(BARS)]


def _whole(span: Span, first: int) -> range:
    """The bars that lie in it from beginning to end."""
    from_bar = max(0, math.ceil(span[0] / BAR_S) - first) if span[0] > 0 else 0
    return range(from_bar, max(from_bar, min(BARS, math.floor(span[1] / BAR_S) - first)))


def _paint(bars: list[int], first: int, spans: Iterable[Span], level: int) -> None:
    for begin, end in spans:
        from_bar = max(0, math.floor(begin / BAR_S) - first) if begin > 0 else 0
        to_bar = min(BARS - 1, math.floor(end / BAR_S) - first) if end < math.inf else BARS - 1
        for bar in range(from_bar, to_bar + 1):
            # Nobody could lose sight of what nobody watched yet.
            if bars[bar] != NONE or level == BAD:
                bars[bar] = max(bars[bar], level)


@lru_cache(maxsize=4096)
def strip_of(bars: tuple[int, ...], first: int, language: str) -> Strip:
    """first: the number of the first bar, counted from the epoch. language: the active one, in which its words are."""
    words = (_("No data"), _("OK"), _("Unknown"), _("Not watched"), _("Out of range"))
    runs: list[Run] = []
    at = 0
    for level, same in groupby(bars):
        count = len(list(same))
        path = "".join(f"M{at * WIDTH} {y:g}h{count * WIDTH - 1}" for y in DRAWN[level])
        title = words[level] if count == BARS else f"{words[level]}, {_between(first + at, count)}"
        runs.append(Run(tone=TONES[level], path=path, title=title))
        at += count
    return Strip(runs=tuple(runs), summary=_summary(bars, words))


def _between(bar: int, count: int) -> str:
    begin, end = (datetime.fromtimestamp(one * BAR_S, UTC) for one in (bar, bar + count))
    return _("%(from)s to %(to)s UTC") % {"from": f"{begin:%H:%M}", "to": f"{end:%H:%M}"}


def _summary(bars: tuple[int, ...], words: Sequence[str]) -> str:
    """What the picture says, for those who do not see it."""
    levels = [level for level in (BAD, UNWATCHED, UNKNOWN, NONE, OK) if level in bars]
    if len(levels) == 1:
        said = words[levels[0]]
    else:
        said = ", ".join(f"{words[level]} {span(bars.count(level) * BAR_S)}" for level in levels if level != OK)
    return _("Last %(span)s: %(said)s") % {"span": span(BARS * BAR_S), "said": said}


def contexts(arguments: Sequence[str]) -> dict[str, Context | None]:
    found = strips()
    known = {argument: found.get(int(argument)) if argument.isdecimal() else None for argument in arguments}
    return {argument: {"strip": strip} if strip else None for argument, strip in known.items()}


add(
    Fragment(
        name="strip", template="overview/_strip.html", contexts=contexts, topics=("service:{}",), every_s=10, kept=True
    )
)
