"""What a source that hangs costs the rules of another: slots missed, and how late their verdicts are.

One source is a Prometheus, the other accepts connections and never answers.
"""

from __future__ import annotations

import socket
import threading

from bench.evaluate import home as homes
from bench.evaluate.exporter import METRIC
from bench.evaluate.outcome import Outcome
from bench.evaluate.server import Exported, Server
from bench.evaluate.watch import COLUMNS, Watch, row_of, start_workers
from bench.tables import print_table

INTERVAL_S = 5.0
SERIES = 3


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


def measure(*, rules: int, seconds: float, outcome: Outcome) -> None:
    with homes.installation() as (home, family):
        from remediation.models import Rule, Source

        exported = Exported(rules, SERIES)
        server = Server(home / "prometheus", exported.start(family), scrape_s=INTERVAL_S).start(family)
        healthy = homes.make_rules(homes.make_source("healthy", server.url), rules, interval_s=INTERVAL_S)
        hole = homes.make_source("hung", Hole().url, enabled=False)
        hung = homes.make_rules(hole, rules, interval_s=INTERVAL_S, name="Hung")
        server.await_count(f"count({METRIC})", rules * SERIES)
        homes.start_valkey(home, family)
        start_workers(family)
        watch = Watch({rule.pk: rule for rule in Rule.objects.filter(pk__in=healthy)})
        watch.look_for(INTERVAL_S + 3)  # beat reads the rules, the worker loads what it needs
        table = [row_of("both answer", watch, watch.look_for(min(seconds, 12)), outcome)]
        Source.objects.filter(pk=hole.pk).update(enabled=True)
        table.append(row_of("the other hangs", watch, watch.look_for(seconds), outcome))
        _must_have_hung(hung, outcome)
    title = f"{rules} rules of a source that answers, every {INTERVAL_S:g} s, beside {rules} of one that hangs"
    print_table(title, ["source", *COLUMNS], table)


def _must_have_hung(ids: list[int], outcome: Outcome) -> None:
    """Otherwise nothing was measured: those rules say that their source does not answer."""
    from remediation.models import RuleStatus

    if not RuleStatus.objects.filter(rule__in=ids).exclude(error="").exists():
        outcome.wrong.append("the source that hangs was never asked")
    if wrong := RuleStatus.objects.exclude(rule__in=ids).exclude(error="").first():
        outcome.wrong.append(f"rule {wrong.rule.name}: {wrong.error}")
