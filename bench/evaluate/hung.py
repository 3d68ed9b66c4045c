"""What a source that hangs costs the rules of another: slots missed, and how late their verdicts are.

Real Celery worker and beat, as `make demo` starts them. One source is a Prometheus, the other accepts connections and
never answers. A verdict is late by the time from the beginning of its slot until it is in the database, where it is
looked for 20 times a second.
"""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from bench.evaluate import home as homes
from bench.evaluate.exporter import METRIC
from bench.evaluate.outcome import Outcome
from bench.evaluate.server import Exported, Server
from bench.tables import percentile, print_table

INTERVAL_S = 5.0
SERIES = 3
LOOK_S = 0.05
GRACE_S = INTERVAL_S
"""A verdict that comes within this after its slot's end still counts as late, not as missed."""


class Hole:
    """A server that takes every connection and says nothing."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.held: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            self.held.append(self.listener.accept()[0])


@dataclass
class Watch:
    """When the verdict of each (rule, slot) was first seen."""

    rules: dict[int, Any]
    seen: dict[tuple[int, int], float] = field(default_factory=dict)

    def look_for(self, seconds: float) -> tuple[float, float]:
        """Look until then; the stretch of time that was watched."""
        began = time.time()
        while time.time() - began < seconds:
            self._look()
            time.sleep(LOOK_S)
        return began, time.time()

    def _look(self) -> None:
        from remediation.models import RuleStatus

        rows = RuleStatus.objects.filter(rule__in=self.rules, running_until=None)
        for pk, at in rows.values_list("rule_id", "evaluated_at"):
            if at is not None:
                self.seen.setdefault((pk, self.rules[pk].slot(at.timestamp())), time.time())

    def delays(self, began: float, ended: float) -> tuple[list[float], int]:
        """Seconds of each verdict whose slot began in this time, and how many slots had none."""
        found: list[float] = []
        missed = 0
        for pk, rule in self.rules.items():
            slot = rule.slot(began) + 1
            while (at := slot * rule.period_s + rule.offset_s) < ended - GRACE_S:
                seen = self.seen.get((pk, slot))
                found += [seen - at] if seen else []
                missed += seen is None
                slot += 1
        return found, missed


def measure(*, rules: int, seconds: float, outcome: Outcome) -> None:
    with homes.installation() as (home, family):
        from dashboard import up
        from remediation.models import Rule, Source

        exported = Exported(rules, SERIES)
        server = Server(home / "prometheus", exported.start(family), scrape_s=INTERVAL_S).start(family)
        healthy = homes.make_rules(homes.make_source("healthy", server.url), rules, interval_s=INTERVAL_S)
        hole = homes.make_source("hung", Hole().url, enabled=False)
        hung = homes.make_rules(hole, rules, interval_s=INTERVAL_S, name="Hung")
        server.await_count(f"count({METRIC})", rules * SERIES)
        homes.start_valkey(home, family)
        children = up.homeostat_children(up.Installation.from_settings())
        wanted = [replace(child, quiet=True) for child in children if child.name in ("evaluate", "beat")]
        family.start_together(wanted)
        watch = Watch({rule.pk: rule for rule in Rule.objects.filter(pk__in=healthy)})
        watch.look_for(INTERVAL_S + 3)  # beat reads the rules, the worker loads what it needs
        table = [_row("both answer", watch, watch.look_for(min(seconds, 20)), outcome)]
        Source.objects.filter(pk=hole.pk).update(enabled=True)
        table.append(_row("the other hangs", watch, watch.look_for(seconds), outcome))
        _must_have_hung(hung, outcome)
    header = ["source", "slots", "missed", "p50 ms", "p99 ms", "max ms"]
    title = f"{rules} rules of a source that answers, every {INTERVAL_S:g} s, beside {rules} of one that hangs"
    print_table(title, header, table)


def _row(what: str, watch: Watch, stretch: tuple[float, float], outcome: Outcome) -> list[str]:
    delays, missed = watch.delays(*stretch)
    if not delays:
        outcome.wrong.append(f"no rule was evaluated while {what}")
        return [what, str(missed), str(missed), "", "", ""]
    cells = [f"{percentile(delays, share) * 1000:.0f}" for share in (0.5, 0.99, 1.0)]
    return [what, str(len(delays) + missed), str(missed), *cells]


def _must_have_hung(ids: list[int], outcome: Outcome) -> None:
    """Otherwise nothing was measured: those rules say that their source does not answer."""
    from remediation.models import RuleStatus

    if not RuleStatus.objects.filter(rule__in=ids).exclude(error="").exists():
        outcome.wrong.append("the source that hangs was never asked")
    if wrong := RuleStatus.objects.exclude(rule__in=ids).exclude(error="").first():
        outcome.wrong.append(f"rule {wrong.rule.name}: {wrong.error}")
