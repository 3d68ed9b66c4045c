"""The customers: real requests through HAProxy, at a rate that breathes and can be turned up or down."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from prometheus_client import Counter

from deploy.demo.config import DemoConfig
from deploy.demo.rhythm import BROWSE_PER_S, ORDERS_PER_S, wave
from deploy.demo.shop.calls import UnavailableError, call
from deploy.demo.shop.service import METRICS, Service, begin, dice

OPENS_WITHIN_S = 30.0
GIVE_UP_S = 2.5
AT_ONCE = 200  # more open requests than this are not started: a broken shop must not exhaust the customers

SENT = Counter(
    "traffic_requests_total", "Requests sent by customers, by what came of them.", ["kind", "code"], registry=METRICS
)


class Demand:
    """How many requests a second customers want now. The changes end by themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._factor = (1.0, 0.0)
        self._extra_orders = (0.0, 0.0)

    def turn(self, wanted: Mapping[str, Any]) -> None:
        """`{"factor": 0.1, "for_s": 90}` or `{"extra_orders": 20, "for_s": 300}`."""
        until = time.time() + float(wanted["for_s"])
        with self._lock:
            if "factor" in wanted:
                self._factor = (float(wanted["factor"]), until)
            if "extra_orders" in wanted:
                self._extra_orders = (float(wanted["extra_orders"]), until)

    def browse(self) -> float:
        return BROWSE_PER_S * self._scale()

    def orders(self) -> float:
        extra, until = self._extra_orders
        return ORDERS_PER_S * self._scale() + (extra if time.time() < until else 0.0)

    def _scale(self) -> float:
        now = time.time()
        factor, until = self._factor
        return wave(now) * (factor if now < until else 1.0)


async def send(port: int, kind: str, head: str, body: bytes) -> None:
    """One request of one customer, counted by its status or `none` where no answer came."""
    code = "none"
    try:
        async with asyncio.timeout(GIVE_UP_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"{head} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n".encode() + body)
                code = (await reader.readline()).split()[1].decode()
                await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError, IndexError):
        pass  # counted below as what the customer saw: nothing
    SENT.labels(kind, code).inc()


def order_body() -> bytes:
    content = json.dumps({"item": dice.randrange(1000)}).encode()
    return b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)


async def customers(port: int, kind: str, rate: Callable[[], float]) -> None:
    """Send at the wanted rate, whether or not the earlier requests were answered."""
    running: set[asyncio.Task[None]] = set()
    while True:
        await asyncio.sleep(dice.uniform(0.4, 1.6) / max(rate(), 0.05))
        if len(running) >= AT_ONCE:
            continue
        if kind == "order":
            task = asyncio.create_task(send(port, kind, "POST /orders", order_body()))
        else:
            task = asyncio.create_task(send(port, kind, f"GET /items/{dice.randrange(1000)}", b"\r\n"))
        running.add(task)
        task.add_done_callback(running.discard)


def wait_until_open(config: DemoConfig) -> None:
    """Let the shop start: errors of its first second would look like a fault. A broken shop opens too."""
    deadline = time.monotonic() + OPENS_WITHIN_S
    for name in ("store", "payments", "queue", "front"):
        while time.monotonic() < deadline:
            with suppress(UnavailableError):
                call("GET", f"{config.url(name)}/healthz")
                break
            time.sleep(0.1)


async def come_in(config: DemoConfig, demand: Demand) -> None:
    port = config.ports["front"]
    await asyncio.gather(
        customers(port, "browse", demand.browse),
        customers(port, "order", demand.orders),
    )


def main() -> None:
    name, config = begin()
    demand = Demand()
    service = Service(name, {})
    service.on_control = demand.turn
    service.serve(config.ports[name])
    wait_until_open(config)
    asyncio.run(come_in(config, demand))


if __name__ == "__main__":
    main()
