"""The table's rows: which fault, by which scenario, on which databases. Numbers are those of the list of faults.

The database matters where a claim is at stake; everything else is played on SQLite only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.scenarios import alerts, kills, observing, people, stores, targets, twice
from tests.faults.stage import Stage

SQLITE, POSTGRESQL = ("sqlite",), ("postgresql",)
BOTH = SQLITE + POSTGRESQL


@dataclass(frozen=True, kw_only=True)
class Fault:
    """play returns how often the fault was injected. disk: it needs a file system of its own."""

    name: str
    text: str
    play: Callable[[Stage], int]
    where: tuple[str, ...] = SQLITE
    disk: bool = False

    def is_one_of(self, chosen: list[str]) -> bool:
        return not chosen or self.name in chosen or self.name.rstrip("abc") in chosen


FAULTS = (
    Fault(
        name="1a",
        text="act worker killed at each failpoint",
        play=kills.act_worker_killed_at_each_failpoint,
        where=BOTH,
    ),
    Fault(name="1b", text="evaluate worker killed", play=kills.evaluate_worker_killed_in_the_middle),
    Fault(name="2", text="SIGTERM during an effect", play=kills.act_worker_stopped_during_an_effect),
    Fault(name="3", text="beat killed", play=kills.beat_killed),
    Fault(name="4", text="two beats, every message ten times", play=twice.two_beats_and_ten_messages, where=BOTH),
    Fault(name="5", text="Valkey killed and restarted", play=stores.valkey_killed_and_restarted),
    Fault(name="6", text="act worker connected but deaf", play=kills.worker_deaf),
    Fault(name="7a", text="SQLite locked for 10 s", play=stores.sqlite_locked),
    Fault(
        name="7b",
        text="PostgreSQL crashed during a claim",
        play=stores.postgresql_restarted_during_a_claim,
        where=POSTGRESQL,
    ),
    Fault(name="8", text="Prometheus misbehaves, in each way", play=observing.prometheus_misbehaves),
    Fault(name="9", text="NaN, series gone, empty TSDB", play=observing.samples_say_nothing),
    Fault(name="11", text="alert sent 100 times, out of order", play=alerts.alert_sent_a_hundred_times, where=BOTH),
    Fault(name="12", text="storm of 1,000 alerts", play=alerts.storm_of_alerts),
    Fault(name="15", text="approved and rejected at once", play=people.approved_and_rejected_at_once, where=BOTH),
    Fault(name="16", text="target hangs, refuses, cuts off", play=targets.target_hangs_or_refuses),
    Fault(name="17", text="succeeds, and the metric stays bad", play=targets.effect_in_vain),
    Fault(name="18", text="kill switch in a series of repairs", play=people.kill_switch_in_a_series, where=BOTH),
    Fault(
        name="19", text="everything killed and started cold", play=kills.everything_killed_and_started_cold, where=BOTH
    ),
    Fault(name="20", text="disk full", play=stores.disk_full, disk=True),
)
