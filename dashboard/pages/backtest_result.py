"""One backtest: how far it is, what it came to, when each series was bad, and what a playbook would have done."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from dashboard.pages.answers import conflict, person
from dashboard.pages.backtest import FURTHER
from dashboard.pages.words import expected, fact_word, number, said, span, verb_word
from remediation.backtest import job
from remediation.backtest.outcome import SIMULATED
from remediation.exceptions import HomeostatError
from remediation.history import history
from remediation.models import Backtest

LANES = 24
"""Series that are drawn; the tables tell of the others."""
WIDTH = 1000.0
"""Units across a lane, and the least that is visible of them."""
THINNEST = 2.0

TONES = {
    "over": "ok",
    "still_there": "firing",
    "inconclusive": "unknown",
    "self_recovered": "ok",
    "expired": "pending",
    "held": "frozen",
    "waiting": "pending",
    "impossible": "off",
}


@require_GET
def result(request: HttpRequest, pk: int) -> HttpResponse:
    row = _found(pk)
    context: dict[str, Any] = {"page": "rules", "row": row, "rule": row.rule, "changes": _changes(row)}
    if row.result:
        wanted = request.GET.get("series", "")
        context |= _shown(row.result, wanted) | _near(row.result, wanted, request.GET.get("near", ""))
    return render(request, "backtest/result.html", context)


def _found(pk: int) -> Backtest:
    return get_object_or_404(Backtest.objects.select_related("rule__source", "rule__service", "playbook"), pk=pk)


def _changes(row: Backtest) -> list[tuple[str, str, str]]:
    """What differs from the saved rule: name, saved, tried."""
    found: list[tuple[str, str, str]] = []
    saved = row.rule.body()
    for name, value in row.changes.items():
        if name in ("query", "detector"):
            found.append((fact_word(name), saved[name], value))
            continue
        if name in FURTHER:
            found.append((fact_word(name), _("as saved"), _("as edited")))
            continue
        if name != "params":
            found.append((fact_word(name.removesuffix("_s")), span(saved[name]), span(value)))
            continue
        for param in sorted(saved["params"].keys() | value.keys()):
            before, after = saved["params"].get(param, _("default")), value.get(param, _("default"))
            if before != after:
                found.append((param, str(before), str(after)))
    return found


@require_GET
def progress(request: HttpRequest, pk: int) -> JsonResponse:
    """Polled while the page waits."""
    row = get_object_or_404(Backtest.objects.defer("result"), pk=pk)
    job.look_after(row, now=timezone.now())
    return JsonResponse({"state": row.state, "live": row.live, "progress": row.progress, "error": row.error})


@require_POST
@permission_required("remediation.operate", raise_exception=True)
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    row = _found(pk)
    if not job.cancel(row, by=person(request).username, now=timezone.now()):
        return conflict(request, message=_("It was over already."), back=f"/backtests/{pk}/")
    return redirect("backtest-result", pk=pk)


@require_GET
def series(request: HttpRequest, pk: int, name: str) -> JsonResponse:
    """One series with its band, and what the backtest says happened to it."""
    row = _found(pk)
    start, end = _range(request, row)
    answer: dict[str, Any] = {"open": False, "now": timezone.now().timestamp(), "markers": _markers(row, name)}
    try:
        found = history(row.as_rule(), fingerprint=name, start=start, end=end, points=800)
    except HomeostatError as error:
        return JsonResponse(answer | {"error": str(error), "times": []})
    told = {"times": found.times, "values": found.values, "lower": found.lower, "upper": found.upper}
    return JsonResponse(answer | told | {"note": _(found.note)})


def _range(request: HttpRequest, row: Backtest) -> tuple[float, float]:
    """What the chart asks for, inside what was backtested."""
    first, last = row.start.timestamp(), row.end.timestamp()
    try:
        start, end = float(request.GET.get("start") or first), float(request.GET.get("end") or last)
    except ValueError:
        raise BadRequest("start and end are seconds since the epoch") from None
    start, end = max(start, first), min(end, last)
    return (start, end) if end - start >= 1 else (first, last)


def _markers(row: Backtest, name: str) -> list[dict[str, Any]]:
    told = row.result or {}
    found: list[dict[str, Any]] = []
    for one in told.get("episodes", []):
        if one["fingerprint"] != name or one["firing_at"] is None:
            continue
        found.append({"at": one["firing_at"], "tone": "firing", "text": _("would have fired")})
        if one["ended_at"] is not None:
            found.append({"at": one["ended_at"], "tone": "ok", "text": _("would have been over")})
    for one in (told.get("simulated") or {}).get("actions", []):
        if one["fingerprint"] == name and one["effect_at"] is not None:
            text = _simulated(one)
            found.append({"at": one["effect_at"], "tone": "repairing", "text": text})
    return sorted(found, key=lambda mark: mark["at"])


def _simulated(action: dict[str, Any]) -> str:
    return f"{verb_word(action['verb'])} {', '.join(action['targets'])} ({_('simulated')})"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A stretch on a lane. kind: firing, pending, unknown, or action. Texts, as SVG wants them."""

    kind: str
    x: str
    width: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Lane:
    fingerprint: str
    labels: dict[str, str]
    fired: int
    firing: str
    bars: list[Bar]
    chosen: bool


def _shown(told: dict[str, Any], wanted: str) -> dict[str, Any]:
    sums = told["sums"]
    names = [one["fingerprint"] for one in sums]
    chosen = wanted if wanted in names else (names[0] if names else "")
    simulated = told["simulated"]
    by_series = defaultdict(list)
    for action in simulated["actions"] if simulated else []:
        by_series[action["fingerprint"]].append(action)
    common = _common([one["labels"] for one in sums])
    return {
        "told": told,
        "chosen": chosen,
        "chosen_labels": next((one["labels"] for one in sums if one["fingerprint"] == chosen), {}),
        "lanes": [_lane(one, told, by_series, chosen, common) for one in sums[:LANES]],
        "episodes": [_episode(one, told, by_series, common) for one in reversed(told["episodes"])],
        "simulated": simulated,
        "actions": [_action(one) for one in reversed(simulated["actions"])] if simulated else [],
        "alone_half": span(told["half_within_s"]),
        "alone_most": span(told["most_within_s"]),
    }


def _near(told: dict[str, Any], name: str, at: str) -> dict[str, Any]:
    """The part of the range that the chart shows: all of it, or one episode with its surroundings."""
    for one in told["episodes"]:
        if one["fingerprint"] == name and at and repr(one["pending_at"]) == at:
            around = max(3 * ((one["ended_at"] or told["end"]) - one["pending_at"]), 120.0)
            end = min((one["ended_at"] or told["end"]) + around, told["end"])
            return {"near": True, "shown_from": max(one["pending_at"] - around, told["start"]), "shown_to": end}
    return {"near": False, "shown_from": told["start"], "shown_to": told["end"]}


def _common(labels: list[dict[str, str]]) -> set[str]:
    """Names of the labels that tell no two of these series apart."""
    if len(labels) < 2:
        return set()
    return {name for name, value in labels[0].items() if all(one.get(name) == value for one in labels)}


def _telling(labels: dict[str, str], common: set[str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in common} or labels


def _lane(
    one: dict[str, Any], told: dict[str, Any], actions: dict[str, list[Any]], chosen: str, common: set[str]
) -> Lane:
    name = one["fingerprint"]
    bars: list[Bar] = []
    for episode in told["episodes"]:
        if episode["fingerprint"] == name:
            bars += _bars(episode, told)
    for action in actions.get(name, []):
        if action["effect_at"] is not None:
            bars.append(_bar("action", action["effect_at"], action["effect_at"], told, _simulated(action)))
    return Lane(
        fingerprint=name,
        labels=_telling(one["labels"], common),
        fired=one["fired"],
        firing=span(one["firing_s"]),
        bars=bars,
        chosen=name == chosen,
    )


def _bars(episode: dict[str, Any], told: dict[str, Any]) -> list[Bar]:
    until = episode["ended_at"] or told["end"]
    fired = episode["firing_at"]
    bars = [_bar("pending", episode["pending_at"], fired or until, told, _("pending"))]
    if fired is not None:
        bars.append(_bar("firing", fired, until, told, _("firing for %(time)s") % {"time": span(until - fired)}))
    unknown = [run for run in episode["stretches"] if run["verdict"] == "unknown"]
    return bars + [_bar("unknown", run["start"], run["end"], told, _("unknown")) for run in unknown]


def _bar(kind: str, start: float, end: float, told: dict[str, Any], title: str) -> Bar:
    scale = WIDTH / max(told["end"] - told["start"], 1e-9)
    width = max((end - start) * scale, 2.5 * THINNEST if kind == "action" else THINNEST)
    x = min((start - told["start"]) * scale, WIDTH - width)
    return Bar(kind=kind, x=f"{max(x, 0):.2f}", width=f"{width:.2f}", title=title)


def _episode(
    one: dict[str, Any], told: dict[str, Any], actions: dict[str, list[Any]], common: set[str]
) -> dict[str, Any]:
    until = one["ended_at"] or told["end"]
    mine = [
        action
        for action in actions.get(one["fingerprint"], [])
        if one["pending_at"] <= action["planned_at"] <= until and one["firing_at"] is not None
    ]
    return one | {
        "state": "firing" if one["firing_at"] is not None else "pending",
        "shown": _telling(one["labels"], common),
        "began": _moment(one["pending_at"]),
        "ended": _moment(one["ended_at"]),
        "after": span(one["firing_at"] - one["pending_at"]) if one["firing_at"] is not None else "",
        "lasted": span(until - (one["firing_at"] if one["firing_at"] is not None else one["pending_at"])),
        "unknown": span(one["unknown_s"]) if one["unknown_s"] else "",
        "values": _values(one),
        "actions": [_action(action) for action in mine],
    }


def _values(one: dict[str, Any]) -> str:
    low, high = one["low"], one["high"]
    return number(low) if low == high else expected(low, high)


def _action(one: dict[str, Any]) -> dict[str, Any]:
    holds = [hold | {"lasted": span(hold["end"] - hold["start"])} for hold in one["holds"]]
    return one | {
        "tone": TONES.get(one["outcome"], "unknown"),
        "word": verb_word(one["verb"]),
        "said": one["reason"] if one["outcome"] == "impossible" else said(SIMULATED.get(one["outcome"], one["reason"])),
        "planned": _moment(one["planned_at"]),
        "effect": _moment(one["effect_at"]),
        "waited": _waited(one),
        "holds": holds,
    }


def _waited(one: dict[str, Any]) -> str:
    """From the plan to the effect, where that is worth a word."""
    waited = (one["effect_at"] or 0.0) - one["planned_at"]
    return span(waited) if waited >= 1 else ""


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
