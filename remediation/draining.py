"""Whether this process is about to end: then it finishes what it is at, and begins nothing new.

Celery says so with `worker_shutting_down` as soon as SIGTERM arrives. Its warm shutdown lets running tasks end, and
those that it had fetched already are begun all the same: they have to look here.
"""

from __future__ import annotations

import threading
from typing import Any

from celery.signals import worker_shutting_down

_draining = threading.Event()


def is_draining() -> bool:
    return _draining.is_set()


@worker_shutting_down.connect
def begin(**_: Any) -> None:
    _draining.set()


def end() -> None:
    """For tests: a process that drains never comes back."""
    _draining.clear()
