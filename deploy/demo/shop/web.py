"""The web front: shows items from the store and takes orders. `python -m deploy.demo.shop.web app-1`."""

import signal
import uuid

from prometheus_client import Counter

from deploy.demo.config import DemoConfig
from deploy.demo.shop.calls import UnavailableError, call
from deploy.demo.shop.service import METRICS, Reply, Request, Service, begin

FAILED_CALLS = Counter(
    "shop_dependency_failures_total", "Calls that failed, by whom was called.", ["dependency"], registry=METRICS
)
PATIENCE_S = 0.3  # a customer rather sees an error than waits


class Web:
    """One app instance. What it depends on fails visibly: the customer gets a 502, the metric says who."""

    def __init__(self, config: DemoConfig) -> None:
        self.config = config
        for dependency in ("payments", "store", "queue"):
            FAILED_CALLS.labels(dependency)

    def browse(self, request: Request) -> Reply:
        try:
            return Reply(body=self._ask("store", "GET", f"/items/{request.words[-1]}"))
        except UnavailableError:
            return Reply(status=502)

    def order(self, request: Request) -> Reply:
        order = {"id": uuid.uuid4().hex, "item": request.body["item"]}
        try:
            self._ask("payments", "POST", "/pay", order)
            self._ask("store", "POST", "/orders", order)
            self._ask("queue", "POST", "/jobs", order)
        except UnavailableError:
            return Reply(status=502)
        return Reply(body=order)

    def _ask(self, dependency: str, method: str, path: str, payload: object = None) -> object:
        try:
            return call(method, self.config.url(dependency) + path, payload, timeout_s=PATIENCE_S)
        except UnavailableError:
            FAILED_CALLS.labels(dependency).inc()
            raise


def main() -> None:
    name, config = begin()
    web = Web(config)
    routes = {("GET", "items"): ("browse", web.browse), ("POST", "orders"): ("order", web.order)}
    Service(name, routes).serve(config.ports[name])
    signal.pause()


if __name__ == "__main__":
    main()
