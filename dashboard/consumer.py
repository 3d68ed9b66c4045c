"""Celery's consumer, back soon after the broker is.

Celery waits longer after each attempt, up to half a minute, has no setting for that, and gives up after a hundred.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker import consumer

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 3.0
"""Between two attempts to reach the broker; an attempt takes up to `socket_connect_timeout` besides."""


class Consumer(consumer.Consumer):
    def ensure_connected(self, conn: Any) -> Any:
        """The connection once the broker answers; asked again for as long as the worker lives."""
        conn.ensure_connection = partial(
            conn.ensure_connection,
            interval_start=FIRST_PAUSE_S,
            interval_step=FIRST_PAUSE_S,
            interval_max=LONGEST_PAUSE_S,
        )
        return super().ensure_connected(conn)
