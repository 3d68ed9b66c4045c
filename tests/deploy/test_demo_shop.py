"""The parts of the shop that can be wrong without any server: the store's roles, demand, switches, files."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import files, stack
from deploy.demo.config import PORT_NAMES, DemoConfig
from deploy.demo.shop.service import Reply, Request, Service
from deploy.demo.shop.store import Store
from deploy.demo.shop.traffic import Demand


def request(body: Any = None, **query: str) -> Request:
    return Request(words=(), query=query, body=body)


def copy(source: Store, reader: Store) -> None:
    """One round of what `Store.follow` does over HTTP."""
    answer: Any = source.since(request(after=str(reader.seq))).body
    reader.learn(answer)


@pytest.fixture
def pair() -> tuple[Store, Store]:
    """A primary with one order, and a standby that has it too."""
    primary, standby = Store(primary=True), Store(primary=False)
    primary.order(request({"id": "a"}))
    copy(primary, standby)
    copy(primary, standby)
    return primary, standby


def test_standby_copies_and_refuses_writes(pair: tuple[Store, Store]) -> None:
    primary, standby = pair
    primary.done(request({"id": "a"}))
    copy(primary, standby)
    assert standby.orders == primary.orders == {"a": {"id": "a", "done": True}}
    assert standby.order(request({"id": "b"})).status == 503


def test_standby_takes_writes_once_promoted(pair: tuple[Store, Store]) -> None:
    _, standby = pair
    standby.promote(request())
    assert standby.order(request({"id": "b"})).status == 200
    assert list(standby.orders) == ["a", "b"]


def test_old_primary_steps_down_and_takes_a_whole_copy(pair: tuple[Store, Store]) -> None:
    old, new = pair
    old.order(request({"id": "lost"}))
    new.promote(request())
    copy(old, new)
    assert new.primary
    copy(new, old)
    copy(new, old)
    assert (old.primary, list(old.orders)) == (False, ["a"])


def test_restarted_node_copies_what_it_lost(pair: tuple[Store, Store]) -> None:
    _, primary = pair
    primary.promote(request())
    restarted = Store(primary=False)
    copy(primary, restarted)
    copy(primary, restarted)
    assert restarted.orders == primary.orders


def test_standby_that_missed_too_much_takes_a_whole_copy(pair: tuple[Store, Store]) -> None:
    primary, standby = pair
    for number in range(3000):
        primary.order(request({"id": str(number)}))
    copy(primary, standby)
    assert (standby.seq, len(standby.orders)) == (primary.seq, 3001)


def test_demand_changes_and_changes_back_by_itself() -> None:
    demand = Demand()
    usual = demand.orders()
    demand.turn({"extra_orders": 24, "for_s": 60})
    assert demand.orders() == pytest.approx(usual + 24, rel=0.05)
    demand.turn({"extra_orders": 24, "for_s": -1})
    demand.turn({"factor": 0.1, "for_s": 60})
    assert demand.orders() == pytest.approx(usual * 0.1, rel=0.05)


def test_switches_break_requests_and_ignore_what_they_do_not_know() -> None:
    service = Service("app", {("GET", "items"): ("browse", lambda _: Reply())})
    assert service.answer("GET", "/items/1", None).status == 200
    service.on_control({"error_ratio": 1.0, "answer": 42})
    assert service.answer("GET", "/items/1", None).status == 500
    assert service.answer("GET", "/nothing", None).status == 404


def config_in(folder: Path) -> DemoConfig:
    ports = {name: 18000 + offset for offset, name in enumerate(PORT_NAMES)}
    return DemoConfig(folder=folder, sockets=folder, homeostat_port=8000, ports=ports)


def test_config_survives_its_file(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    config.save()
    assert DemoConfig.load(config.path) == config


def test_paths_with_a_percent_sign_survive_supervisord(tmp_path: Path) -> None:
    assert "/100%%/" in files.supervisord(config_in(tmp_path / "100%" / "demo"))


def test_taken_ports_move_the_demo_to_the_next_block() -> None:
    first = stack.choose_ports(8000)
    with socket.socket() as taken:
        # A demo that has just ended leaves connections behind that would refuse a plain bind.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", first["queue"]))
        taken.listen()
        second = stack.choose_ports(8000)
    assert set(first.values()) & set(second.values()) == set()


def test_two_demos_that_start_together_choose_other_ports() -> None:
    """Nothing listens yet when the second one chooses."""
    ask = "import sys; from deploy.demo.stack import choose_ports as choose; print(choose(8000)['queue'], flush=True)"
    ask += "; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", ask], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        chosen = int(other.stdout.readline())
        assert chosen not in stack.choose_ports(8000).values()
        other.stdin.close()
    assert other.returncode == 0


def test_homeostats_own_port_is_left_alone() -> None:
    first = stack.choose_ports(8000)
    assert first["queue"] not in stack.choose_ports(first["queue"]).values()


def test_no_block_of_ports_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "BLOCKS", 0)
    with pytest.raises(stack.NoPortsError, match="ports in a row"):
        stack.choose_ports(8000)


def test_sockets_of_a_deep_home_go_elsewhere_and_stay_private(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    found = stack.socket_folder(deep)
    try:
        assert len(str(found / "supervisor.sock")) <= stack.LONGEST_SOCKET
        assert found.stat().st_mode & 0o777 == 0o700
        assert stack.socket_folder(deep) == found
    finally:
        found.rmdir()
