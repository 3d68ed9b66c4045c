"""How far apart the samples behind a query are, and which spans of a rule are too short for that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation import registry
from remediation.exceptions import ObserveError
from remediation.observe import promql
from remediation.observe.promql import Selector

if TYPE_CHECKING:
    from remediation.rules.doubts import Asked, Client

LOOK_BACK = "15m"
"""Long enough for three samples of what is scraped every five minutes."""
SELECTORS, SERIES = 4, 3
"""How many selectors of a query are looked at, and how many series of each: one per job."""
SLACK = 0.95
"""Scrapes are not evenly spaced to the millisecond."""
TWO_SAMPLES = {"rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear"}
"""Functions that give nothing for a range with a single sample."""


@dataclass(frozen=True, kw_only=True)
class Short:
    """A span that is shorter than the samples allow. field: as in Doubt."""

    field: str
    text: Promise
    remedy: Promise


def too_short(client: Client, asked: Asked, *, now: float) -> Iterator[Short]:
    """Nothing where the distance of samples cannot be told."""
    found = list(islice(_unlike(asked.query), SELECTORS))
    apart = {text: apart_s(client, text, now=now) for text in {text for text, _selector in found}}
    for text, selector in found:
        yield from _range(asked.query, selector, apart[text])
    fastest = min((min(times) for times in apart.values() if times), default=0.0)
    spans = [
        (
            "interval_s",
            asked.interval_s,
            _("The rule is evaluated every {span}, but a new sample comes only every {apart}."),
        )
    ]
    window_s, step_s = asked.detector.window_s(asked.params), asked.detector.step_s(asked.params)
    spans.append(
        (
            _field(asked.params, "window_s"),
            window_s,
            _("The detector looks back {span}, but a new sample comes only every {apart}."),
        )
    )
    spans.append(
        (
            _field(asked.params, "step_s"),
            step_s,
            _("The points it looks at lie {span} apart, but a new sample comes only every {apart}."),
        )
    )
    for field, span, words in spans:
        if 0 < span < fastest * SLACK:
            yield Short(
                field=field,
                text=format_lazy(words, span=_s(span), apart=_s(fastest)),
                remedy=format_lazy(_("Take {span} or longer."), span=_s(fastest)),
            )


def few_points(params: registry.Params) -> Iterator[Short]:
    """A detector that learns, given less history than it asks for, would never judge: no source can mend that."""
    given = params.model_dump()
    least, step = given.get("minimum_points", given.get("warm_up_points")), given.get("step_s")
    span = next((name for name in ("window_s", "history_s") if name in given), "")
    if not least or not step or not span:
        return
    recent = given.get("recent_s") or 0.0
    parts = {span: given[span] - (given.get("skip_s") or 0.0) - recent} | ({"recent_s": recent} if recent else {})
    for name, seconds in parts.items():
        points = max(int(seconds / step + 1e-9), 0)
        if points < least:
            said = _("That holds {points} points, {step} apart; the detector judges nothing with fewer than {least}.")
            longer = _s(_shortest(least, given, name, recent))
            yield Short(
                field=f"params.{name}",
                text=format_lazy(said, points=points, step=_s(step), least=least),
                remedy=format_lazy(_("Take {span} or longer, or a shorter step."), span=longer),
            )


def _shortest(least: int, given: dict[str, float], name: str, recent: float) -> float:
    """The shortest span of this name that holds `least` points."""
    needed = least * given["step_s"]
    return needed if name == "recent_s" else needed + recent + (given.get("skip_s") or 0.0)


def apart_s(client: Client, selector: str, *, now: float) -> list[float]:
    """Seconds between samples of what a selector matches, one figure per job; empty where that cannot be told."""
    try:
        answer = client.instant(f"topk by (job) (1, last_over_time({selector}[{LOOK_BACK}]))", at=now)
        found = [_of_series(client, dict(one.labels), now=now) for one in answer.series[:SERIES]]
    except ObserveError:
        return []
    return [seconds for seconds in found if seconds]


def _of_series(client: Client, labels: dict[str, str], *, now: float) -> float:
    wanted = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    raw = client.instant(f"{{{wanted}}}[{LOOK_BACK}]", at=now)
    times = [one.times for one in raw.series if len(one.times) > 1]
    return float(np.median(np.diff(times[0]))) if times else 0.0


def _unlike(query: str) -> Iterator[tuple[str, Selector]]:
    """The selectors of a query with their text, without those that are there twice."""
    seen = set()
    for selector in promql.selectors(query):
        text = query[selector.start : selector.end]
        if (text, selector.range_s, selector.inside) not in seen:
            seen.add((text, selector.range_s, selector.inside))
            yield text, selector


def _range(query: str, selector: Selector, apart: list[float]) -> Iterator[Short]:
    if selector.range_s is None or not apart:
        return
    slowest = max(apart)
    needed = slowest * (2 if selector.inside in TWO_SAMPLES else 1)
    if selector.range_s < needed * SLACK:
        said = _("The range [{span}] is too short for samples that are {apart} apart: it may hold none.")
        if selector.inside in TWO_SAMPLES:
            said = _(
                "The range [{span}] is too short for samples that are {apart} apart: {function}() needs two of them."
            )
        text = format_lazy(said, span=_s(selector.range_s), apart=_s(slowest), function=selector.inside)
        remedy = format_lazy(_("Take [{span}] or longer."), span=_s(4 * slowest))
        yield Short(field="query", text=text, remedy=remedy)


def _field(params: registry.Params, name: str) -> str:
    return f"params.{name}" if name in type(params).model_fields else "params"


def _s(seconds: float) -> str:
    rounded = round(seconds, 1) if seconds < 10 else round(seconds)
    return f"{rounded:g}s"
