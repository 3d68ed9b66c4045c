"""Targets that hang, refuse, cut the answer off, or do as they are told in vain."""

from __future__ import annotations

from dashboard.ports import free_port
from tests.faults.stage import Stage
from tests.faults.waiting import eventually, expect, stays


def target_hangs_or_refuses(stage: Stage) -> int:
    """Fails fast, or is unknown and settled by asking the target; what may have been done is not done again."""
    nowhere = f"http://127.0.0.1:{free_port()}/repair"
    refuses = stage.case(url=nowhere, max_attempts=2)
    silent = stage.case(max_attempts=1)
    done = {mode: stage.case(max_attempts=2) for mode in ("drops", "hangs")}
    stage.seen_well(refuses, silent, *done.values())
    refuses.breaks()
    silent.breaks("hangs before")
    for mode, case in done.items():
        case.breaks(mode)
    for mode, case in done.items():
        case.await_verified()
        expect(f"{mode}: its answer was lost", len(case.passed("unknown")) == 1)
        expect(f"{mode}: {len(case.effects())} effects", len(case.effects()) == 1)
    for case in (refuses, silent):
        eventually("a person is asked", lambda: case.incidents()[0].needs_person)  # noqa: B023 - asked at once
        expect(f"{case.states()}", set(case.states()) == {"failed"})
        expect("nothing was done", not case.effects())
    # What certainly never started is tried once more; each time somebody had to ask.
    expect("what was never answered was unknown first", len(silent.passed("unknown")) == len(silent.states()) == 2)
    return 4


def effect_in_vain(stage: Stage) -> int:
    """It succeeds, and the metric stays bad: the next rung, then a person, and no loop."""
    case = stage.case(steps=2, max_attempts=1, verify_within_s=3)
    stage.seen_well(case)
    case.breaks("futile")
    eventually("a person is asked", lambda: case.incidents() and case.incidents()[0].needs_person, within_s=90)
    expect(f"{case.states()}", case.states() == ["ineffective", "ineffective"])
    stays("it ends there", lambda: len(case.effects()) == 2, for_s=5)
    return 1
