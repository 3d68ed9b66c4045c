"""Which rung comes next: what counts as an attempt, and what does not."""

from __future__ import annotations

import pytest

from remediation.decide.ladder import Rung, Stop, next_rung
from remediation.models import Playbook, Remediation, Step
from remediation.states import RemediationState as R


def ladder(*, attempts: int) -> list[Step]:
    playbook = Playbook(name="Ladder")
    verbs = ("restart", "scale", "failover")
    return [
        Step(playbook=playbook, position=number, verb=verb, max_attempts=attempts)
        for number, verb in enumerate(verbs, start=1)
    ]


def past(*ends: tuple[int, R]) -> list[Remediation]:
    return [
        Remediation(pk=number, position=position, attempt=1, verb="restart", state=state, reason="r")
        for number, (position, state) in enumerate(ends, start=1)
    ]


def found(attempts: int, *ends: tuple[int, R]) -> int | str:
    """The position of the next rung, or why there is none."""
    after = next_rung(ladder(attempts=attempts), past(*ends), bad_again=True)
    if isinstance(after, Rung):
        return after.step.position
    assert isinstance(after, Stop)
    return "person" if after.person else "wait"


@pytest.mark.parametrize(
    ("attempts", "ends", "expected"),
    [
        (1, [], 1),
        (1, [(1, R.INEFFECTIVE)], 2),
        (2, [(1, R.INEFFECTIVE)], 1),
        (2, [(1, R.INEFFECTIVE), (1, R.INEFFECTIVE)], 2),
        (1, [(1, R.FAILED)], 1),  # it was never touched: once more
        (1, [(1, R.FAILED), (1, R.FAILED)], 2),
        (1, [(1, R.INEFFECTIVE), (2, R.INEFFECTIVE), (3, R.INEFFECTIVE)], "person"),
        (1, [(1, R.WORSENED)], "person"),
        (1, [(1, R.ROLLED_BACK)], "person"),
        (1, [(1, R.INCONCLUSIVE)], "person"),
        (1, [(1, R.EXPIRED)], "person"),
        (1, [(1, R.VERIFIED)], 2),
        (2, [(1, R.VERIFIED)], 1),
    ],
)
def test_ladder(attempts: int, ends: list[tuple[int, R]], expected: int | str) -> None:
    assert found(attempts, *ends) == expected


@pytest.mark.parametrize("nothing", [R.SUPERSEDED, R.SELF_RECOVERED])
def test_plan_that_came_to_nothing_is_no_attempt(nothing: R) -> None:
    """A riskier step must not come sooner because a target had another pid."""
    assert found(2, (1, nothing), (1, R.INEFFECTIVE)) == 1
    assert found(2, (1, nothing), (1, R.INEFFECTIVE), (1, R.INEFFECTIVE)) == 2
    assert found(1, (1, nothing), (1, R.FAILED)) == 1
    assert found(1, (1, nothing), (1, nothing), (1, nothing)) == "person"
