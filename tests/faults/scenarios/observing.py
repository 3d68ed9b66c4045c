"""A Prometheus that is down, slow, wrong or empty, and samples that say nothing."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from remediation.models import RuleStatus, SeriesState
from remediation.states import Verdict
from tests.faults.case import Case
from tests.faults.proxy import MODES
from tests.faults.stage import Stage
from tests.faults.waiting import eventually, expect

ON_SCHEDULE_S = 8.0
"""How long ago another source's rule, which is due every second, may have been evaluated on a busy machine."""
MORE_MEMORY = 150 * 1024 * 1024


def prometheus_misbehaves(stage: Stage) -> int:
    """In every way: unknown, nothing opened, ended or done; others on schedule; memory bounded."""
    blind, asking, other = _watched(stage, proxied=True)
    before = _memory(stage)
    modes = [mode for mode in MODES if mode != "pass"]
    stage.random.shuffle(modes)
    for mode in modes:
        stage.proxy.set(mode)
        _unknown(stage, mode, blind, asking)
        blind.shop(up=0.0)  # what happens meanwhile is not seen
        for _ in range(10):
            age = time.time() - _evaluated_at(other)
            expect(f"{mode}: the rule of another source was last evaluated {age:.1f} s ago", age < ON_SCHEDULE_S)
            time.sleep(0.15)
        _nothing_happened(mode, blind, asking)
        blind.heals()
        # Else it is told, truthfully, of the sample from before.
        eventually("Prometheus has scraped that it is well again", lambda: stage.prometheus(blind.rule.query) == 1.0)
        stage.proxy.set("pass")
        eventually(f"{mode}: both are known again", lambda: _known(blind, asking), within_s=40)
    grown = _memory(stage) - before
    expect(f"the evaluate worker grew by {grown >> 20} MiB", grown < MORE_MEMORY)
    blind.breaks()
    blind.await_verified()
    return len(modes)


def samples_say_nothing(stage: Stage) -> int:
    """NaN, infinities, a series that is gone, and a Prometheus that lost everything."""
    blind, asking, _ = _watched(stage)
    values = [float("nan"), float("inf"), float("-inf"), None]
    stage.random.shuffle(values)
    for value in values:
        for case in (blind, asking):
            case.shop(up=value)
        _unknown(stage, str(value), blind, asking)
        _nothing_happened(str(value), blind, asking)
        blind.heals()
        asking.breaks()
        eventually(f"{value}: both are known again", lambda: _known(blind, asking), within_s=40)
    prometheus = stage.processes["prometheus"]
    prometheus.kill()
    shutil.rmtree(stage.home / "tsdb")
    _unknown(stage, "down", blind, asking)
    prometheus.start()
    eventually("both are known again", lambda: _known(blind, asking), within_s=60)
    _nothing_happened("an empty Prometheus", blind, asking)
    return len(values) + 1


def _watched(stage: Stage, *, proxied: bool = False) -> tuple[Case, Case, Case]:
    """One that is well and would be repaired at once, one that awaits approval, and one of another source."""
    source = stage.source(proxied=proxied)
    blind, asking, other = stage.case(source), stage.case(source, autonomy="approve"), stage.case()
    stage.seen_well(blind, asking, other)
    asking.breaks()
    asking.await_state("awaiting_approval")
    return blind, asking, other


def _unknown(stage: Stage, what: str, *cases: Case) -> None:
    wanted = [case.rule.pk for case in cases]

    def all_unknown() -> bool:
        rows = SeriesState.objects.filter(rule__in=wanted).values_list("verdict", flat=True)
        return set(rows) == {Verdict.UNKNOWN}

    eventually(f"{what}: both are unknown", all_unknown, within_s=40)


def _known(*cases: Case) -> bool:
    rows = SeriesState.objects.filter(rule__in=[case.rule.pk for case in cases])
    return not rows.filter(verdict=Verdict.UNKNOWN).exists()


def _nothing_happened(what: str, blind: Case, asking: Case) -> None:
    expect(f"{what}: an incident was opened", not blind.incidents())
    states = [incident.state for incident in asking.incidents()]
    expect(f"{what}: the open incident is {states}", states == ["firing"])
    expect(f"{what}: what awaits approval is {asking.states()}", asking.states() in ([AWAITS], ["gated"]))
    expect(f"{what}: something was done", not blind.effects() + asking.effects())


AWAITS = "awaiting_approval"


def _evaluated_at(case: Case) -> float:
    at = RuleStatus.objects.get(rule=case.rule).evaluated_at
    return at.timestamp() if at else 0.0


def _memory(stage: Stage) -> int:
    """The most bytes that the evaluate worker ever held."""
    running = stage.processes["evaluate"].running
    assert running is not None
    lines = Path(f"/proc/{running.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
