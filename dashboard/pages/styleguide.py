"""The styleguide: every component in every state, in both themes beside each other, so that a change is seen at once.

Where a component is a template of its own, that template is shown, with samples made here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from dashboard.pages import strips
from dashboard.pages.answers import person
from remediation.states import Verdict

THEMES = ("light", "dark")
TONES = ("ok", "pending", "firing", "repairing", "unknown", "frozen", "person", "off", "note")
COLOURS = (
    *("bg", "surface", "sunken", "hover", "line", "line-strong", "field", "text", "muted", "accent", "accent-text"),
    *("ok", "pending", "firing", "repairing", "unknown", "frozen", "off", "person"),
)
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
"""The moment of all samples: the page is the same each time."""


def styleguide(request: HttpRequest) -> HttpResponse:
    if not person(request).is_staff:
        raise PermissionDenied(_("The styleguide is for staff."))
    guides = [
        {"theme": theme, "title": title, **_samples(theme)} for theme, title in zip(THEMES, _titles(), strict=True)
    ]
    return render(request, "styleguide/index.html", {"page": "styleguide", "guides": guides})


def _titles() -> tuple[str, str]:
    return _("Light"), _("Dark")


def _samples(theme: str) -> dict[str, Any]:
    return {
        "tones": TONES,
        "colours": COLOURS,
        "cards": [_card(tone) for tone in TONES[:6]],
        "strip": _strip(),
        "entries": [_entry(theme, number, tone) for number, tone in enumerate(TONES[:7])],
        "ladder": _ladder(),
        "plan": {
            "good": 2,
            "needed": 3,
            "good_needed": 3,
            "dots": [True, True, False],
            "live": True,
            "looks": _looks(),
        },
        "autonomies": ("shadow", "approve", "auto"),
        "series": {"instance": "10.0.0.1:9100", "job": "cart"},
    }


def _card(tone: str) -> dict[str, Any]:
    return {
        "name": "sample",
        "title": _("Cart"),
        "state": tone,
        "because": "" if tone == "ok" else _("0.41 is above 0.05"),
        "waiting": 1 if tone == "pending" else 0,
        "depends_on": [("store", _("Store"), "firing")] if tone == "repairing" else [],
        "dependencies": 2,
        "team": "shop",
    }


def _strip() -> strips.Strip:
    """Stretches of eight bars, each in another state."""
    levels = (strips.OK, strips.BAD, strips.UNKNOWN, strips.UNWATCHED, strips.NONE)
    bars = tuple(levels[at * len(levels) // strips.BARS] for at in range(strips.BARS))
    first = int(AT.timestamp()) // strips.BAR_S
    return replace(strips.strip_of(bars, first, get_language() or ""), summary=_("Sample of a heartbeat strip"))


def _entry(theme: str, number: int, tone: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": f"{theme}-entry-{number}",
        "tone": tone,
        "at": AT + timedelta(seconds=10 * number),
        "title": tone,
        "text": _("What was seen, and why."),
        "actor": "ada" if tone == "person" else "",
    }
    if tone == "pending":
        entry["guards"] = [
            {
                "guard": "cooldown",
                "label": _("Cooldown"),
                "passed": True,
                "reason": _("no effect before"),
                "numbers": {"cooldown_s": 60},
            },
            {
                "guard": "budget",
                "label": _("Budget"),
                "passed": False,
                "reason": _("3 of 3 in the last hour"),
                "numbers": {"used": 3},
            },
        ]
    if tone == "repairing":
        entry["output"] = "app-1: stopped\napp-1: started"
        entry["looks"] = _looks()
    return entry


def _looks() -> list[dict[str, Any]]:
    said = (_("0.41 is above 0.05"), _("no fresh sample"), _("0.01 is at most 0.05"))
    verdicts = (Verdict.BAD, Verdict.UNKNOWN, Verdict.OK)
    return [
        {"verdict": f"verdict {verdict}", "at": AT + timedelta(seconds=number), "said": text, "counts": number > 0}
        for number, (verdict, text) in enumerate(zip(verdicts, said, strict=True))
    ]


def _ladder() -> dict[str, Any]:
    rungs = (
        ("firing", "restart", _("did not help")),
        ("repairing", "scale", _("runs")),
        ("off", "failover", _("next")),
    )
    return {
        "playbook": {"pk": 1, "name": _("Sample"), "__str__": "sample"},
        "autonomy": "approve",
        "person": False,
        "rungs": [
            {"position": at, "tone": tone, "verb": verb, "said": said, "here": tone == "repairing", "attempts": [1]}
            for at, (tone, verb, said) in enumerate(rungs, start=1)
        ],
    }
