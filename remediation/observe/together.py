"""One question for everybody who asks the same: those who come while it is asked share the next one.

Nobody is given an answer to a question that was asked before they came, so that a look after an effect sees what was
after the effect. Under load, the more ask the more share.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future

_lock = threading.Lock()
_running: set[Hashable] = set()
_next: dict[Hashable, Future[None]] = {}


def together(key: Hashable, ask: Callable[[], object], *, wait_s: float) -> None:
    """Ask, or wait for somebody who asks from now on. Raises what asking raises, and TimeoutError."""
    with _lock:
        if key not in _running:
            _running.add(key)
            mine, turn = Future[None](), None
        else:
            turn = _next.get(key)
            mine = Future[None]()
            if turn is None:  # first in the queue: asks as soon as the one under way is done
                _next[key] = mine
    if turn is not None:
        turn.result(timeout=wait_s)
        return
    _wait_for_turn(key, mine, wait_s=wait_s)
    try:
        ask()
    except BaseException as error:
        mine.set_exception(error)
        raise
    else:
        mine.set_result(None)
    finally:
        with _lock:
            _running.discard(key)
            _turns.notify_all()


_turns = threading.Condition(_lock)


def _wait_for_turn(key: Hashable, mine: Future[None], *, wait_s: float) -> None:
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
