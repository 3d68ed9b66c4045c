"""Beat: rings for every rule at the start of its slot. It keeps nothing: slots follow the clock, so two are safe."""

from __future__ import annotations

import logging
import time
from typing import Any

from celery.beat import Scheduler
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from remediation import conf, evaluation
from remediation.doorbell import ring
from remediation.models import Heartbeat, Rule, Source

log = logging.getLogger(__name__)

RELOAD_S = 2.0
"""Seconds after which an edited, added or disabled rule is noticed."""
PULSE_S = 5.0
QUEUES = ("evaluate", "act")
LONGEST_SLEEP_S = 0.5


class SlotScheduler(Scheduler):
    """Replaces Celery's schedule of entries by the slots of the rules."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.rules: dict[int, Rule] = {}
        self.sources: dict[int, Source] = {}
        self.due: dict[tuple[str, int], float] = {}
        self.reload_at = 0.0
        self.ticked_at = 0.0
        self.expected = False
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        self.data: dict[str, Any] = {}

    def tick(self, *_: Any, **__: Any) -> float:
        """Ring for everything that is due; returns the seconds until something may be."""
        now = time.time()
        if now < self.ticked_at:  # the clock was set back: what was due at its old time is due anew
            self.due.clear()
            self.reload_at = 0.0
        self.ticked_at = now
        if now >= self.reload_at:
            self._reload(now)
        due = [key for key, at in self.due.items() if at <= now]
        self._ring_rules([self.rules[pk] for kind, pk in due if kind == "evaluate"], now)
        for key in due:
            if key[0] != "evaluate":
                self._ring(key, now)
        soonest = min(self.due.values(), default=now + LONGEST_SLEEP_S)
        return max(0.001, min(soonest - time.time(), LONGEST_SLEEP_S))

    def _reload(self, now: float) -> None:
        """Read the rules again. A database that is away leaves the ones read before in force."""
        self.reload_at = now + RELOAD_S
        try:
            close_old_connections()
            self.rules = {rule.pk: rule for rule in Rule.objects.filter(enabled=True, source__enabled=True)}
            self.sources = {row.pk: row for row in Source.objects.filter(enabled=True, pull_alerts_s__gt=0)}
            Heartbeat.beat("beat", now=timezone.now(), every_s=RELOAD_S, detail={"rules": len(self.rules)})
            self._expect_workers()
        except DatabaseError as error:
            log.warning("cannot read the rules (%s); going on with the %d known", type(error).__name__, len(self.rules))
        wanted = {("evaluate", pk) for pk in self.rules} | {("pull_alerts", pk) for pk in self.sources}
        wanted |= {("pulse", number) for number in range(len(QUEUES))} | {("sweep", 0)}
        self.due = {key: self.due.get(key, now) for key in wanted}

    def _expect_workers(self) -> None:
        """Once: somebody has to answer each queue, and is missed when nobody ever did."""
        if not self.expected:
            for queue in QUEUES:
                Heartbeat.expect(f"worker:{queue}", now=timezone.now(), every_s=PULSE_S)
            self.expected = True

    def _ring_rules(self, rules: list[Rule], now: float) -> None:
        """One message for those that are due at one source together: they are asked for together."""
        alike: dict[tuple[int, float], list[Rule]] = {}
        for rule in rules:
            self.due["evaluate", rule.pk] = rule.next_slot_at(now)
            alike.setdefault((rule.source_id, rule.period_s), []).append(rule)
        for (_, period_s), group in alike.items():
            for first in range(0, len(group), evaluation.TOGETHER):
                numbers = [rule.pk for rule in group[first : first + evaluation.TOGETHER]]
                # Expires with its slot: after an outage the present is evaluated, not the past.
                ring("evaluate", rule_ids=numbers, expires_s=max(period_s, 5))

    def _ring(self, key: tuple[str, int], now: float) -> None:
        kind, pk = key
        match kind:
            case "pull_alerts":
                source = self.sources[pk]
                self.due[key] = now + source.pull_alerts_s
                ring("pull_alerts", source_id=pk, expires_s=max(source.pull_alerts_s, 5))
            case "pulse":
                self.due[key] = now + PULSE_S
                ring("pulse", on_queue=QUEUES[pk], expires_s=PULSE_S, queue=QUEUES[pk])
            case _:
                self.due[key] = now + conf.SWEEP_S
                ring("sweep", expires_s=max(conf.SWEEP_S, 5))

    def sync(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is open."""
