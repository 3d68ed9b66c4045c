"""Reading what supervisord and HAProxy say: pure."""

from __future__ import annotations

import pytest

from remediation.exceptions import EffectNotStarted
from remediation.targets.haproxy import active_of
from remediation.targets.haproxy_runtime import Server, admin_of, parse_servers
from remediation.targets.supervisord_members import Member, name_order, parse_member, to_start, to_stop

STATES = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port
3 db 1 a 127.0.0.1 0 0 1 1 5432
3 db 2 b 2001:db8::1 2 5 0 1 5433

"""
STATS = """# pxname,svname,scur,status,weight,bck,last_chk,
db,a,3,DOWN 1/2,1,0,"Connection refused, twice",
db,b,0,MAINT,0,1,,

"""


def test_servers_are_read_from_both_answers() -> None:
    assert parse_servers(STATES, STATS) == {
        "a": Server(name="a", address="127.0.0.1", port=5432, admin="ready", weight=1, backup=False,
                    status="DOWN 1/2", sessions=3),
        "b": Server(name="b", address="2001:db8::1", port=5433, admin="maint", weight=0, backup=True,
                    status="MAINT", sessions=0),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("states", "stats"),
    [
        ("", ""),
        ("Can't find backend.", STATS),
        (STATES.replace("1\n#", "2\n#", 1), STATS),
        (STATES, "No such proxy."),
        (STATES, STATS.replace("db,b", "db,c")),
        (STATES.replace("5432", "port"), STATS),
        (STATES.replace(" 5432", ""), STATS),
        ("1\n", STATS),
    ],
)
def test_servers_that_cannot_be_read_are_not_guessed(states: str, stats: str) -> None:
    with pytest.raises(EffectNotStarted):
        parse_servers(states, stats)


@pytest.mark.parametrize(
    ("bits", "admin"),
    [(0, "ready"), (0x04, "ready"), (0x01, "maint"), (0x05, "maint"), (0x02, "maint"), (0x20, "maint"),
     (0x08, "drain"), (0x10, "drain"), (0x09, "maint")],
)  # fmt: skip
def test_admin_state_from_its_bits(bits: int, admin: str) -> None:
    assert admin_of(bits) == admin


@pytest.mark.parametrize(
    ("primary", "standby", "active"),
    [
        (("ready", False), ("maint", False), "a"),
        (("maint", False), ("ready", False), "b"),
        (("ready", False), ("ready", True), "a"),
        (("ready", True), ("ready", False), "b"),
        (("ready", False), ("ready", False), "a"),
        (("drain", False), ("maint", True), ""),
    ],
)
def test_active_is_the_one_that_was_told_to_take_traffic(
    primary: tuple[str, bool], standby: tuple[str, bool], active: str
) -> None:
    def server(name: str, admin: str, backup: bool) -> Server:
        return Server(name=name, address="", port=0, admin=admin, weight=1, backup=backup, status="DOWN", sessions=0)  # type: ignore[arg-type]

    assert active_of(server("a", *primary), server("b", *standby)) == active


def member(name: str, state: str = "STOPPED") -> Member:
    return Member(group="g", name=name, state=state, pid=0, error="")


def test_members_are_ordered_by_their_numbers() -> None:
    names = ["w_10", "w_2", "w", "v_3", "10", "9", "w_2b", "w_02"]
    ordered = sorted(map(member, names), key=name_order)
    assert [one.name for one in ordered] == ["9", "10", "v_3", "w", "w_2", "w_02", "w_2b", "w_10"]


def test_only_members_that_stand_are_started_and_only_those_that_run_are_stopped() -> None:
    states = ["RUNNING", "STOPPED", "STARTING", "STOPPING", "BACKOFF", "EXITED", "FATAL", "UNKNOWN", "RUNNING"]
    members = [member(f"w_{number}", state) for number, state in enumerate(states)]
    assert [one.name for one in to_start(members, 9)] == ["w_1", "w_5", "w_6"]
    assert [one.name for one in to_start(members, 1)] == ["w_1"]
    assert [one.name for one in to_stop(members, 9)] == ["w_8", "w_2", "w_0"]
    assert to_stop(members, 0) == []


def test_a_process_is_read_without_its_old_error() -> None:
    row = {"group": "g", "name": "n", "statename": "RUNNING", "pid": 7, "spawnerr": "long ago"}
    assert str(parse_member(row)) == "g:n is RUNNING with pid 7"
    assert str(parse_member({**row, "statename": "FATAL", "pid": 0})) == "g:n is FATAL: long ago"


@pytest.mark.parametrize(
    "row", [{}, {"hello": 1}, [], "x", None, {"statename": "RUNNING", "group": "", "name": "", "pid": "x"}]
)
def test_what_is_no_process_is_not_read_as_one(row: object) -> None:
    with pytest.raises(EffectNotStarted, match=r"not a supervisord"):
        parse_member(row)  # type: ignore[arg-type]
