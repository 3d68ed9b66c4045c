"""A source that hangs holds a few threads, not all of them."""

from __future__ import annotations

import threading
import time

import pytest

from remediation.exceptions import ObserveError, SourceFailed
from remediation.observe.gate import AT_ONCE, Gate


def hang(gate: Gate, count: int) -> tuple[threading.Event, list[threading.Thread]]:
    """So many questions that wait for an answer until the event is set, then fail."""
    answer = threading.Event()

    def ask() -> None:
        with pytest.raises(SourceFailed), gate.question():
            answer.wait(10)
            raise SourceFailed("timed out")

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    return answer, threads


def test_further_question_is_refused_soon_while_the_first_ones_hang() -> None:
    gate = Gate()
    answer, threads = hang(gate, AT_ONCE)
    started = time.monotonic()
    with pytest.raises(SourceFailed, match="slow or hangs"), gate.question():
        pytest.fail("it went through")
    assert time.monotonic() - started < 1
    answer.set()
    for thread in threads:
        thread.join()


def test_after_a_failure_one_at_a_time_tries_and_an_answer_opens_it_again() -> None:
    gate = Gate()
    with pytest.raises(SourceFailed), gate.question():
        raise SourceFailed("refused")
    answer, threads = hang(gate, 1)
    started = time.monotonic()
    with pytest.raises(SourceFailed, match="refused"), gate.question():
        pytest.fail("it went through")
    assert time.monotonic() - started < 0.1
    answer.set()
    threads[0].join()
    with gate.question():
        pass
    assert not gate.failing


def test_error_of_one_question_is_not_the_sources() -> None:
    gate = Gate()
    with pytest.raises(ObserveError), gate.question():
        raise ObserveError("it warns")
    assert not gate.failing
