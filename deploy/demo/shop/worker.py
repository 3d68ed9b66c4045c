"""One worker of the pool: takes orders from the queue and completes them in the store."""

import time
from typing import Any

from prometheus_client import Counter

from deploy.demo.config import DemoConfig
from deploy.demo.shop.calls import UnavailableError, call
from deploy.demo.shop.service import METRICS, Service, begin

PATIENCE_S = 5.0  # the queue answers a worker within two seconds, job or none
WORK_S = 0.1  # per job: two workers finish about 18 a second, four about 36
PROCESSED = Counter("queue_jobs_processed_total", "Jobs completed by this worker.", registry=METRICS)
RETURNED = Counter(
    "queue_jobs_returned_total", "Jobs put back because the store did not take the result.", registry=METRICS
)


def complete(job: Any, config: DemoConfig) -> None:
    """Do the work; a job whose result cannot be stored goes back to the queue."""
    time.sleep(WORK_S)
    try:
        call("POST", f"{config.url('store')}/done", {"id": job["id"]})
    except UnavailableError:
        call("POST", f"{config.url('queue')}/jobs", job)
        RETURNED.inc()
        time.sleep(0.5)
    else:
        PROCESSED.inc()


def main() -> None:
    name, config = begin()
    Service(name, {}).serve(config.ports[name])
    while True:
        try:
            job = call("GET", f"{config.url('queue')}/next", timeout_s=PATIENCE_S)
            if job is not None:
                complete(job, config)
        except UnavailableError:
            time.sleep(0.5)


if __name__ == "__main__":
    main()
