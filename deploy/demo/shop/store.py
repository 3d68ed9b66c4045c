"""The store: a primary that takes writes and a standby that copies them over HTTP until it is promoted."""

import threading
import time
from collections import OrderedDict, deque
from typing import Any

from prometheus_client import Counter, Gauge

from deploy.demo.config import DemoConfig
from deploy.demo.shop.calls import UnavailableError, call
from deploy.demo.shop.service import METRICS, Reply, Request, Service, begin

KEPT_ORDERS = 5_000
KEPT_CHANGES = 2_000  # a standby further behind than this takes a whole copy
COPY_EVERY_S = 0.5

WRITES = Counter("store_writes_total", "Writes taken as the primary.", registry=METRICS)
ORDERS = Gauge("store_orders", "Orders held.", registry=METRICS)
PRIMARY = Gauge("store_is_primary", "1 while this node takes writes.", registry=METRICS)
LAG = Gauge(
    "store_replication_lag_seconds",
    "Time since this node last knew all that the primary has; 0 on a primary.",
    registry=METRICS,
)


class Store:
    """One node. `epoch` counts promotions: of two nodes that both think they are primary, the later one is right."""

    def __init__(self, *, primary: bool) -> None:
        self.primary = primary
        self.epoch = 1 if primary else 0
        self.seq = 0
        self.orders: OrderedDict[str, Any] = OrderedDict()
        self.changes: deque[tuple[int, str, Any]] = deque(maxlen=KEPT_CHANGES)
        self.lock = threading.Lock()
        self.copied_at = time.monotonic()
        PRIMARY.set_function(lambda: float(self.primary))
        ORDERS.set_function(lambda: len(self.orders))
        LAG.set_function(lambda: 0.0 if self.primary else time.monotonic() - self.copied_at)

    def item(self, request: Request) -> Reply:
        return Reply(body={"item": request.words[-1], "orders": len(self.orders)})

    def order(self, request: Request) -> Reply:
        return self._write(request.body["id"], {**request.body, "done": False})

    def done(self, request: Request) -> Reply:
        return self._write(request.body["id"], {"id": request.body["id"], "done": True})

    def _write(self, key: str, value: Any) -> Reply:
        with self.lock:
            if not self.primary:
                return Reply(status=503, body={"error": "a standby is read-only until it is promoted"})
            self._apply(self.seq + 1, key, value)
        WRITES.inc()
        return Reply()

    def _apply(self, seq: int, key: str, value: Any) -> None:
        self.seq = seq
        self.orders[key] = value
        self.changes.append((seq, key, value))
        if len(self.orders) > KEPT_ORDERS:
            self.orders.popitem(last=False)

    def state(self) -> dict[str, Any]:
        return {"primary": self.primary, "epoch": self.epoch, "seq": self.seq}

    def since(self, request: Request) -> Reply:
        """What the other node lacks: the changes after its number, or a whole copy where those are gone."""
        after = int(request.query["after"])
        with self.lock:
            body = self.state()
            oldest = self.changes[0][0] if self.changes else self.seq + 1
            if self.primary and (after + 1 < oldest or after > self.seq):
                body["copy"] = list(self.orders.items())
            elif self.primary:
                body["changes"] = [change for change in self.changes if change[0] > after]
        return Reply(body=body)

    def promote(self, request: Request) -> Reply:
        """Take writes from now on; the other node steps down when it next looks here."""
        with self.lock:
            if not self.primary:
                self.primary = True
                self.epoch += 1
        return Reply(body=self.state())

    def learn(self, answer: dict[str, Any]) -> None:
        """Take over what the other node said about itself, if that one is the primary."""
        with self.lock:
            newer = answer["epoch"] > self.epoch
            if not answer["primary"] or (self.primary and not newer):
                return
            if self.primary or newer:
                # What this node holds may have parted from the new primary's: ask for a whole copy next.
                self.primary, self.epoch, self.seq = False, answer["epoch"], -1
                return
            if "copy" in answer:
                self.orders, self.seq = OrderedDict(answer["copy"]), answer["seq"]
                self.changes.clear()
            for seq, key, value in answer.get("changes", ()):
                self._apply(seq, key, value)
            self.copied_at = time.monotonic()

    def follow(self, peer: str) -> None:
        """Ask the other node once."""
        try:
            self.learn(call("GET", f"{peer}/since?after={self.seq}"))
        except UnavailableError:
            return  # it is down: a standby's lag says so


def peer_is_primary(peer: str) -> bool:
    try:
        return bool(call("GET", f"{peer}/state")["primary"])
    except UnavailableError:
        return False


def open_store(name: str, config: DemoConfig) -> tuple[Store, str]:
    """The first node starts as primary, unless the other one was promoted while it was away."""
    peer = config.url("store-2" if name == "store-1" else "store-1")
    return Store(primary=name == "store-1" and not peer_is_primary(peer)), peer


def main() -> None:
    name, config = begin()
    store, peer = open_store(name, config)
    routes = {
        ("GET", "items"): ("item", store.item),
        ("POST", "orders"): ("order", store.order),
        ("POST", "done"): ("done", store.done),
        ("GET", "since"): ("since", store.since),
        ("GET", "state"): ("state", lambda _: Reply(body=store.state())),
        ("POST", "promote"): ("promote", store.promote),
    }
    Service(name, routes).serve(config.ports[name])
    while True:
        store.follow(peer)
        time.sleep(COPY_EVERY_S)


if __name__ == "__main__":
    main()
