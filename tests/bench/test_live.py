"""What bench.live says is what happened: a frame that is missing is counted, and an aim that is missed is said."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import live
from bench.live_clients import TEXT, Client, Crowd, arrived, report

ROOT = Path(__file__).resolve().parents[2]


class Wire(asyncio.Transport):
    """What a browser sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))


def crowd_of_one(key: str = "card:1") -> tuple[Crowd, Client, Wire]:
    crowd = Crowd(host="localhost", port=1, path="/", origin="", cookies=["a"], hello="", key=key)
    loop = asyncio.new_event_loop()
    client, wire = Client(crowd, "a", loop.create_future()), Wire()
    loop.close()
    crowd.clients.append(client)
    client.connection_made(wire)
    client.upgraded = True
    return crowd, client, wire


def frame(said: dict[str, Any]) -> bytes:
    payload = json.dumps(said).encode()
    return bytes([0x80 | TEXT, 126]) + len(payload).to_bytes(2) + payload


def piece(number: int, *, v: int, after: int) -> bytes:
    return frame({"v": v, "fragments": [{"key": "card:1", "html": live.mark(number), "v": v, "after": after}]})


@pytest.mark.parametrize(
    ("heard", "lost", "frames", "marks"),
    [
        pytest.param([(0, 1, 0), (1, 2, 1)], 0, 2, [0, 1], id="each change in a frame of its own"),
        pytest.param([(2, 1, 0)], 0, 1, [0, 1, 2], id="three changes in one frame"),
        pytest.param([(0, 1, 0), (2, 3, 2)], 1, 2, [0, 1, 2], id="the frame between two others is missing"),
    ],
)
def test_a_missing_frame_is_counted(
    heard: list[tuple[int, int, int]], lost: int, frames: int, marks: list[int]
) -> None:
    crowd, client, _ = crowd_of_one()
    client.v = 0
    sent = b"".join(piece(number, v=v, after=after) for number, v, after in heard)
    client.data_received(sent[:7])  # a frame may come in two parts
    client.data_received(sent[7:])
    found = report(crowd)
    assert (found["lost"], found["frames"], found["least"]) == (lost, frames, marks[-1])
    assert sorted(arrived(crowd)) == marks


def test_a_browser_answers_beats_and_counts_being_told_to_ask_anew() -> None:
    crowd, client, wire = crowd_of_one()
    client.data_received(frame({"beat": 1}) + frame({"resync": True}))
    assert wire.sent[-1].endswith(b'{"pong":1}')
    assert report(crowd)["lost"] == 1


def measured(name: str, *, cpu_s: float, delay_ms: float = 20, lost: int = 0, frames: int = 1000) -> live.Measured:
    return live.Measured(
        name=name, clients=100, changes=10, frames=frames, cpu_s=cpu_s, took_s=1, delays=[delay_ms], lost=lost, rss_mb=1
    )


@pytest.mark.parametrize(
    ("mine", "layer_s", "missed"),
    [
        pytest.param({"cpu_s": 2.9}, 15, [], id="all reached"),
        pytest.param({"cpu_s": 3.1}, 16, ["CPU per delivery"], id="too dear"),
        pytest.param({"cpu_s": 2.0}, 9, ["less than a consumer"], id="hardly cheaper than the layer"),
        pytest.param({"cpu_s": 2.0, "delay_ms": 101.0}, 15, ["p99"], id="too late"),
        pytest.param({"cpu_s": 2.0, "lost": 1}, 15, ["lost"], id="one lost"),
        pytest.param({"cpu_s": 2.0, "frames": 500}, 21, ["CPU per delivery"], id="fewer frames excuse nothing"),
    ],
)
def test_a_missed_aim_is_said(
    mine: dict[str, Any], layer_s: float, missed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = [measured(live.BARE, cpu_s=1), measured(live.OURS, **mine), measured(live.LAYER, cpu_s=layer_s)]
    assert live.report(found) is not bool(missed)
    said = [line for line in capsys.readouterr().out.splitlines() if "NOT reached" in line]
    assert len(said) == len(missed)
    assert all(words in line for words, line in zip(missed, said, strict=True))


@pytest.mark.real
def test_each_server_brings_every_change_to_everybody() -> None:
    command = [sys.executable, "-m", "bench.live", "--parts", "delivery", "--clients", "4", "--seconds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    table = re.findall(r"^4 +(\S.*?\S)  +10  +\d+ .* (\d+) +\d+ *$", done.stdout, re.MULTILINE)
    assert dict(table) == {live.BARE: "0", live.OURS: "0", live.LAYER: "0"}, done.stdout + done.stderr
