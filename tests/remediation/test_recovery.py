"""The proof: fresh samples from after the effect, several in a row; no samples is never verified."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.states import RemediationState as R
from remediation.states import Verdict
from remediation.verify.recovery import GRACE_S, Look, judge

EFFECT_AT = 1000.0
LATE = 1060.0 + GRACE_S


def look(second: float, verdict: Verdict | str, *, reach_s: float = 5.0, sample: bool = True) -> dict[str, object]:
    """A look so many seconds after the effect."""
    seen = Look(
        at=EFFECT_AT + second,
        verdict=Verdict(verdict),
        value=1.0,
        sample_at=EFFECT_AT + second if sample else None,
        reach_s=reach_s,
        reason="",
    )
    return seen.as_row(effect_at=EFFECT_AT)


@pytest.mark.parametrize(
    ("looks", "now", "state"),
    [
        ([], 1001.0, None),
        ([], LATE, R.INCONCLUSIVE),
        ([look(6, "ok"), look(7, "ok")], 1007.0, None),
        ([look(6, "ok"), look(7, "ok"), look(8, "ok")], 1008.0, R.VERIFIED),
        ([look(1, "ok"), look(2, "ok"), look(3, "ok")], 1003.0, None),  # they rest on what was before the effect
        ([look(6, "ok"), look(6, "ok"), look(6, "ok")], 1008.0, None),  # one sample, looked at three times
        ([look(6, "ok"), look(7, "bad"), look(8, "ok"), look(9, "ok")], 1009.0, None),
        ([look(6, "ok"), look(7, "unknown"), look(8, "ok"), look(9, "ok")], 1009.0, None),
        # Bad between two good ones, while the oldest of what was asked (a slow further query) has no newer sample.
        ([look(6, "ok"), look(7, "ok"), look(7, "bad"), look(8, "ok")], 1009.0, None),
        ([look(6, "ok"), look(7, "bad"), look(7, "bad"), look(7, "ok"), look(8, "ok"), look(9, "ok")], 1009.0, None),
        ([look(6, "bad"), look(60, "bad")], LATE, R.INEFFECTIVE),
        ([look(6, "bad"), look(60, "unknown")], LATE, R.INCONCLUSIVE),
        ([look(6, "unknown", sample=False)] * 3, LATE, R.INCONCLUSIVE),
        ([look(59, "ok"), look(60, "ok")], LATE, R.INCONCLUSIVE),
        ([look(6, "bad"), look(58, "ok"), look(59, "ok"), look(60, "ok")], LATE, R.VERIFIED),
    ],
)
def test_looks_come_to(looks: list[dict[str, object]], now: float, state: R | None) -> None:
    assert judge(looks, needed=3, deadline=1060.0, now=now).state == state


def scored(second: float, score: float, verdict: str = "bad") -> dict[str, object]:
    return look(second, verdict) | {"score": score}


@pytest.mark.parametrize(
    ("before", "scores", "state"),
    [
        (1.5, [3.0, 3.0, 3.0], R.WORSENED),
        (1.5, [3.0, 3.0], None),
        (1.5, [3.0, 2.9, 3.0, 3.0], None),
        (1.5, [-3.0, -3.0, -3.0], None),  # on the other side it is another fault
        (-1.5, [-3.0, -4.0, -5.0], R.WORSENED),
        (None, [9.0, 9.0, 9.0], None),
        (0.0, [9.0, 9.0, 9.0], None),
    ],
)
def test_much_worse_several_times_in_a_row_is_worsened(
    before: float | None, scores: list[float], state: R | None
) -> None:
    rows = [scored(6 + number, score) for number, score in enumerate(scores)]
    assert judge(rows, needed=3, deadline=1060.0, now=1010.0, score_before=before).state == state


def test_worse_samples_from_before_the_effect_do_not_count() -> None:
    rows = [scored(number, 9.0) for number in range(4)]
    assert judge(rows, needed=3, deadline=1060.0, now=1010.0, score_before=1.0).state is None


@pytest.mark.parametrize(
    ("own", "others", "verdict"),
    [
        ("ok", [], "ok"),
        ("ok", ["ok", "ok"], "ok"),
        ("ok", ["unknown", "bad"], "bad"),
        ("ok", ["ok", "unknown"], "unknown"),
        ("bad", ["unknown"], "bad"),
        ("unknown", ["ok"], "unknown"),
    ],
)
def test_looks_joined_are_as_good_as_the_worst_and_as_old_as_the_oldest(
    own: str, others: list[str], verdict: str
) -> None:
    made = [
        Look(at=9.0, verdict=Verdict(one), value=1.0, sample_at=5.0 - number, reach_s=float(number), reason=one)
        for number, one in enumerate([own, *others])
    ]
    joined = made[0].joined_by(made[1:])
    assert (joined.verdict, joined.sample_at, joined.reach_s) == (verdict, 5.0 - len(others), float(len(others)))
    assert joined.reason == verdict


LOOKS = st.lists(
    st.builds(
        look,
        st.floats(-30, 90),
        st.sampled_from(list(Verdict)),
        reach_s=st.floats(0, 30),
        sample=st.booleans(),
    ),
    max_size=30,
)


@given(LOOKS, st.integers(1, 5), st.floats(1000, 1200))
def test_verified_always_rests_on_that_many_good_fresh_samples(
    looks: list[dict[str, object]], needed: int, now: float
) -> None:
    judgement = judge(looks, needed=needed, deadline=1060.0, now=now)
    fresh_good = {row["sample_at"] for row in looks if row["counts"] and row["verdict"] == Verdict.OK}
    if judgement.state == R.VERIFIED:
        assert len(fresh_good) >= needed
    if not fresh_good:
        assert judgement.state != R.VERIFIED


@given(LOOKS, st.floats(1000, 1200))
def test_it_is_always_over_after_the_deadline(looks: list[dict[str, object]], now: float) -> None:
    judgement = judge(looks, needed=3, deadline=1060.0, now=now)
    assert (judgement.state is not None) or now < LATE
