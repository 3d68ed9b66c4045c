"""A bare Celery application: the floor that any reaction through Celery stands on."""

import os
import time

import redis
from celery import Celery

URL = os.environ.get("BENCH_REDIS_URL", "")

app = Celery("echo", broker=URL.replace("unix://", "redis+socket://", 1))
app.conf.update(task_ignore_result=True, task_default_queue="echo", broker_connection_retry_on_startup=True)
_answers: redis.Redis | None = None


@app.task(name="echo")
def echo(sent_at: float) -> None:
    """Report how long after it was sent the task started, in seconds."""
    global _answers  # noqa: PLW0603 - one connection a process
    started = time.time()
    if _answers is None:
        _answers = redis.Redis.from_url(URL)
    _answers.rpush("echo:answers", f"{started - sent_at:.6f}")
