"""A synthetic exporter, in a process of its own: R rules x S series on several ports, bodies made ahead.

Values drift by a little from scrape to scrape and stay below the limit; `GET /bad/N` puts N series, spread over all
rules, beyond it. Run: python -m bench.evaluate.exporter --rules R --series S --ports P P ... [--bad N]
"""

from __future__ import annotations

import argparse
import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.serving import Answering

METRIC = "bench_value"
LIMIT = 100.0
BEYOND = 150.0
VARIANTS = 4
"""Bodies that take turns, a quarter apart in every value."""


def bad_series(rules: int, series: int, count: int) -> set[tuple[int, int]]:
    """(rule, series) of those beyond the limit, spread evenly over all."""
    total = rules * series
    places = (number * total // count for number in range(count))
    return {divmod(place, series) for place in places}


def body(rules: range, series: int, bad: set[tuple[int, int]], variant: int) -> bytes:
    """What one port says of its rules, in the text format of Prometheus."""
    lines = [f"# TYPE {METRIC} gauge"]
    for rule in rules:
        for number in range(series):
            value = BEYOND if (rule, number) in bad else 20 + (rule + number) % 50 + variant / VARIANTS
            lines.append(f'{METRIC}{{rule="{rule}",series="{number}"}} {value}')
    return ("\n".join(lines) + "\n").encode()


class Exporter:
    def __init__(self, rules: int, series: int, ports: list[int], bad: int) -> None:
        self.rules, self.series, self.ports = rules, series, ports
        self.turns = [itertools.count() for _ in ports]
        self.bodies: list[list[bytes]] = []
        self.make(bad)

    def make(self, count: int) -> None:
        bad = bad_series(self.rules, self.series, count)
        shards = len(self.ports)
        self.bodies = [
            [body(range(shard, self.rules, shards), self.series, bad, variant) for variant in range(VARIANTS)]
            for shard in range(shards)
        ]

    def server(self, shard: int) -> ThreadingHTTPServer:
        exporter = self

        class Handler(Answering, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path.startswith("/bad/"):
                    exporter.make(int(self.path.removeprefix("/bad/")))
                    self.answer(b"ok")
                else:
                    self.answer(exporter.bodies[shard][next(exporter.turns[shard]) % VARIANTS])

        return ThreadingHTTPServer(("127.0.0.1", self.ports[shard]), Handler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, required=True)
    parser.add_argument("--series", type=int, required=True)
    parser.add_argument("--ports", type=int, nargs="+", required=True)
    parser.add_argument("--bad", type=int, default=0)
    options = parser.parse_args()
    exporter = Exporter(options.rules, options.series, options.ports, options.bad)
    servers = [exporter.server(shard) for shard in range(len(options.ports))]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
