"""Questions that are shared: never an answer from before one came, and few of them however many ask."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from remediation.observe.together import together


def test_nobody_gets_an_answer_to_a_question_asked_before() -> None:
    asked: list[tuple[float, float]] = []

    def ask() -> None:
        began = time.monotonic()
        time.sleep(0.005)
        asked.append((began, time.monotonic()))

    def come(number: int) -> None:
        time.sleep(number % 7 / 1000)
        came = time.monotonic()
        together("k", ask, wait_s=5)
        done = time.monotonic()
        assert any(came <= began and ended <= done for began, ended in list(asked))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(come, range(200)))
    assert len(asked) < 120


def test_an_error_is_everybodys_who_shared_it_and_nobody_elses() -> None:
    hold, began = threading.Event(), threading.Event()
    outcomes: list[str] = []

    def slow() -> None:
        began.set()
        assert hold.wait(5)

    def fails() -> None:
        raise OSError("no answer")

    def come(ask: object) -> None:
        try:
            together("e", ask, wait_s=5)  # type: ignore[arg-type]
            outcomes.append("answered")
        except OSError:
            outcomes.append("failed")

    first = threading.Thread(target=come, args=(slow,))
    first.start()
    assert began.wait(5)
    others = [threading.Thread(target=come, args=(fails,)) for _ in range(4)]
    for one in others:
        one.start()
    time.sleep(0.05)
    hold.set()
    for one in (first, *others):
        one.join(5)
    assert sorted(outcomes) == ["answered", *["failed"] * 4]
    together("e", lambda: outcomes.append("again"), wait_s=1)
    assert outcomes[-1] == "again"


def test_who_waits_in_vain_is_told_and_blocks_nobody() -> None:
    hold, began = threading.Event(), threading.Event()

    def slow() -> None:
        began.set()
        assert hold.wait(5)

    first = threading.Thread(target=together, args=("t", slow), kwargs={"wait_s": 5})
    first.start()
    assert began.wait(5)
    with pytest.raises(TimeoutError):
        together("t", lambda: None, wait_s=0.05)
    hold.set()
    first.join(5)
    together("t", lambda: None, wait_s=1)
    together("u", lambda: None, wait_s=1)
