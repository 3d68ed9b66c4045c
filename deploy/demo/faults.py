"""What can be broken in the shop, how, and how it is mended.

What was broken is kept in a file, so that the page, a second terminal and the stagehand (who ends what ends by itself)
see the same. Whether it still is broken is asked of the shop itself: a restart may have healed it meanwhile.
"""

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypedDict

from deploy.demo import levers
from deploy.demo.config import WORKERS, DemoConfig
from deploy.demo.files import first_workers
from deploy.demo.layout import PROCESSES, targets_of
from deploy.demo.shop.calls import UnavailableError

OVERLOAD_S = 300
DIP_S = 90
GAP_S = 60
COPIED_WITHIN_S = 5.0

Step = Callable[[DemoConfig], None]


class Entry(TypedDict):
    """One fault in the file: when it began and ends (unix times), and the process that had it (0: none)."""

    since: float
    until: float | None
    pid: int


class UnknownFaultError(ValueError):
    """No fault has this name."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`what` is done and what one may `expect` of Homeostat; `real` is False for what only looks like a fault."""

    name: str
    title: str
    what: str
    expect: str
    service: str
    real: bool = True
    lasts_s: float | None = None  # ends by itself
    process: str | None = None  # the one it is in: it is over when that process is another one
    down: bool = False  # it is over as soon as the process runs


@dataclass(frozen=True, kw_only=True)
class Active:
    """One fault that is in the shop now."""

    fault: Fault
    since: float
    until: float | None


FAULTS = (
    Fault(
        name="crash",
        title="Crash",
        what="Kills the app instance app-1 with SIGKILL.",
        expect="Restarts app-1 by itself within seconds and proves that it answers again.",
        service="web",
        process="app-1",
        down=True,
    ),
    Fault(
        name="hang",
        title="Hang",
        what="Stops the app instance app-2 with SIGSTOP: it is alive and answers nothing.",
        expect="Asks for approval to restart app-2, then proves that it answers again.",
        service="web",
        process="app-2",
    ),
    Fault(
        name="errors",
        title="Errors",
        what="Makes app-2 answer 40 % of its requests with status 500 until it is restarted.",
        expect="Asks for approval to restart app-2, then proves that its error ratio is down.",
        service="web",
        process="app-2",
    ),
    Fault(
        name="latency",
        title="Latency",
        what="Makes app-1 slower by 400 ms a request until it is restarted.",
        expect="Sees app-1 leave its usual band, asks for approval to restart it, then proves that it is fast again.",
        service="web",
        process="app-1",
    ),
    Fault(
        name="leak",
        title="Memory leak",
        what="Makes payments leak 20 MB a second, up to 250 MB, until it is restarted.",
        expect="Asks for approval to restart payments, then proves that its memory is back to normal.",
        service="payments",
        process="payments",
    ),
    Fault(
        name="overload",
        title="Overload",
        what="Sends five times the usual orders for five minutes: more than two workers can complete.",
        expect="Starts more workers by itself and proves that the queue drains.",
        service="worker",
        lasts_s=OVERLOAD_S,
    ),
    Fault(
        name="primary-death",
        title="Death of the primary",
        what="Kills the store's primary, store-1, with SIGKILL: nothing can be read or written.",
        expect="Fails over to the standby store-2 by itself, then brings store-1 back as the new standby.",
        service="store",
        process="store-1",
        down=True,
    ),
    Fault(
        name="dependency",
        title="A dependency fails underneath",
        what="Wedges payments: it takes requests and never answers, so web's orders fail although web is well.",
        expect="Restarts payments, the cause, by itself, and leaves web, the victim, alone.",
        service="payments",
        process="payments",
    ),
    Fault(
        name="traffic-dip",
        title="Traffic dip",
        what="Lets customers send a tenth of the usual requests for 90 seconds. Nothing is broken.",
        expect="Notes that traffic is unusually low and does nothing: no playbook serves it, and all else is well.",
        service="web",
        real=False,
        lasts_s=DIP_S,
    ),
    Fault(
        name="scrape-gap",
        title="Scrape gap",
        what="Takes payments out of Prometheus' target list for 60 seconds. The process is perfectly healthy.",
        expect="Says that it cannot see payments and does nothing: not seen is not the same as down.",
        service="payments",
        real=False,
        lasts_s=GAP_S,
    ),
)
_BY_NAME = {fault.name: fault for fault in FAULTS}


def list_faults() -> tuple[Fault, ...]:
    return FAULTS


def get(name: str) -> Fault:
    """Raises UnknownFaultError with the names there are."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise UnknownFaultError(f"There is no fault {name!r}. There are: {', '.join(_BY_NAME)}.") from None


def break_(name: str, config: DemoConfig) -> Active:
    """Put one fault into the running shop. Raises UnknownFaultError, UnavailableError, OSError (nothing runs there)."""
    fault = get(name)
    _BREAK[name](config)
    now = time.time()
    entry = Entry(
        since=now,
        until=None if fault.lasts_s is None else now + fault.lasts_s,
        pid=levers.pid(config, fault.process) if fault.process else 0,
    )
    with _stored(config) as stored:
        stored[name] = entry
    return Active(fault=fault, since=now, until=entry["until"])


def mend(name: str | None, config: DemoConfig) -> tuple[str, ...]:
    """Undo one fault, or everything (None): whatever Homeostat left undone. Returns the names of what was mended."""
    names = tuple(_BY_NAME) if name is None else (get(name).name,)
    if name is None:
        _continue_all(config)
        for process, (_, autostart) in PROCESSES.items():
            if autostart:
                levers.start(config, process)
    for each in names:
        _MEND[each](config)
    with _stored(config) as stored:
        for each in names:
            stored.pop(each, None)
    return names


def active(config: DemoConfig) -> tuple[Active, ...]:
    """The faults that are in the shop now, the oldest first."""
    with _stored(config) as stored:
        for name in [name for name, entry in stored.items() if _is_over(_BY_NAME[name], entry, config)]:
            del stored[name]
        found = [
            Active(fault=_BY_NAME[name], since=entry["since"], until=entry["until"]) for name, entry in stored.items()
        ]
    return tuple(sorted(found, key=lambda one: one.since))


def end_what_is_due(config: DemoConfig) -> None:
    """Mend the faults whose time is over. The stagehand calls this every second."""
    now = time.time()
    with _stored(config) as stored:
        due = [name for name, entry in stored.items() if entry["until"] is not None and entry["until"] <= now]
    for name in due:
        mend(name, config)


def _is_over(fault: Fault, entry: Entry, config: DemoConfig) -> bool:
    if fault.process is None:
        return False  # whoever ends it, by hand or by the clock, mends it and only then takes it off the list
    if fault.down:
        return levers.is_up(config, fault.process)
    return levers.pid(config, fault.process) != entry["pid"]


@contextmanager
def _stored(config: DemoConfig) -> Iterator[dict[str, Entry]]:
    """The file of active faults, alone with it; what the body changes is written back."""
    with config.faults_path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text = config.faults_path.read_text() if config.faults_path.exists() else "{}"
        stored = json.loads(text)
        yield stored
        fresh = json.dumps(stored, indent=2) + "\n"
        if fresh != text:
            levers.replace(config.faults_path, fresh)


# The faults one by one: how each is made, and how it is undone.


def _kill(process: str) -> Step:
    return lambda config: levers.send_signal(config, process, "KILL")


def _start(process: str) -> Step:
    return lambda config: levers.start(config, process)


def _signal(process: str, signal: str) -> Step:
    return lambda config: levers.send_signal(config, process, signal)


def _continue_all(config: DemoConfig) -> None:
    """Whatever was stopped by hand goes on too; SIGCONT does nothing to the others."""
    for process in PROCESSES:
        levers.send_signal(config, process, "CONT")


def _switch(process: str, **switches: object) -> Step:
    return lambda config: levers.control(config, process, **switches)


def _unswitch(process: str, **switches: object) -> Step:
    """Turn switches back; a process that is down or stuck has nothing to turn back."""

    def step(config: DemoConfig) -> None:
        with suppress(UnavailableError):
            levers.control(config, process, **switches)

    return step


def _overload(config: DemoConfig) -> None:
    """The pool starts from its two usual workers, or a second overload would find it already grown."""
    _usual_workers(config)
    levers.control(config, "traffic", extra_orders=24, for_s=OVERLOAD_S)


def _end_overload(config: DemoConfig) -> None:
    levers.control(config, "traffic", extra_orders=0, for_s=0)
    _usual_workers(config)


def _usual_workers(config: DemoConfig) -> None:
    for name in WORKERS:
        (levers.start if name in first_workers() else levers.stop)(config, name)


def _kill_primary(config: DemoConfig) -> None:
    """The shop goes back to its usual layout first: the one that is killed has to be the one in use."""
    _fail_back(config)
    levers.send_signal(config, "store-1", "KILL")


def _fail_back(config: DemoConfig) -> None:
    """Make store-1 the primary again, with everything that store-2 holds."""
    for name in ("store-1", "store-2"):
        levers.start(config, name)
    if levers.ask_store(config, "store-1")["primary"]:
        _route_store(config, "store-1", "store-2")
        return
    # 1. let store-1 copy what it lacks, 2. promote it (store-2 steps down), 3. send requests to it
    deadline = time.monotonic() + COPIED_WITHIN_S
    while time.monotonic() < deadline and not levers.store_copied(config, "store-1", "store-2"):
        time.sleep(0.1)
    levers.promote(config, "store-1")
    _route_store(config, "store-1", "store-2")


def _route_store(config: DemoConfig, used: str, spare: str) -> None:
    levers.set_server(config, f"store/{used}", "ready")
    levers.set_server(config, f"store/{spare}", "maint")


def _dip(config: DemoConfig) -> None:
    levers.control(config, "traffic", factor=0.1, for_s=DIP_S)


def _end_dip(config: DemoConfig) -> None:
    levers.control(config, "traffic", factor=1, for_s=0)


def _hide_payments(config: DemoConfig) -> None:
    levers.write_targets(config, "payments", {})


def _show_payments(config: DemoConfig) -> None:
    levers.write_targets(config, "payments", targets_of(config, "payments"))


_BREAK: dict[str, Step] = {
    "crash": _kill("app-1"),
    "hang": _signal("app-2", "STOP"),
    "errors": _switch("app-2", error_ratio=0.4),
    "latency": _switch("app-1", delay_s=0.4),
    "leak": _switch("payments", leaking=True),
    "overload": _overload,
    "primary-death": _kill_primary,
    "dependency": _switch("payments", wedged=True),
    "traffic-dip": _dip,
    "scrape-gap": _hide_payments,
}
_MEND: dict[str, Step] = {
    "crash": _start("app-1"),
    "hang": _signal("app-2", "CONT"),
    "errors": _unswitch("app-2", error_ratio=0.0),
    "latency": _unswitch("app-1", delay_s=0.0),
    "leak": _unswitch("payments", leaking=False),
    "overload": _end_overload,
    "primary-death": _fail_back,
    "dependency": _unswitch("payments", wedged=False),
    "traffic-dip": _end_dip,
    "scrape-gap": _show_payments,
}
