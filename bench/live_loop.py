"""Whether the loop is slowed by open browsers: from an alert at the webhook to the effect, with none and with many.

Everything runs: web, both workers, beat, Valkey, SQLite. Rounds without and with browsers on the overview take turns,
so that what else the machine does falls on both. The browsers read at the lowest priority: in life they are on other
machines. What is compared is the median.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from bench.alerts import OUT_OF_THE_WAY, Poster, World, at_rate, load, measured
from bench.live_stage import browsers, cpu_s, overview, set_up, sign_in
from bench.tables import percentile, print_table

RATE = 1.0
ROUNDS = 4
WARM = 10
ALLOWED = 1.25


def loop(home: Path, clients: int, alerts: int) -> bool:
    """Prints the table; whether the median with browsers is at most ALLOWED times that without."""
    installation = set_up(home, OUT_OF_THE_WAY)
    from dashboard import up
    from dashboard.processes import Family

    each = max(1, alerts * 2 // ROUNDS)
    world = World()
    taken: dict[int, list[float]] = {0: [], clients: []}
    used: dict[int, float] = {0: 0.0, clients: 0.0}
    frames = 0
    with Family() as family:
        up.claim(family, installation)
        up.prepare(family, hints=False)
        token = load(world, WARM + each * ROUNDS)
        cookies = sign_in(clients)
        up.start(family, installation)
        web = family.pids()["web"]
        poster = Poster(installation.port, token, world)
        time.sleep(3)
        measured(world, at_rate(poster, range(WARM), RATE))
        poster.anew().resolve(range(WARM))
        for number in range(ROUNDS):
            count = clients if number % 2 else 0
            begin = WARM + number * each
            with ExitStack() as opened:
                if count:
                    crowd = opened.enter_context(
                        browsers(home, overview(installation.port, cookies[0], key="none"), cookies, elsewhere=True)
                    )
                cpu = cpu_s(web)
                taken[count] += measured(world, at_rate(poster.anew(), range(begin, begin + each), RATE))
                used[count] += cpu_s(web) - cpu
                poster.anew().resolve(range(begin, begin + each))
                frames += crowd.report()["heard"] if count else 0
            time.sleep(2)
    return report(taken, used, clients, frames)


def report(taken: dict[int, list[float]], used: dict[int, float], clients: int, frames: int) -> bool:
    rows = []
    for count, values in taken.items():
        cells = [f"{percentile(values, share) * 1000:.0f}" for share in (0.5, 0.9)]
        rows.append([f"{count:,}", str(len(values)), *cells, f"{max(values) * 1000:.0f}", f"{used[count]:.1f}"])
    print_table(
        f"Alert to effect while browsers are open, {RATE:g} alert a second (ms)",
        ["browsers", "alerts", "p50", "p90", "max", "CPU s web"],
        rows,
    )
    ratio = percentile(taken[clients], 0.5) / percentile(taken[0], 0.5)
    held = ratio <= ALLOWED
    print(f"\n{frames:,} frames were read meanwhile")
    print(f"  {'reached' if held else 'NOT reached'}: {ratio:.2f} times as long with {clients:,} open, of {ALLOWED:g}")
    return held
