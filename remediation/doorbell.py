"""Rings for work. A message carries ids only; when it is lost, the sweep finds the row, so ringing never fails."""

from __future__ import annotations

import logging
import time

from celery import current_app
from django.db import transaction

log = logging.getLogger(__name__)
_silenced_until = 0.0


Ids = int | str | list[int]


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
        ring(task, expires_s=None, on_queue=None, **ids)

    transaction.on_commit(now)
