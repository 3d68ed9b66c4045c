"""How states, numbers and spans of time are said. One place, so that every page says them alike."""

from __future__ import annotations

import math

NOTHING = "–"  # noqa: RUF001 - the dash that tables use for "none"

VERBS = {"failover": "fail over"}
"""Verbs whose name is not how one says what is done."""

TONES = {
    "ok": "ok",
    "resolved": "ok",
    "verified": "ok",
    "self_recovered": "ok",
    "enabled": "ok",
    "lifted": "ok",
    "approve": "ok",
    "autonomy shadow": "off",
    "autonomy approve": "person",
    "autonomy auto": "repairing",
    "healed by itself": "ok",
    "person": "person",
    "pending": "pending",
    "planned": "pending",
    "gated": "pending",
    "awaiting_approval": "pending",
    "ready": "pending",
    "recovering": "pending",
    "expired": "pending",
    "warning": "pending",
    "bad": "firing",
    "firing": "firing",
    "failed": "firing",
    "ineffective": "firing",
    "worsened": "firing",
    "rejected": "off",
    "reject": "off",
    "stalled": "firing",
    "critical": "firing",
    "executing": "repairing",
    "verifying": "repairing",
    "rolling_back": "repairing",
    "repairing": "repairing",
    "acting": "repairing",
    "frozen": "frozen",
    "verdict ok": "ok",
    "verdict bad": "firing",
    "known again": "ok",
    "needs a person": "person",
    "decided: nothing": "off",
    "decided: held": "note",
    "decided: attached": "note",
    "decided: shadowed": "off",
    "decided: acted": "note",
    "decided: open": "note",
    "open": "firing",
    "half_open": "pending",
    "closed": "ok",
    "began": "firing",
    "dismissed": "person",
    "ended": "ok",
    "automation on": "ok",
    "automation off": "off",
    "undo begins": "repairing",
    "relapsed": "firing",
    "rule edited": "note",
    "saved_anyway": "pending",
    "taken_over": "note",
    "opened": "person",
    "added": "note",
    "changed": "note",
    "deleted": "off",
    "note": "note",
    "info": "note",
    "acknowledged": "note",
    "taken": "person",
    "prolonged": "person",
    "handed back": "note",
    "asked again": "note",
    "refused": "off",
    "bad password": "pending",
    "locked": "firing",
    "signed in": "ok",
    "disabled": "off",
    "shadowed": "off",
    "superseded": "off",
    "cancelled": "off",
    "rolled_back": "off",
}
"""The shape and colour of every state. What is not listed looks unknown, which is visibly not ok."""

WORDS = {
    "ok": "OK",
    "awaiting_approval": "Waits for approval",
    "gated": "Held by guards",
    "self_recovered": "Recovered by itself",
    "rolling_back": "Undoing",
    "rolled_back": "Undone",
    "verified": "Verified",
    "shadowed": "Shadow",
    "bad": "Bad",
    "autonomy shadow": "Shadow",
    "autonomy approve": "Asks first",
    "autonomy auto": "Acts alone",
}


def verb_word(verb: str) -> str:
    return VERBS.get(verb, verb)


def tone(state: str) -> str:
    return TONES.get(str(state), "unknown")


def state_word(state: str) -> str:
    return WORDS.get(str(state)) or str(state).replace("_", " ").capitalize()


def number(value: float | None) -> str:
    """A measured value, short: four figures, and k, M, G where it is large."""
    if value is None or not isinstance(value, int | float) or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = abs(value)
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            scale = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3}[unit]
            return f"{_figures(value / scale)} {unit}"
    return _figures(value)


def _figures(value: float) -> str:
    if value == int(value) and abs(value) < 1e5:
        return str(int(value))
    return f"{value:.4g}" if 1e-4 <= abs(value) < 1e5 else f"{value:.2e}"


def span(seconds: float | None) -> str:
    """A span of time in its largest unit, as Prometheus writes it: 45 s, 12 min, 3 h, 2 d."""
    if seconds is None or math.isnan(seconds):
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds == int(seconds) or seconds >= 10 else f"{seconds:.1f} s".replace(".0", "")
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} d"


def expected(lower: float | None, upper: float | None) -> str:
    """The expected band in words; empty where nothing is known of it."""
    low = lower is not None and math.isfinite(lower)
    high = upper is not None and math.isfinite(upper)
    if low and high:
        return number(lower) if lower == upper else f"{number(lower)} to {number(upper)}"
    if low:
        return f"at least {number(lower)}"
    return f"at most {number(upper)}" if high else ""
