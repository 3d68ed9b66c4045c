"""Real Celery worker and beat, as `make demo` starts them, and when the verdicts of their rules arrive.

A verdict is late by the time from the beginning of its slot until it is in the database, where it is looked for
many times a second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from bench.evaluate.outcome import Outcome
from bench.tables import percentile
from dashboard.processes import Family

COLUMNS = ("slots", "missed", "p50 ms", "p99 ms", "max ms")
"""Of what `row_of` says."""


def start_workers(family: Family) -> None:
    """The worker that evaluates, and beat."""
    from dashboard import up

    children = up.homeostat_children(up.Installation.from_settings())
    family.start_together([replace(one, quiet=True) for one in children if one.name in ("evaluate", "beat")])


@dataclass
class Watch:
    """When the verdict of each (rule, slot) was first seen."""

    rules: dict[int, Any]
    look_every_s: float = 0.05
    seen: dict[tuple[int, int], float] = field(default_factory=dict)

    def look_for(self, seconds: float) -> tuple[float, float]:
        """Look until then; the stretch of time that was watched."""
        began = time.time()
        while time.time() - began < seconds:
            self._look()
            time.sleep(self.look_every_s)
        return began, time.time()

    def _look(self) -> None:
        from remediation.models import RuleStatus

        rows = RuleStatus.objects.filter(running_until=None)
        for pk, at in rows.values_list("rule_id", "evaluated_at"):
            if at is not None and pk in self.rules:
                self.seen.setdefault((pk, self.rules[pk].slot(at.timestamp())), time.time())

    def delays(self, began: float, ended: float) -> tuple[list[float], int]:
        """Seconds of each verdict whose slot began and ended in this time, and how many slots had none by its end."""
        found: list[float] = []
        missed = 0
        for pk, rule in self.rules.items():
            slot = rule.slot(began) + 1
            while (at := slot * rule.period_s + rule.offset_s) < ended - rule.period_s:
                seen = self.seen.get((pk, slot))
                found += [seen - at] if seen else []
                missed += seen is None
                slot += 1
        return found, missed


def row_of(what: str, watch: Watch, stretch: tuple[float, float], outcome: Outcome) -> list[str]:
    delays, missed = watch.delays(*stretch)
    if not delays:
        outcome.wrong.append(f"no rule was evaluated while {what}")
        return [what, str(missed), str(missed), "", "", ""]
    cells = [f"{percentile(delays, share) * 1000:.0f}" for share in (0.5, 0.99, 1.0)]
    return [what, str(len(delays) + missed), str(missed), *cells]
