"""The broker's queues: how many messages wait in each; part of System."""

from __future__ import annotations

import redis
from django.conf import settings
from django.utils.translation import gettext_noop as _

from dashboard.live.fragments import Context, fragment

PURPOSES = {"evaluate": _("rules and decisions"), "act": _("effects"), "notify": _("messages and backtests")}
"""Queue -> what its messages are about."""
ANSWER_S = 1.0


@fragment("queues", "system/_queues.html", every_s=5)
def queues(_argument: str) -> Context:
    """`queues` is None when the broker does not answer: how much waits is then unknown, not nothing."""
    try:
        lengths = waiting(tuple(PURPOSES))
    except (redis.RedisError, OSError):
        return {"queues": None}
    return {"queues": [(name, purpose, lengths[name]) for name, purpose in PURPOSES.items()]}


def waiting(names: tuple[str, ...]) -> dict[str, int]:
    """Messages that no worker has taken yet. Raises redis.RedisError where the broker is away."""
    url = settings.HOMEOSTAT_REDIS_URL
    client = redis.Redis.from_url(url, socket_connect_timeout=ANSWER_S, socket_timeout=ANSWER_S)
    try:
        # A queue of Celery's is a list of its name.
        with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.llen(name)
            return dict(zip(names, pipe.execute(), strict=True))
    finally:
        client.close()
