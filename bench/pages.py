"""How long the server takes for the overview of 500 services with 200 open incidents.

The ASGI application answers in this process, signed in, with SQLite as in production, so that what is timed is the page
and nothing of a network: from the request to the last byte of the body, on the clock and in processor time (a busy
machine disturbs that less). Beside it, in the same run and in turns: a bare Django template of as many rows, and a page
with nothing on it. Then the overview again, after one service in ten has changed. All compressed, as browsers ask.
Run: make bench, or `python -m bench.pages [--services N] [--incidents N] [--rounds N]`.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.tables import percentile, print_machine, print_table

ALLOWED_MS = 50.0
CHANGED = "overview, a tenth changed"

Took = tuple[float, float]
"""Milliseconds on the clock, and of processor time."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=500)
    parser.add_argument("--incidents", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="hs-bench-"))
    try:
        set_up(home)
        from bench.pages_seed import seed, sign_in

        seed(options.services, options.incidents)
        asyncio.run(measure(sign_in(), options.rounds))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def set_up(home: Path) -> None:
    """Django with an empty database below `home`, and the two pages to compare with beside its own."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_LOG_LEVEL": "ERROR",
    }
    for name in ("HOMEOSTAT_REDIS_URL", "DATABASE_URL", "PROMETHEUS_URL"):
        os.environ.pop(name, None)
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.ROOT_URLCONF = "bench.pages_urls"
    call_command("migrate", verbosity=0)


async def measure(cookie: str, rounds: int) -> None:
    from asgiref.sync import sync_to_async

    from bench.pages_seed import touch
    from dashboard.asgi import application

    pages = {"overview": "/", "its map": "/?view=map", "bare template": "/bench/rows/", "empty page": "/bench/empty/"}
    taken: dict[str, list[Took]] = {name: [] for name in [*pages, CHANGED]}
    sizes: dict[str, tuple[int, int]] = {}
    for number in range(rounds + 3):  # the first three warm up
        for name, path in pages.items():
            took, body = await answer(application, path, cookie)
            if number >= 3:
                taken[name].append(took)
            plain = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
            sizes[name] = (len(plain), len(body))
        await sync_to_async(touch)(number)
        took, body = await answer(application, "/", cookie)
        if number >= 3:
            taken[CHANGED].append(took)
    report(taken, sizes)


async def answer(application: Callable[..., Any], path: str, cookie: str) -> tuple[Took, bytes]:
    """What one GET took, and its body. Raises SystemExit on any answer but 200."""
    plain, _, query = path.partition("?")
    headers = [(b"host", b"localhost"), (b"cookie", cookie.encode()), (b"accept-encoding", b"gzip")]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
    }
    scope |= {"path": plain, "raw_path": plain.encode(), "query_string": query.encode(), "headers": headers}
    scope |= {"client": ("127.0.0.1", 1), "server": ("localhost", 8000), "root_path": ""}
    parts: list[bytes] = []
    status = 0
    left = asyncio.Event()
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    began, worked = time.perf_counter(), time.process_time()
    await application(scope, receive, send)
    took = ((time.perf_counter() - began) * 1000, (time.process_time() - worked) * 1000)
    left.set()
    if status != 200:
        raise SystemExit(f"{path} answered {status}")
    return took, b"".join(parts)


def report(taken: dict[str, list[Took]], sizes: dict[str, tuple[int, int]]) -> None:
    print_machine()
    floor = percentile([cpu for _wall, cpu in taken["bare template"]], 0.5)
    rows = []
    for name, values in taken.items():
        wall, cpu = [one for one, _ in values], [one for _, one in values]
        cells = [f"{percentile(wall, share):.1f}" for share in (0.5, 0.9, 0.99)]
        plain, packed = sizes.get(name, (0, 0))
        size = [f"{plain / 1000:.0f}", f"{packed / 1000:.0f}"] if plain else ["", ""]
        rows.append(
            [
                name,
                str(len(values)),
                *cells,
                f"{percentile(cpu, 0.5):.1f}",
                f"{percentile(cpu, 0.5) / floor:.2f}",
                *size,
            ]
        )
    header = ["page", "n", "p50", "p90", "p99", "CPU p50", "x bare", "kB", "kB packed"]
    print_table("Server time of pages (ms)", header, rows)
    overview = percentile([wall for wall, _cpu in taken["overview"]], 0.5)
    print(f"\noverview p50 {overview:.1f} ms; allowed {ALLOWED_MS:.0f} ms")
    if overview > ALLOWED_MS:
        sys.exit(1)


if __name__ == "__main__":
    main()
