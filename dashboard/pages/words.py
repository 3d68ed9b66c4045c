"""How states, numbers and spans of time are said. One place, so that every page says them alike."""

from __future__ import annotations

import math

from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_noop as _

NOTHING = "–"  # noqa: RUF001 - the dash that tables use for "none"

VERBS = {
    "restart": _("restart"),
    "scale": _("scale"),
    "failover": _("fail over"),
    "rollback": _("roll back"),
    "drain": _("drain"),
    "run": _("run"),
}
"""How one says what a verb does."""

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
    "ok": _("OK"),
    "bad": _("Bad"),
    "unknown": _("Unknown"),
    "unwatched": _("Not watched"),
    "pending": _("Pending"),
    "firing": _("Firing"),
    "recovering": _("Recovering"),
    "resolved": _("Resolved"),
    "planned": _("Planned"),
    "gated": _("Held by guards"),
    "awaiting_approval": _("Waits for approval"),
    "ready": _("Ready"),
    "executing": _("Executing"),
    "verifying": _("Verifying"),
    "rolling_back": _("Undoing"),
    "verified": _("Verified"),
    "ineffective": _("Ineffective"),
    "worsened": _("Worsened"),
    "inconclusive": _("Inconclusive"),
    "rolled_back": _("Undone"),
    "shadowed": _("Shadow"),
    "self_recovered": _("Recovered by itself"),
    "rejected": _("Rejected"),
    "expired": _("Expired"),
    "superseded": _("Superseded"),
    "cancelled": _("Cancelled"),
    "failed": _("Failed"),
    "autonomy shadow": _("Shadow"),
    "autonomy approve": _("Asks first"),
    "autonomy auto": _("Acts alone"),
    "critical": _("Critical"),
    "warning": _("Warning"),
    "info": _("Info"),
    "stalled": _("Stalled"),
    "person": _("Person"),
    "frozen": _("Frozen"),
    "lifted": _("Lifted"),
    "enabled": _("Enabled"),
    "disabled": _("Disabled"),
    "approve": _("Approve"),
    "reject": _("Reject"),
    "repairing": _("Repairing"),
    "acting": _("Acting"),
    "closed": _("Closed"),
    "half_open": _("Half-open"),
    "began": _("Began"),
    "ended": _("Ended"),
    "automation on": _("Automation on"),
    "automation off": _("Automation off"),
    "undo begins": _("Undo begins"),
    "relapsed": _("Relapsed"),
    "healed by itself": _("Healed by itself"),
    "verdict ok": _("Verdict ok"),
    "verdict bad": _("Verdict bad"),
    "verdict unknown": _("Verdict unknown"),
    "known again": _("Known again"),
    "needs a person": _("Needs a person"),
    "decided: nothing": _("Decided: nothing"),
    "decided: held": _("Decided: held"),
    "decided: attached": _("Decided: attached"),
    "decided: shadowed": _("Decided: shadowed"),
    "decided: acted": _("Decided: acted"),
    "decided: open": _("Decided: open"),
    "rule edited": _("Rule edited"),
    "saved_anyway": _("Saved anyway"),
    "taken_over": _("Taken over"),
    "opened": _("Opened"),
    "added": _("Added"),
    "changed": _("Changed"),
    "deleted": _("Deleted"),
    "note": _("Note"),
    "acknowledged": _("Acknowledged"),
    "taken": _("Taken"),
    "prolonged": _("Prolonged"),
    "handed back": _("Handed back"),
    "asked again": _("Asked again"),
    "refused": _("Refused"),
    "bad password": _("Bad password"),
    "locked": _("Locked"),
    "signed in": _("Signed in"),
}
"""What is said for a state where it stands alone. `open` is said by pgettext: a breaker is not open as a door is."""


def verb_word(verb: str) -> str:
    """What a verb does, in the reader's language; a verb that is not ours by its own name."""
    return gettext(VERBS.get(verb) or verb) if verb else ""


def said(name: str) -> str:
    """A stored name in the reader's language, if names.py knows it; itself otherwise."""
    return gettext(str(name)) if name else ""


def fact_word(name: str) -> str:
    """The name of a stored number or fact: `retry_at` as "retry at"."""
    return said(name.replace("_", " "))


def tone(state: str) -> str:
    return TONES.get(str(state), "unknown")


def state_word(state: str) -> str:
    """A state in the reader's language; one that is not listed by its own name."""
    name = str(state)
    if name == "open":
        return pgettext("breaker", "Open")
    if name in WORDS:
        return gettext(WORDS[name])
    return name.replace("_", " ").capitalize()


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
        return _of_unit(gettext("{n} ms"), f"{seconds * 1000:.0f}") if seconds else _of_unit(gettext("{n} s"), "0")
    if seconds < 100:
        short = f"{seconds:.0f}" if seconds == int(seconds) or seconds >= 10 else f"{seconds:.1f}".removesuffix(".0")
        return _of_unit(gettext("{n} s"), short)
    if seconds < 100 * 60:
        return _of_unit(gettext("{n} min"), f"{seconds / 60:.0f}")
    if seconds < 48 * 3600:
        return _of_unit(gettext("{n} h"), f"{seconds / 3600:.0f}")
    return _of_unit(gettext("{n} d"), f"{seconds / 86400:.0f}")


def _of_unit(said: str, number_: str) -> str:
    return said.replace("{n}", number_)


def ago(age_s: float) -> str:
    """An age in words that do not tick: seconds in tens, then one unit. time.js says it in the same words."""
    if age_s <= -10:
        return gettext("in {time}").replace("{time}", _steps(-age_s))
    return gettext("just now") if age_s < 10 else gettext("{time} ago").replace("{time}", _steps(age_s))


def _steps(seconds: float) -> str:
    if seconds < 60:
        return _of_unit(gettext("{n} s"), str(int(seconds) // 10 * 10))
    if seconds < 3600:
        return _of_unit(gettext("{n} min"), str(int(seconds // 60)))
    if seconds < 2 * 86400:
        return _of_unit(gettext("{n} h"), str(int(seconds // 3600)))
    return _of_unit(gettext("{n} d"), str(int(seconds // 86400)))


def expected(lower: float | None, upper: float | None) -> str:
    """The expected band in words; empty where nothing is known of it."""
    low = lower is not None and math.isfinite(lower)
    high = upper is not None and math.isfinite(upper)
    if low and high:
        if lower == upper:
            return number(lower)
        return gettext("{low} to {high}").replace("{low}", number(lower)).replace("{high}", number(upper))
    if low:
        return gettext("at least {low}").replace("{low}", number(lower))
    return gettext("at most {high}").replace("{high}", number(upper)) if high else ""
