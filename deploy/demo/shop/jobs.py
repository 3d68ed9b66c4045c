"""The queue: orders that are paid and wait for a worker."""

import signal
import threading
from collections import deque
from typing import Any

from prometheus_client import Counter, Gauge

from deploy.demo.shop.service import METRICS, Reply, Request, Service, begin

LONGEST = 20_000  # jobs; beyond it new ones are refused rather than the memory filled
WAIT_S = 2.0

ADDED = Counter("queue_jobs_added_total", "Jobs put into the queue.", registry=METRICS)
DEPTH = Gauge("queue_depth", "Jobs that wait for a worker.", registry=METRICS)


class Queue:
    """A list of jobs in memory that any number of workers take from."""

    def __init__(self) -> None:
        self._jobs: deque[Any] = deque()
        self._arrived = threading.Condition()
        DEPTH.set_function(lambda: len(self._jobs))

    def add(self, request: Request) -> Reply:
        with self._arrived:
            if len(self._jobs) >= LONGEST:
                return Reply(status=503)
            self._jobs.append(request.body)
            self._arrived.notify()
        ADDED.inc()
        return Reply()

    def take(self, request: Request) -> Reply:
        """Answer with the oldest job; wait a while for one, so that idle workers need not ask all the time."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._jobs, timeout=WAIT_S)
            return Reply(body=self._jobs.popleft() if self._jobs else None)


def main() -> None:
    name, config = begin()
    queue = Queue()
    Service(name, {("POST", "jobs"): ("add", queue.add), ("GET", "next"): ("take", queue.take)}).serve(
        config.ports[name]
    )
    signal.pause()


if __name__ == "__main__":
    main()
