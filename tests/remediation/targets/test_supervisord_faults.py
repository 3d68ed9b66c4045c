"""The supervisord backend against answers that a real supervisord gives too seldom to wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from xmlrpc.client import Fault
from xmlrpc.server import SimpleXMLRPCServer

import pytest

from remediation.exceptions import EffectError, EffectNotStarted, EffectUncertain
from remediation.targets.base import TargetRef
from remediation.targets.supervisord import Supervisord

from .conftest import attempt, ref

backend = Supervisord()
State = tuple[str, int]


class Script:
    """A supervisord that says one state after the other, and the last for ever."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.faults: dict[str, Fault] = {}
        self.ordered: list[str] = []

    def look(self, name: Any, /) -> dict[str, Any]:
        state, pid = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        group, _, name = name.rpartition(":")
        return {"group": group or name, "name": name, "statename": state, "pid": pid, "spawnerr": "too quick"}

    def order(self, method: str) -> Callable[[Any, Any], bool]:
        def carry_out(name: Any, wait: Any, /) -> bool:
            self.ordered.append(method)
            if fault := self.faults.get(method):
                raise fault
            return True

        return carry_out


@pytest.fixture
def script() -> Iterator[tuple[Script, TargetRef]]:
    script = Script()
    with SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False) as server:
        server.register_function(script.look, "supervisor.getProcessInfo")
        for method in ("stopProcess", "startProcess"):
            server.register_function(script.order(method), f"supervisor.{method}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield script, ref("supervisord", url=f"http://127.0.0.1:{server.server_address[1]}", process="web")
        server.shutdown()


@pytest.mark.parametrize(
    ("states", "faults"),
    [
        pytest.param([("RUNNING", 7), ("STOPPED", 0), ("STARTING", 8), ("RUNNING", 8)], {}, id="plain"),
        pytest.param([("RUNNING", 7), ("STOPPING", 7), ("STOPPED", 0), ("RUNNING", 8)], {}, id="slow-to-stop"),
        pytest.param([("BACKOFF", 0), ("STOPPED", 0), ("BACKOFF", 0), ("RUNNING", 8)], {}, id="comes-after-backoff"),
        pytest.param([("EXITED", 0), ("EXITED", 0), ("RUNNING", 8)], {"stopProcess": 70}, id="stood-still"),
        pytest.param(
            [("STOPPING", 7), ("STOPPING", 7), ("STOPPED", 0), ("RUNNING", 8)], {"stopProcess": 70}, id="was-stopping"
        ),
        pytest.param([("RUNNING", 7), ("EXITED", 0), ("RUNNING", 8)], {"startProcess": 60}, id="autorestart-was-first"),
        pytest.param([("FATAL", 0), ("FATAL", 0), ("BACKOFF", 0), ("RUNNING", 8)],
                     {"stopProcess": 70, "startProcess": 50}, id="spawn-error-then-tries-again"),
    ],
)  # fmt: skip
def test_restart_goes_through(script: tuple[Script, TargetRef], states: list[State], faults: dict[str, int]) -> None:
    fake, target = script
    fake.states, fake.faults = list(states), {name: Fault(code, name) for name, code in faults.items()}
    assert backend.restart(target, attempt(5)).facts["pid"] == 8
    assert fake.ordered == ["stopProcess", "startProcess"]


@pytest.mark.parametrize(
    ("states", "faults", "error", "message"),
    [
        ([("RUNNING", 7), ("STOPPING", 7)], {}, EffectUncertain, "web:web was told to stop; then the 0.4 s .* over"),
        ([("RUNNING", 7), ("STOPPED", 0), ("STARTING", 8)], {}, EffectUncertain, "stopped and told to start; then"),
        ([("RUNNING", 7), ("STOPPED", 0), ("FATAL", 0)], {}, EffectUncertain, "but web:web is FATAL: too quick"),
        ([("RUNNING", 7)], {"stopProcess": 6}, EffectNotStarted, "refuses: stopProcess"),
        ([("UNKNOWN", 0)], {"stopProcess": 70, "startProcess": 30}, EffectNotStarted, "supervisord cannot start it"),
        (
            [("RUNNING", 7), ("STOPPED", 0)],
            {"startProcess": 21},
            EffectUncertain,
            "was stopped, but supervisord cannot",
        ),
    ],
)
def test_restart_breaks_off(
    script: tuple[Script, TargetRef],
    states: list[State],
    faults: dict[str, int],
    error: type[EffectError],
    message: str,
) -> None:
    fake, target = script
    fake.states, fake.faults = list(states), {name: Fault(code, name) for name, code in faults.items()}
    with pytest.raises(error, match=message):
        backend.restart(target, attempt(0.4))
