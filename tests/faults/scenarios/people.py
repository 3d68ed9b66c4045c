"""People who answer in the same instant, and who stop everything."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from remediation.models import Approval, Freeze, Remediation
from tests.acceptance.running import Browser
from tests.faults.case import Case
from tests.faults.stage import Stage
from tests.faults.waiting import eventually, expect, stays

ROUNDS = 3
People = dict[str, Browser]
FROZEN_FOR_S = 6


def approved_and_rejected_at_once(stage: Stage) -> int:
    """One wins, the other is told: 409, and no second answer."""
    people = {"approve": stage.browser("ann"), "reject": stage.browser("ben")}
    for _ in range(ROUNDS):
        case = stage.case(autonomy="approve")
        stage.seen_well(case)
        case.breaks()
        row = case.await_state("awaiting_approval")
        answers = _at_once(people, row)
        expect(f"the answers are {answers}", sorted(answers.values()) == [200, 409])
        won = next(word for word, status in answers.items() if status == 200)
        kept = list(Approval.objects.filter(remediation=row).values_list("answer", flat=True))
        expect(f"{won} won, and what is kept is {kept}", kept == [won])
        if won == "approve":
            case.await_verified()
        else:
            stays("what was rejected is not done", lambda: not case.effects(), for_s=2)  # noqa: B023 - asked at once
    return ROUNDS


def _at_once(people: People, row: Remediation) -> dict[str, int]:
    """The status that each got for the word that they said."""
    together = threading.Barrier(len(people))

    def answer(word: str) -> int:
        together.wait()
        path = f"/approvals/{row.pk}/{word}/"
        return people[word].post(path, digest=row.digest, reason="no").status_code

    with ThreadPoolExecutor(len(people)) as pool:
        return dict(zip(people, pool.map(answer, people), strict=True))


def kill_switch_in_a_series(stage: Stage) -> int:
    """Pressed on the page while one repair follows the other."""
    sources = [stage.source() for _ in range(3)]  # of one source so many at once would be a storm
    cases = [stage.case(source) for source in sources for _ in range(4)]
    stage.seen_well(*cases)
    olga = stage.browser("olga")
    for case in cases:
        case.breaks("slow", seconds=0.7)
    some = stage.random.randint(1, 4)
    eventually("the series has begun", lambda: len(stage.effects(*cases)) >= some, every_s=0.02)
    expect("the kill switch works", olga.post("/freeze/", form="/", reason="stop").status_code == 200)
    frozen = Freeze.objects.latest("pk").at.timestamp()
    left = len(cases) - len([line for line in stage.effects(*cases) if line["at"] <= frozen + 2])
    stays("nothing begins while it is frozen", lambda: _late(stage, cases, frozen) == [], for_s=FROZEN_FOR_S)
    stage.note(f"{left} of {len(cases)} repairs were stopped by the freeze")
    expect("there was something to stop", left)
    expect("it is lifted", olga.post("/unfreeze/", form="/").status_code == 200)
    for case in cases:
        case.await_verified()
    return len(cases)


def _late(stage: Stage, cases: list[Case], frozen: float) -> list[float]:
    return [line["at"] - frozen for line in stage.effects(*cases) if line["at"] > frozen + 2]
