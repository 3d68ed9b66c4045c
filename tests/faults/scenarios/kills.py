"""Processes that are killed, stopped, left dead, or deaf."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

from remediation.models import RuleStatus
from tests.faults.case import Case
from tests.faults.stage import OURS, Stage
from tests.faults.waiting import Unmet, eventually, expect

UNKNOWN_WITHIN_S = 60


def act_worker_killed_at_each_failpoint(stage: Stage) -> int:
    """The one that may be tried again comes last, so that the others are settled without a worker that acts."""
    points = ["effect-done", "reported"]
    stage.random.shuffle(points)
    cases = {point: stage.case(max_attempts=2) for point in [*points, "intent-committed"]}
    for point, case in cases.items():
        stage.processes.start("act", env={"HOMEOSTAT_FAILPOINT": point})
        stage.seen_well(case)
        case.breaks()
        expect(f"the act worker died at {point}", stage.processes["act"].ended(60))
    stage.processes.start("act")
    for point, case in cases.items():
        case.await_verified()
        lost = case.passed("unknown")
        expect(f"{point}: one effect, not {len(case.effects())}", len(case.effects()) == 1)
        expect(f"{point}: unknown {len(lost)} times", len(lost) == (0 if point == "reported" else 1))
        for move in lost:
            row = next(row for row in case.remediations() if row.pk == move.object_id)
            waited = (move.at - (row.effect_started_at or move.at)).total_seconds()
            expect(f"{point}: unknown only after {waited:.0f} s", waited < UNKNOWN_WITHIN_S)
    expect("what did not start is tried again", cases["intent-committed"].states() == ["failed", "verified"])
    return len(cases)


def evaluate_worker_killed_in_the_middle(stage: Stage) -> int:
    cases = [stage.case(max_attempts=2) for _ in range(2)]
    stage.seen_well(*cases)
    for case in cases:
        case.breaks()
        time.sleep(stage.random.uniform(0.2, 2.5))  # another moment of the repair each time
        stage.processes["evaluate"].kill()
        stage.processes.start("evaluate")
        case.await_verified()
    return len(cases)


def act_worker_stopped_during_an_effect(stage: Stage) -> int:
    """SIGTERM, as in a deployment: what is under way is finished and reported, and nothing new begins."""
    under_way, later = stage.case(timeout_s=12), stage.case()
    stage.seen_well(under_way, later)
    under_way.breaks("slow", seconds=5)
    under_way.await_effects()
    stage.processes["act"].signal(signal.SIGTERM)
    later.breaks()
    expect("the act worker ends once its effect has", stage.processes["act"].ended(40))
    expect("nothing was claimed by a worker that ends", not later.effects())
    expect("its report was written", under_way.states()[0] in ("verifying", "verified"))
    stage.processes.start("act")
    under_way.await_verified()
    later.await_verified()
    expect("it was never unknown", not under_way.passed("unknown"))
    return 1


def beat_killed(stage: Stage) -> int:
    """Said within two intervals, and afterwards the present is evaluated and not the past."""
    case = stage.case()
    stage.seen_well(case)
    ann = stage.browser("ann")
    stage.processes["beat"].kill()
    killed_at = time.monotonic()

    def missed() -> bool:
        status, reasons = stage.ready()
        return status == 503 and "beat" in reasons.get("stages", "")

    eventually("/-/ready says that beat is missing", missed, within_s=20)
    eventually("a banner says so", lambda: "beat" in _banner(ann.get("/").text), within_s=20)
    case.breaks()  # nobody rings for its rule
    time.sleep(max(0.0, 12 - (time.monotonic() - killed_at)))  # a backlog of a dozen slots, if there were one
    expect("nothing is evaluated without beat", not case.incidents())
    before = case.rule.slot(time.time())
    stage.processes["beat"].start()
    seen = _slots(case, for_s=6)
    replayed = [slot for slot in seen[1:] if slot < before]
    expect(f"slots of the past were evaluated: {replayed}", not replayed)
    case.await_verified()
    eventually("it is ready again", lambda: stage.ready()[0] == 200, within_s=30)
    return 1


def _banner(page: str) -> str:
    return page.partition("Homeostat itself stands still")[2].partition("</div>")[0]


def _slots(case: Case, *, for_s: float) -> list[int]:
    """The slots of a rule that are taken, in the order in which they are; the first is that of before."""
    seen: list[int] = []
    ends = time.monotonic() + for_s
    while time.monotonic() < ends:
        slot = RuleStatus.objects.get(rule=case.rule).slot
        if slot not in seen[-1:]:
            seen.append(slot)
        time.sleep(0.02)
    return seen


def worker_deaf(stage: Stage) -> int:
    """It lives, is connected, and does nothing: only the canary through its queue can tell."""
    worker = stage.processes["act"]
    worker.signal(signal.SIGSTOP)
    try:
        eventually("the canary is missed", lambda: "worker:act" in stage.ready()[1].get("stages", ""), within_s=30)
    finally:
        worker.signal(signal.SIGCONT)
    eventually("it is ready again", lambda: stage.ready()[0] == 200, within_s=30)
    return 1


def everything_killed_and_started_cold(stage: Stage) -> int:
    cases = [stage.case(max_attempts=2) for _ in range(3)]
    stage.seen_well(*cases)
    for case in cases:
        case.breaks("slow", seconds=1)
    with suppress(Unmet):  # another moment each time
        cases[0].await_effects(within_s=stage.random.choice([1, 2, 20]))
    for name in (*OURS, "valkey"):
        stage.processes[name].kill()
    done = {case.name: len(case.effects()) for case in cases}
    stage.processes.start("valkey")
    stage.processes.start(*OURS)
    for case in cases:
        case.await_verified()
        expect(f"{case.name}: {done[case.name]} and then {len(case.effects())} effects", len(case.effects()) == 1)
    return 1
