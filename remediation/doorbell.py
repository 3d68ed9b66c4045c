"""Rings for work. A message carries ids only; when it is lost, the sweep finds the row, so ringing never fails."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from celery import current_app
from django.db import transaction

log = logging.getLogger(__name__)

Ids = int | str | list[int]
AT_HAND = 20
"""Bells that whoever rings them answers at most by itself: the rest of a storm is for all workers."""

_silenced_until = 0.0
_here = threading.local()


def ring(task: str, *, expires_s: float | None = None, on_queue: str | None = None, **ids: Ids) -> bool:
    """Send `remediation.tasks.<task>` its ids. Returns False, and logs once a minute, when the broker is away."""
    global _silenced_until  # noqa: PLW0603 - one log line a minute in this process
    try:
        current_app.send_task(
            f"remediation.tasks.{task}", kwargs=ids, expires=expires_s, queue=on_queue, retry=False, ignore_result=True
        )
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the row is committed and the sweep finds it
        if time.monotonic() > _silenced_until:
            _silenced_until = time.monotonic() + 60
            log.warning("broker away (%s); work goes on by the sweep once it is back", type(error).__name__)
        return False
    return True


def ring_after_commit(task: str, **ids: int) -> None:
    """Ring once the transaction is committed; at once where there is none."""

    def now() -> None:
        waiting: deque[tuple[str, dict[str, int]]] | None = getattr(_here, "waiting", None)
        if waiting is None or task not in _here.answers or _here.left <= 0:
            ring(task, expires_s=None, on_queue=None, **ids)
        elif (task, ids) not in waiting:
            _here.left -= 1
            waiting.append((task, ids))

    transaction.on_commit(now)


def answered_here(first: Callable[[], object], answers: Mapping[str, Callable[..., object]]) -> None:
    """Do something, and answer the bells that it rings for `answers` in this very thread, in order: a hop through the
    broker costs more than most of what it rings for. They need not be answered at all for anything to be lost: what is
    to be done is a row with its time, as with every bell."""
    if getattr(_here, "waiting", None) is not None:
        first()
        return
    _here.waiting, _here.answers, _here.left = deque(), answers, AT_HAND
    try:
        first()
        while _here.waiting:
            task, ids = _here.waiting.popleft()
            answers[task](**ids)
    finally:
        left, _here.waiting = _here.waiting, None
        for task, ids in left:  # something broke: the others are not to wait for the sweep
            ring(task, **ids)
