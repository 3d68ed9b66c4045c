"""How long a change takes to every open browser, what it costs, and whether the loop notices that they are open.

Delivery: our web process with a real Valkey and database; another process changes a row and announces it, as the
workers do; raw websockets in processes of their own stand for browsers on the overview. Beside it in the same run, with
frames of the same size: the broadcast of the bare library `websockets` (the floor), and a Channels consumer per client
on the channel layer. The loop: from alerts at the webhook to the effects, with the whole installation, without browsers
and with.
Run: `python -m bench.live [--clients 100 1000] [--rate 10] [--seconds 15] [--parts delivery loop]`.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.live_peers import CHANNEL
from bench.live_stage import Browsers, browsers, cpu_s, get, overview, rss_mb, set_up, sign_in
from bench.tables import percentile, print_machine, print_table

P99_MS, TIMES_BARE, TIMES_LESS = 100.0, 3.0, 5.0
SERVICES = 20
LAYER_CHANGES = 15
PATIENCE_S = 120.0
OURS, BARE, LAYER = "ours", "bare websockets broadcast", "consumer per client"


@dataclass(frozen=True, kw_only=True)
class Server:
    """One of the three. `change` brings about the change with this number."""

    name: str
    pid: int
    crowd: dict[str, Any]
    change: Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of one server and number of clients. Delays in ms, one per client and change."""

    name: str
    clients: int
    changes: int
    frames: int
    cpu_s: float
    took_s: float
    delays: list[float]
    lost: int
    rss_mb: float

    @property
    def cpu_us(self) -> float:
        """Per frame and client: that is what a delivery is, though one frame may carry several changes."""
        return self.cpu_s / max(1, self.frames) * 1e6

    @property
    def cpu_us_a_change(self) -> float:
        """Per change and client."""
        return self.cpu_s / (self.changes * self.clients) * 1e6


def measure(server: Server, cookies: list[str], *, home: Path, rate: float, changes: int) -> Measured:
    """Some changes to warm up, then the others at that rate, until the last has reached everybody."""
    warm, sent = 5, list[float]()
    with browsers(home, server.crowd, cookies) as crowd:
        for number in range(warm):
            server.change(number)
            time.sleep(0.3)
        until_all_have(crowd, warm - 1)
        before, used = crowd.report(), cpu_s(server.pid)
        began = time.monotonic()
        for number in range(changes):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            sent.append(time.monotonic())
            server.change(warm + number)
        after = until_all_have(crowd, warm + changes - 1)
        took, used = time.monotonic() - began, cpu_s(server.pid) - used
        arrived = crowd.arrived()
        memory = rss_mb(server.pid)
    delays = []
    for number, at in enumerate(sent):
        delays += [(when - at) * 1000 for when in arrived.get(warm + number, [])]
    lost = after["lost"] + after["closed"] + len(cookies) * changes - len(delays)
    return Measured(
        name=server.name,
        clients=len(cookies),
        changes=changes,
        frames=after["frames"] - before["frames"],
        cpu_s=used,
        took_s=took,
        delays=delays,
        lost=lost,
        rss_mb=memory,
    )


def until_all_have(crowd: Browsers, number: int) -> dict[str, int]:
    """The report, once the change has reached everybody, or after some patience: what is missing counts as lost."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := crowd.report())["least"] < number and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def delivery(home: Path, options: argparse.Namespace) -> list[Measured]:
    """Each of the three, one after the other, for each number of clients. The two that wait meanwhile do nothing."""
    from dashboard import up, valkey
    from dashboard.processes import Family

    installation = set_up(home, {})
    changes = round(options.rate * options.seconds)
    with Family() as family:
        up.claim(family, installation)
        up.prepare(family, hints=False)
        service = services(SERVICES)
        cookies = sign_in(max(options.clients))
        family.start(valkey.child(home))
        mine = ours(family, installation, service, cookies[0])
        size = frame_size(installation.port, f"card:{service}", cookies[0])
        servers = [peer(family, BARE, size), mine, peer(family, LAYER, size)]
        found = []
        for clients in options.clients:
            for server in servers:
                # The layer does not keep up with a thousand; what it sends costs as much either way.
                few = server.name == LAYER and clients > 300
                count = min(changes, LAYER_CHANGES) if few else changes
                found.append(measure(server, cookies[:clients], home=home, rate=options.rate, changes=count))
                print(f"  {server.name}, {clients} clients: done", flush=True)
    print(f"\na frame is {size:,} bytes")
    return found


def services(count: int) -> int:
    from remediation.models import Service

    return Service.objects.bulk_create([Service(name=f"service-{number}") for number in range(count)])[0].pk


def ours(family: Any, installation: Any, service: int, cookie: str) -> Server:
    from dashboard import up
    from dashboard.live import publish
    from remediation.models import Service

    pid = family.start(up.homeostat_children(installation)[0])

    def change(number: int) -> None:
        Service.objects.filter(pk=service).update(title=mark(number))
        publish.announce("service", service, service=service)

    return Server(name=OURS, pid=pid, crowd=overview(installation.port, cookie, key=f"card:{service}"), change=change)


def peer(family: Any, name: str, size: int) -> Server:
    import redis
    from asgiref.sync import async_to_sync
    from channels_redis.pubsub import RedisPubSubChannelLayer  # type: ignore[import-untyped]
    from django.conf import settings

    from dashboard.ports import free_port, port_in_use
    from dashboard.processes import Child

    port, url = free_port(), settings.HOMEOSTAT_REDIS_URL
    uvicorn = ["uvicorn", "bench.live_peers:application", "--port", str(port), "--log-level", "warning"]
    uvicorn += ["--loop", "uvloop", "--ws-per-message-deflate", "false"]
    argv = [sys.executable, "-m", *(["bench.live_peers", str(port)] if name == BARE else uvicorn)]
    ready = lambda: port_in_use("127.0.0.1", port) is not None  # noqa: E731
    pid = family.start(Child(name=name, argv=argv, env={"BENCH_REDIS_URL": url}, ready=ready))
    client = redis.Redis.from_url(url)

    def frame(number: int) -> str:
        return mark(number).ljust(size, "x")

    def to_bare(number: int) -> None:
        client.publish(CHANNEL, frame(number))

    def to_layer(number: int) -> None:
        layer = RedisPubSubChannelLayer(hosts=[url])
        async_to_sync(layer.group_send)(CHANNEL, {"type": "frame", "text": frame(number)})

    crowd = {"host": "127.0.0.1", "port": port, "path": "/", "origin": "", "hello": "", "key": ""}
    return Server(name=name, pid=pid, crowd=crowd, change=to_bare if name == BARE else to_layer)


def mark(number: int) -> str:
    return f"bench-{number:06}-"


def frame_size(port: int, key: str, cookie: str) -> int:
    """Bytes of a frame of ours that carries this piece."""
    answer = get(f"/live/fragments/?key={key}", port, cookie)
    piece = json.loads(answer)["fragments"][0] | {"v": 1000, "after": 999}
    return len(json.dumps({"v": 1000, "count": 0, "fragments": [piece]}, separators=(",", ":")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", nargs="+", type=int, default=[100, 1000])
    parser.add_argument("--rate", type=float, default=10.0, help="changes a second")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long at that rate")
    parser.add_argument("--alerts", type=int, default=30, help="alerts without browsers, and as many with")
    parser.add_argument("--parts", nargs="+", default=["delivery", "loop"], choices=["delivery", "loop"])
    options = parser.parse_args()
    if options.parts == ["delivery"]:
        in_home(lambda home: report(delivery(home, options)))
    elif options.parts == ["loop"]:
        from bench.live_loop import loop

        in_home(lambda home: loop(home, max(options.clients), options.alerts))
    else:
        print_machine()
        # A process each: Django's settings are read once.
        again = [sys.executable, "-m", "bench.live", "--clients", *map(str, options.clients)]
        again += ["--rate", str(options.rate)]
        again += ["--seconds", str(options.seconds), "--alerts", str(options.alerts), "--parts"]
        sys.exit(max(subprocess.run([*again, part], check=False).returncode for part in options.parts))


def in_home(run: Callable[[Path], bool]) -> None:
    home = Path(tempfile.mkdtemp(prefix="hs-bench-"))
    try:
        held = run(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    sys.exit(0 if held else 1)


def times(one: float, other: float) -> float:
    """How many times the other; not a number where that took less than the clock of processor time can tell."""
    return one / other if other else math.nan


def report(found: list[Measured]) -> bool:
    """The table and the aims. Whether all are reached."""
    rows = []
    for one in found:
        floor = next(other for other in found if other.name == BARE and other.clients == one.clients)
        delays = [f"{percentile(one.delays, share):.1f}" if one.delays else "" for share in (0.5, 0.99)]
        rate = f"{one.changes / one.took_s:.1f}"
        cost = [
            f"{one.cpu_us:.1f}",
            f"{times(one.cpu_us, floor.cpu_us):.2f}",
            f"{one.cpu_us_a_change:.1f}",
            f"{one.cpu_s / one.took_s:.2f}",
        ]
        what = [str(one.clients), one.name, str(one.changes), f"{one.frames / one.clients:.0f}", rate]
        rows.append([*what, *delays, *cost, str(one.lost), f"{one.rss_mb:.0f}"])
    header = [
        "clients",
        "server",
        "changes",
        "frames",
        "a second",
        "p50 ms",
        "p99 ms",
        "CPU us a frame",
        "x bare",
        "a change",
        "cores",
        "lost",
        "RSS MB",
    ]
    print_table("A change to every browser: delay, and processor time of the server per delivery", header, rows)
    most = max(one.clients for one in found)
    by_name = {one.name: one for one in found if one.clients == most}
    mine, bare, layer = by_name[OURS], by_name[BARE], by_name[LAYER]
    p99 = percentile(mine.delays, 0.99)
    aims = [
        (
            mine.cpu_us <= TIMES_BARE * bare.cpu_us,
            f"CPU per delivery {times(mine.cpu_us, bare.cpu_us):.2f} times the bare library's, of {TIMES_BARE:g}",
        ),
        (
            layer.cpu_us >= TIMES_LESS * mine.cpu_us,
            f"{times(layer.cpu_us, mine.cpu_us):.1f} times less than a consumer per client, at least {TIMES_LESS:g}",
        ),
        (p99 <= P99_MS, f"p99 {p99:.0f} ms of {P99_MS:.0f}"),
        (not any(one.lost for one in found if one.name == OURS), f"lost: {mine.lost}"),
    ]
    print(f"\nAims at {most:,} clients")
    for held, text in aims:
        print(f"  {'reached' if held else 'NOT reached'}: {text}")
    return all(held for held, _ in aims)


if __name__ == "__main__":
    main()
