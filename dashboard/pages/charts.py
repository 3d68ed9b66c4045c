"""What a chart shows: the samples of one series with what was expected, its states, and when something happened.

The same for the browser, which draws it from JSON, and for the pictures that go into notifications.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.core.exceptions import BadRequest, ObjectDoesNotExist
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from dashboard.pages import story
from dashboard.pages.sharing import Shared
from dashboard.pages.stretches import Stretch, stretches_of
from dashboard.pages.words import state_word, tone
from remediation import registry
from remediation.exceptions import HomeostatError
from remediation.history import History, history
from remediation.models import Incident, Remediation, Rule, Transition
from remediation.series import Labels

LEAD_IN = (timedelta(minutes=5), timedelta(minutes=30))
"""What came before is shown for as long as it has lasted, but at least and at most this."""
TAIL = timedelta(minutes=2)
LONGEST_S = 31 * 86400
LENGTHS_S = {"900": 900, "3600": 3600, "21600": 21600, "86400": 86400}
"""Ranges with a button, in seconds."""

POINTS = 360
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Seconds between points. Few, so that who asks a moment later asks for the same points."""
LIVE_S = 4.0
"""How long the newest answer is good for everybody; longer where points are further apart."""
OVERLAP = 3
"""Points that a browser is given again: a scrape may have come late."""
MARKERS = 300


@dataclass(frozen=True, kw_only=True)
class Range:
    """Seconds since the epoch. name: what everybody who looks at the same range calls it. live: it ends now."""

    name: str
    start: float
    end: float
    live: bool

    @property
    def step_s(self) -> int:
        wanted = (self.end - self.start) / POINTS
        return next((step for step in STEPS_S if step >= wanted), STEPS_S[-1])


@dataclass(frozen=True, kw_only=True)
class Line:
    """T points of one series, None where there is none. error: why it could not be had."""

    start: float = 0.0
    end: float = 0.0
    step_s: int = 1
    times: Sequence[float] = ()
    values: Sequence[float | None] = ()
    lower: Sequence[float | None] = ()
    upper: Sequence[float | None] = ()
    note: str = ""
    of: int = 1
    """Of how many series that belong together it is the one that was furthest out."""
    error: str | Promise = ""
    again_s: float = LIVE_S
    """When asking again may tell something new."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """From `start` to `end`, in seconds since the epoch; the line ends at the last whole step before the end."""

    start: float
    end: float
    line: Line
    stretches: Sequence[Stretch]
    markers: Sequence[Mapping[str, Any]] = field(default_factory=list)
    of_states: bool = False
    """An alert has no values: its states over time are the chart."""


lines: Shared[Line] = Shared()


# --- which range -----------------------------------------------------------------------------------------------------


def around(incident: Incident, *, now: datetime) -> Range:
    """The incident with what came before it."""
    lasted = incident.until(now) - incident.opened_at
    start = incident.opened_at - min(max(lasted, LEAD_IN[0]), LEAD_IN[1])
    end = min(incident.resolved_at + TAIL, now) if incident.resolved_at else now
    return Range(name="incident", start=start.timestamp(), end=end.timestamp(), live=incident.open)


def asked_range(given: Mapping[str, str], *, now: datetime, incident: Incident | None = None) -> Range:
    """What a browser wants to see: a named range, or any by its start and end. Raises BadRequest."""
    name = given.get("range", "")
    if name == "incident" and incident is not None:
        return around(incident, now=now)
    if name in LENGTHS_S:
        over = incident is not None and incident.resolved_at is not None
        end = min(incident.resolved_at + TAIL, now) if over and incident and incident.resolved_at else now
        return Range(name=name, start=end.timestamp() - LENGTHS_S[name], end=end.timestamp(), live=not over)
    try:
        start, end_s = float(given.get("start", "nan")), float(given.get("end") or now.timestamp())
    except ValueError:
        raise BadRequest("start and end are seconds since the epoch") from None
    if not (math.isfinite(start) and math.isfinite(end_s) and 0 < end_s - start <= LONGEST_S and start >= 0):
        raise BadRequest("start must lie before end, at most 31 days")
    if start > now.timestamp():
        raise BadRequest("start lies in the future")
    return Range(name="", start=start, end=min(end_s, now.timestamp()), live=False)


# --- what is in it ---------------------------------------------------------------------------------------------------


def line_of(rule: Rule, fingerprint: str, wanted: Range, *, labels: Labels | None = None) -> Line:
    """The series in that range. labels: its own, where they are known: then the source is asked for less."""
    ask = partial(history, rule, fingerprint=fingerprint, labels=labels)
    return shared_line(ask, (rule.pk, rule.version, fingerprint), wanted, own_step_s(rule.detector, rule.params))


def shared_line(ask: Callable[..., History], key: tuple[Hashable, ...], wanted: Range, least_step_s: int) -> Line:
    """What `ask` gives for that range. One question, however many ask for the same, which `key` names, within
    seconds."""
    step_s = max(wanted.step_s, least_step_s)
    start, end = math.floor(wanted.start / step_s) * step_s, math.floor(wanted.end / step_s) * step_s
    if end <= start:
        end = start + step_s
    again_s = max(LIVE_S, float(step_s)) if wanted.live else 60.0
    # Whoever looks at what ends now shares the newest answer; any other range is named by its ends.
    which = (wanted.name, start if wanted.name == "incident" else 0, step_s) if wanted.live else (start, end, step_s)
    answer = partial(_ask, ask, start=start, end=end, step_s=step_s, again_s=again_s)
    return lines.get((*key, *which), answer, for_s=again_s)


def own_step_s(name: str, given: dict[str, Any]) -> int:
    """The distance of the points that a detector with these parameters learns from; it can draw its band at no
    other."""
    try:
        detector = registry.detector(name)
        params = detector.parse(given)
        return math.ceil(detector.step_s(params)) if detector.window_s(params) else 1
    except HomeostatError:
        return 1


def _ask(ask: Callable[..., History], *, start: float, end: float, step_s: int, again_s: float) -> Line:
    nothing = Line(start=start, end=end, step_s=step_s, again_s=again_s)
    points = round((end - start) / step_s)
    try:
        found = ask(start=start, end=end, points=points)
    except (HomeostatError, ObjectDoesNotExist) as error:
        return replace(nothing, error=error.args[0] if error.args else type(error).__name__)
    return replace(
        nothing,
        times=list(found.times),
        values=_finite(found.values),
        lower=_finite(found.lower),
        upper=_finite(found.upper),
        note=found.note,
        of=found.of,
    )


def _finite(values: Iterable[float | None]) -> list[float | None]:
    """JSON knows neither NaN nor infinity; the chart leaves a gap for both."""
    return [value if value is not None and math.isfinite(value) else None for value in values]


def is_of_alerts(rule: Rule) -> bool:
    found = registry.detectors().get(rule.detector)
    return found is not None and found.source == "alerts"


def markers_of(rows: Iterable[Transition], wanted: Range) -> list[dict[str, Any]]:
    """When something happened in that range, the newest where there is too much, with words for each."""
    inside = [row for row in rows if wanted.start <= row.at.timestamp() <= wanted.end][-MARKERS:]
    acts = Remediation.objects.in_bulk({row.object_id for row in inside if row.kind == "remediation"})
    return story.markers(inside, acts)


def of_incident(row: Incident, wanted: Range, *, now: datetime) -> Chart:
    rule = row.rule_version.as_rule()
    of_states = is_of_alerts(rule)
    return Chart(
        start=wanted.start,
        end=wanted.end,
        line=Line() if of_states else line_of(rule, row.fingerprint, wanted, labels=row.series_labels),
        stretches=stretches_of(row.rule_id, row.fingerprint, wanted.start, wanted.end, now=now),
        markers=markers_of(row.transitions.all(), wanted),
        of_states=of_states,
    )


# --- as a browser wants it -------------------------------------------------------------------------------------------


def answer(chart: Chart, *, live: bool, now: datetime, after: str = "", step: str = "") -> dict[str, Any]:
    """JSON of a chart. after, step: the newest point a browser has, and how far apart its points are: then only what
    is newer is sent, unless all points changed."""
    line = chart.line
    first = _first_new(line, after, step)
    return {
        "open": live,
        "now": now.timestamp(),
        "start": chart.start,
        "end": chart.end,
        "step": line.step_s,
        "whole": first == 0,
        "again_s": line.again_s,
        "kind": "states" if chart.of_states else "values",
        "times": list(line.times[first:]),
        "values": list(line.values[first:]),
        "lower": list(line.lower[first:]),
        "upper": list(line.upper[first:]),
        "markers": list(chart.markers),
        "stretches": [
            {
                "tone": tone(one.state),
                "word": state_word(one.state),
                "text": one.said,
                "start": one.start,
                "end": one.end,
            }
            for one in chart.stretches
        ],
        "note": _(line.note),
        **({"error": str(line.error)} if line.error else {}),
    }


def _first_new(line: Line, after: str, step: str) -> int:
    """Index of the first point to send."""
    try:
        newest, apart = float(after), float(step)
    except ValueError:
        return 0
    if apart != line.step_s or not line.times or not line.times[0] <= newest:
        return 0
    behind = sum(1 for time in line.times if time <= newest)
    return max(0, min(behind, len(line.times)) - OVERLAP)
