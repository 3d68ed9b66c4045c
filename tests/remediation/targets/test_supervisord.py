"""The supervisord backend against a real supervisord."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediation import registry
from remediation.act.restart import Restart
from remediation.act.scale import Scale
from remediation.exceptions import ConfigurationError, EffectNotStarted, EffectUncertain, OwnProcess
from remediation.targets.base import TargetRef
from remediation.targets.supervisord import Supervisord

from .conftest import (
    FAILING,
    SLEEPER,
    STUBBORN,
    attempt,
    eventually,
    free_port,
    program,
    ref,
    short_folder,
    supervisord,
)

pytestmark = pytest.mark.real

MEMBERS = {"process_name": "%(program_name)s_%(process_num)d", "numprocs": 12, "autostart": "false"}
PROGRAMS = [
    program("web", SLEEPER, startsecs=1),
    program("deaf", STUBBORN),
    program("frozen", SLEEPER),
    program("gone", SLEEPER),
    program("failing", FAILING, startsecs=1, startretries=1, autostart="false"),
    program("slow", SLEEPER, stopwaitsecs=60),
    program("missing", SLEEPER, command="/nowhere/at/all", autostart="false"),
    program("pool", SLEEPER, **MEMBERS),
]

backend = Supervisord()
PASSWORD = "open sesame"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def url(folder: Path, port: int) -> Iterator[str]:
    http = f"[inet_http_server]\nport=127.0.0.1:{port}\nusername=op\npassword={PASSWORD}\n"
    with supervisord(folder, *PROGRAMS, http=http):
        url = f"unix://{folder}/s"
        eventually(lambda: backend.state(process(url, "web"))["state"] == "RUNNING")
        yield url


def process(url: str, name: str) -> TargetRef:
    return ref("supervisord", url=url, process=f"{name}:{name}")


def pool(url: str, **params: object) -> TargetRef:
    return ref("supervisord", url=url, group="pool", **{"minimum": 0, **params})


def test_restart_of_a_running_process_returns_once_it_runs_with_a_new_pid(url: str) -> None:
    target, verb = process(url, "web"), Restart()
    call = verb.preview(backend, target, registry.Params())
    assert call.text == f"supervisorctl -s {url} restart web:web"
    effect = verb.execute(backend, target, call, attempt())
    after = backend.state(target)
    assert after == {"state": "RUNNING", "pid": effect.facts["pid"]}
    assert effect.facts["pid_before"] == call.before["pid"] != after["pid"]
    assert verb.probe(backend, target, call).done is True


def test_restart_of_an_exited_process_starts_it(url: str) -> None:
    target = process(url, "gone")
    os.kill(backend.state(target)["pid"], signal.SIGKILL)
    eventually(lambda: backend.state(target)["state"] == "EXITED")
    backend.restart(target, attempt())
    assert backend.state(target)["state"] == "RUNNING"


@pytest.mark.parametrize("name", ["frozen", "deaf"])
def test_restart_of_a_process_that_does_not_go_has_it_killed(url: str, name: str, folder: Path) -> None:
    target = process(url, name)
    pid = backend.state(target)["pid"]
    if name == "frozen":
        os.kill(pid, signal.SIGSTOP)
    else:
        eventually(lambda: "deaf" in next(folder.glob("deaf-stdout*")).read_text())
    began = time.monotonic()
    backend.restart(target, attempt())
    assert time.monotonic() - began >= 1  # its stopwaitsecs: the grace it was promised
    assert backend.state(target)["pid"] != pid
    assert not Path(f"/proc/{pid}").exists()


def test_restart_is_refused_when_supervisord_may_take_longer_than_the_deadline(url: str) -> None:
    target, verb = process(url, "slow"), Restart()
    call = verb.preview(backend, target, registry.Params())
    with pytest.raises(EffectNotStarted, match=r"60 s to stop .* the deadline is 10 s"):
        verb.execute(backend, target, call, attempt())
    assert verb.probe(backend, target, call).done is False


def test_restart_of_a_program_that_cannot_run_says_so(url: str) -> None:
    with pytest.raises(EffectUncertain, match=r"failing:failing is FATAL: Exited too quickly"):
        backend.restart(process(url, "failing"), attempt())
    with pytest.raises(EffectNotStarted, match=r"NO_FILE"):
        backend.restart(process(url, "missing"), attempt())


def test_an_unknown_process_or_group_is_named(url: str) -> None:
    for target, message in [
        (process(url, "nobody"), "has no process named nobody:nobody"),
        (ref("supervisord", url=url, group="nobody"), "has no group named nobody"),
    ]:
        with pytest.raises(EffectNotStarted, match=message):
            backend.state(target)
        with pytest.raises(ConfigurationError, match=message):
            backend.check(target)


def test_discover_lists_every_process_as_parameters(url: str) -> None:
    found = backend.discover(backend.parse({"url": url, "process": "x"}))
    assert {"url": url, "process": "web:web"} in found
    assert len(found) == 7 + 12
    backend.parse(dict(found[0]))


def test_http_asks_for_the_password_it_finds_by_reference(url: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERVISOR_PASSWORD", PASSWORD)
    params = {"url": f"http://localhost:{port}", "process": "web", "username": "op"}
    good = ref("supervisord", **params, secret_ref="env:SUPERVISOR_PASSWORD")
    backend.check(good)
    assert backend.state(good) == backend.state(process(url, "web"))
    with pytest.raises(EffectNotStarted, match=r"refuses the username or the password"):
        backend.state(ref("supervisord", **params))
    with pytest.raises(ConfigurationError, match=r"env:NOT_THERE is missing"):
        backend.check(ref("supervisord", **params, secret_ref="env:NOT_THERE"))


def test_scale_starts_the_first_members_by_name_and_stops_the_last(url: str) -> None:
    target, verb = pool(url, maximum=11), Scale()
    call = verb.preview(backend, target, verb.parse({"to": 3}))
    assert call.arguments == {"from": 0, "to": 3}
    verb.execute(backend, target, call, attempt())
    assert backend.state(target) == {"size": 3, "running": ["pool_0", "pool_1", "pool_2"]}
    assert verb.probe(backend, target, call).done is True

    pids = members(url)
    backend.resize(target, 11, attempt())
    assert backend.state(target)["running"][-2:] == ["pool_9", "pool_10"]
    backend.resize(target, 2, attempt())
    assert backend.state(target) == {"size": 2, "running": ["pool_0", "pool_1"]}
    assert {name: pid for name, pid in members(url).items() if pid} == {
        name: pids[name] for name in ("pool_0", "pool_1")
    }

    verb.undo(backend, target, call, attempt())
    assert backend.size(target) == 0
    assert verb.probe(backend, target, call).done is False


def test_scale_beyond_the_limits_names_them(url: str) -> None:
    target, verb = pool(url, maximum=2), Scale()
    backend.resize(target, 2, attempt())
    with pytest.raises(ConfigurationError, match=r"2 run already; 0 to 2 are allowed and 3 were asked for"):
        verb.preview(backend, target, verb.parse({}))
    with pytest.raises(EffectNotStarted, match=r"may have 0 to 2 running members, not 3"):
        backend.resize(target, 3, attempt())
    with pytest.raises(ConfigurationError, match=r"declares 12 members, its minimum is 13"):
        backend.check(pool(url, minimum=13))
    backend.resize(target, 0, attempt())


def test_restart_needs_a_process_and_scale_a_group(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"this target is the group pool"):
        Restart().preview(backend, pool(url), registry.Params())
    with pytest.raises(ConfigurationError, match=r"this target is the process web:web"):
        Scale().preview(backend, process(url, "web"), Scale.parse({}))


def test_own_processes_are_refused_in_the_check_and_before_the_effect(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = process(url, "web")
    before = backend.state(target)
    monkeypatch.setattr("remediation.targets.own.own_pids", lambda: {before["pid"]: "Homeostat's worker"})
    for act in (lambda: backend.check(target), lambda: backend.restart(target, attempt())):
        with pytest.raises(OwnProcess, match=r"web:web \(pid \d+\) is Homeostat's worker"):
            act()
    assert backend.state(target) == before


def test_a_socket_that_is_missing_or_silent_is_said_in_time() -> None:
    missing = process("unix:///nowhere/s", "web")
    with pytest.raises(EffectNotStarted, match=r"cannot connect to /nowhere/s: No such file"):
        backend.restart(missing, attempt())
    with pytest.raises(ConfigurationError, match=r"cannot connect"):
        backend.check(missing)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        target = process(f"http://127.0.0.1:{silent.getsockname()[1]}", "web")
        began = time.monotonic()
        with pytest.raises(EffectNotStarted, match=r"timed out"):
            backend.state(target, timeout_s=0.3)
        assert time.monotonic() - began < 1


def test_supervisord_killed_in_the_middle_of_a_restart_leaves_it_uncertain() -> None:
    with short_folder() as folder, supervisord(folder, program("deaf", STUBBORN, stopwaitsecs=5)) as daemon:
        target = process(f"unix://{folder}/s", "deaf")
        pid = eventually(lambda: backend.state(target)["pid"])
        eventually(lambda: "deaf" in next(folder.glob("deaf-stdout*")).read_text())

        def kill() -> None:
            eventually(lambda: backend.state(target)["state"] == "STOPPING")
            daemon.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            with pytest.raises(EffectUncertain, match=r"deaf:deaf was told to stop; then cannot connect"):
                backend.restart(target, attempt())
        finally:
            killer.join()
            os.kill(pid, signal.SIGKILL)


def members(url: str) -> dict[str, int]:
    found = [backend.state(ref("supervisord", url=url, process=f"pool:pool_{number}")) for number in range(12)]
    return {f"pool_{number}": state["pid"] for number, state in enumerate(found)}
