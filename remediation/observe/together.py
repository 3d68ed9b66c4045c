"""One question for everybody who asks the same: those who come while it is asked share the next one.

Nobody is given an answer to a question that was asked before they came, so that a look after an effect sees what was
after the effect. Under load, the more ask the more share.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

_lock = threading.Lock()
_running: set[Hashable] = set()
_next: dict[Hashable, Future[Any]] = {}

Found = TypeVar("Found")


def together(key: Hashable, ask: Callable[[], Found], *, wait_s: float) -> Found:
    """What is found by asking, or by somebody who asks the same from now on. Raises what asking raises, and
    TimeoutError."""
    with _lock:
        if key not in _running:
            _running.add(key)
            mine, turn = Future[Found](), None
        else:
            turn = _next.get(key)
            mine = Future()
            if turn is None:  # first in the queue: asks as soon as the one under way is done
                _next[key] = mine
    if turn is not None:
        return cast(Found, turn.result(timeout=wait_s))
    _wait_for_turn(key, mine, wait_s=wait_s)
    try:
        found = ask()
    except BaseException as error:
        mine.set_exception(error)
        raise
    else:
        mine.set_result(found)
        return found
    finally:
        with _lock:
            _running.discard(key)
            _turns.notify_all()


_turns = threading.Condition(_lock)


def _wait_for_turn(key: Hashable, mine: Future[Any], *, wait_s: float) -> None:
    """Return once nobody else asks. The one under way is waited for; who gives up leaves the queue."""
    with _lock:
        if _next.get(key) is not mine:
            return
        free = _turns.wait_for(lambda: key not in _running, timeout=wait_s)
        del _next[key]
        if free:
            _running.add(key)
            return
    error = TimeoutError("the question before did not end in time")
    mine.set_exception(error)
    raise error
