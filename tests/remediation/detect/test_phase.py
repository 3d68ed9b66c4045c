from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.detect.phase import Standing, advance
from remediation.states import Phase, Verdict

OK, BAD, UNKNOWN = Verdict.OK, Verdict.BAD, Verdict.UNKNOWN
P = Phase
START = 1_767_268_800.0
VERDICTS = {"o": OK, "b": BAD, "?": UNKNOWN}

steps = st.lists(st.tuples(st.integers(0, 60), st.sampled_from([OK, BAD, UNKNOWN])), max_size=40)
lengths = st.integers(0, 120)


def run(verdicts: str, *, for_s: float, keep_firing_for_s: float, every: float = 10) -> list[Phase]:
    """The phases after each verdict, ten seconds apart."""
    standing: Standing | None = None
    phases: list[Phase] = []
    for number, letter in enumerate(verdicts):
        now = START + every * number
        standing = advance(standing, VERDICTS[letter], now=now, for_s=for_s, keep_firing_for_s=keep_firing_for_s)
        phases.append(standing.phase)
    return phases


@pytest.mark.parametrize(
    ("verdicts", "for_s", "keep", "last"),
    [
        ("o", 0, 0, P.OK),
        ("?", 0, 0, P.UNKNOWN),
        ("b", 0, 0, P.FIRING),
        ("b", 10, 0, P.PENDING),
        ("bb", 10, 0, P.FIRING),
        ("bb", 11, 0, P.PENDING),
        ("bob", 10, 0, P.PENDING),
        ("bo", 10, 0, P.OK),
        ("b?b", 20, 0, P.PENDING),
        ("b?bb", 20, 0, P.FIRING),
        ("b????", 10, 0, P.PENDING),
        ("??bb", 10, 0, P.FIRING),
        ("bbo", 10, 0, P.OK),
        ("bbo", 10, 20, P.RECOVERING),
        ("bboo", 10, 20, P.RECOVERING),
        ("bbooo", 10, 20, P.OK),
        ("bbob", 10, 20, P.FIRING),
        ("bbobooo", 10, 20, P.OK),
        ("bbo?oo", 10, 20, P.OK),
        ("bbo?o", 10, 20, P.RECOVERING),
        ("bb??????", 10, 20, P.FIRING),
        ("bbo?????", 10, 20, P.RECOVERING),
    ],
)
def test_phase_after(verdicts: str, for_s: float, keep: float, last: Phase) -> None:
    assert run(verdicts, for_s=for_s, keep_firing_for_s=keep)[-1] == last


def test_phases_in_their_order() -> None:
    phases = run("?obbboooo", for_s=20, keep_firing_for_s=20)
    assert phases == [P.UNKNOWN, P.OK, P.PENDING, P.PENDING, P.FIRING, P.RECOVERING, P.RECOVERING, P.OK, P.OK]


def test_since_is_when_the_phase_began() -> None:
    standing = advance(None, BAD, now=START, for_s=10, keep_firing_for_s=0)
    assert standing == Standing(phase=P.PENDING, since=START, judged_at=START)
    standing = advance(standing, BAD, now=START + 12, for_s=10, keep_firing_for_s=0)
    assert standing == Standing(phase=P.FIRING, since=START + 12, judged_at=START + 12)
    standing = advance(standing, UNKNOWN, now=START + 20, for_s=10, keep_firing_for_s=0)
    assert standing == Standing(phase=P.FIRING, since=START + 12, judged_at=START + 20)


def test_clock_set_back_an_hour_neither_fires_early_nor_starts_over() -> None:
    at = START
    standing = advance(None, BAD, now=at, for_s=30, keep_firing_for_s=0)
    standing = advance(standing, BAD, now=at + 20, for_s=30, keep_firing_for_s=0)
    at -= 3600
    standing = advance(standing, BAD, now=at + 21, for_s=30, keep_firing_for_s=0)
    assert (standing.phase, standing.since) == (P.PENDING, at + 1)
    assert advance(standing, BAD, now=at + 30, for_s=30, keep_firing_for_s=0).phase == P.PENDING
    assert advance(standing, BAD, now=at + 31, for_s=30, keep_firing_for_s=0).phase == P.FIRING


@given(steps=steps, for_s=lengths, keep=lengths)
def test_unknown_never_moves_a_phase(steps: list[tuple[int, Verdict]], for_s: int, keep: int) -> None:
    standing, now = None, START
    for seconds, verdict in steps:
        now += seconds
        after = advance(standing, verdict, now=now, for_s=for_s, keep_firing_for_s=keep)
        if verdict is UNKNOWN:
            assert after.phase == (standing.phase if standing else P.UNKNOWN)
        standing = after


@given(steps=steps, for_s=lengths, keep=lengths)
def test_fires_and_resolves_exactly_after_the_known_time(
    steps: list[tuple[int, Verdict]], for_s: int, keep: int
) -> None:
    """An oracle that adds up seconds whose closing verdict is known, against the machine that keeps one moment."""
    standing, now = None, START
    firing, lasted, counting = False, 0, False
    for seconds, verdict in steps:
        now += seconds
        standing = advance(standing, verdict, now=now, for_s=for_s, keep_firing_for_s=keep)
        if verdict is UNKNOWN:
            continue
        against = verdict is (OK if firing else BAD)
        lasted = lasted + seconds if against and counting else 0
        counting = against
        if against and lasted >= (keep if firing else for_s):
            firing, counting = not firing, False
        assert (standing.phase in (P.FIRING, P.RECOVERING)) is firing
        assert standing.since <= now == standing.judged_at


@given(steps=st.lists(st.tuples(st.integers(-5000, 60), st.sampled_from([OK, BAD, UNKNOWN])), max_size=30))
def test_a_jumping_clock_never_shortens_the_wait(steps: list[tuple[int, Verdict]]) -> None:
    """Seconds forward are all that may count, whatever the clock does in between."""
    standing, now, forward = None, START, 0
    for seconds, verdict in steps:
        now += seconds
        before = standing.phase if standing else P.UNKNOWN
        standing = advance(standing, verdict, now=now, for_s=100, keep_firing_for_s=100)
        forward += max(seconds, 0)
        if (before, standing.phase) in ((P.PENDING, P.FIRING), (P.RECOVERING, P.OK)):
            assert forward >= 100
        if before != standing.phase:
            forward = 0
