"""Many browsers in one process, as far as the server can tell: raw websockets that read, answer beats and count.

They must not be what limits a benchmark, so a frame that many of them get is parsed once. Started by bench.live with a
file that says where to connect and how (see `Crowd`); talks in lines: it says `ready` when all are connected and told
how things stand, then answers each `report` or `arrived` on its input with a line of JSON, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

import uvloop

AT_ONCE = 20
MARK = re.compile(r"bench-(\d+)-")
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Read(NamedTuple):
    """What a frame says: the change it shows (-1 when none), and for ours the chain of numbers of that piece."""

    kind: str
    mark: int = -1
    v: int = -1
    after: int = -1


@dataclass
class Crowd:
    """`key` is the piece that changes (ours; "" for the others), `hello` what each says once it is connected."""

    host: str
    port: int
    path: str
    origin: str
    cookies: list[str]
    hello: str
    key: str
    seen: dict[bytes, Read] = field(default_factory=dict)
    arrived: dict[int, array[float]] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)

    def read(self, payload: bytes) -> Read:
        """The same bytes mean the same to everybody."""
        found = self.seen.get(payload)
        if found is None:
            if len(self.seen) > 1000:
                self.seen.clear()
            found = self.seen[payload] = self._parse(payload.decode())
        return found

    def _parse(self, text: str) -> Read:
        if not self.key:
            mark = MARK.search(text)
            return Read("change", int(mark[1])) if mark else Read("other")
        frame = json.loads(text)
        if "hello" in frame:
            return Read("hello", v=frame["frames"].get(self.key, -1))
        if "beat" in frame:
            return Read("beat")
        if "resync" in frame:
            return Read("resync")
        for piece in frame["fragments"]:
            mark = MARK.search(piece["html"]) if piece["key"] == self.key else None
            if mark:
                return Read("change", int(mark[1]), piece["v"], piece["after"])
        return Read("other")


class Client(asyncio.Protocol):
    def __init__(self, crowd: Crowd, cookie: str, joined: asyncio.Future[None]) -> None:
        self.crowd, self.cookie, self.joined = crowd, cookie, joined
        self.buffer = b""
        self.upgraded = False
        self.heard, self.frames = 0, 0
        self.last, self.v = -1, -1
        self.lost = 0
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        crowd = self.crowd
        lines = [f"GET {crowd.path} HTTP/1.1", f"Host: {crowd.host}:{crowd.port}", "Upgrade: websocket"]
        lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        lines += [f"Origin: {crowd.origin}", f"Cookie: {self.cookie}"]
        lines += ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"]  # as browsers do
        self.transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data if self.buffer else data
        if not self.upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self.buffer = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise SystemExit(f"refused: {head[:200]!r}")
            self.upgraded = True
            if self.crowd.hello:
                self.say(TEXT, self.crowd.hello.encode())
            else:
                self._join()
        at = 0
        while (frame := _frame(data, at)) is not None:
            opcode, start, at = frame
            self._take(opcode, data[start:at])
        self.buffer = data[at:]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.say(PONG, payload)
        if opcode != TEXT:
            return
        read = self.crowd.read(payload)
        self.heard += 1
        if read.kind == "change":
            self._changed(read)
        elif read.kind == "beat":
            self.say(TEXT, b'{"pong":1}')
        elif read.kind == "resync":
            self.lost += 1
        elif read.kind == "hello":
            self.v = read.v
            self._join()

    def _changed(self, read: Read) -> None:
        now = time.monotonic()
        self.frames += 1
        if self.crowd.key:
            self.lost += read.after != self.v
            self.v = read.v
        else:
            self.lost += read.mark != self.last + 1
        for mark in range(self.last + 1, read.mark + 1):  # several changes may have come in one frame
            self.crowd.arrived.setdefault(mark, array("d")).append(now)
        self.last = read.mark

    def say(self, opcode: int, payload: bytes) -> None:
        """Masked with zeros: as valid as any other mask, and cheaper."""
        size = len(payload)
        head = bytes([0x80 | opcode, 0x80 | size]) if size < 126 else bytes([0x80 | opcode, 0xFE]) + size.to_bytes(2)
        self.transport.write(head + b"\0\0\0\0" + payload)

    def _join(self) -> None:
        if not self.joined.done():
            self.joined.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.joined.done():
            self.joined.set_exception(ConnectionError("closed before it was told anything"))


def _frame(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Opcode, begin and end of the payload of the unmasked frame at `at`; None while it is not whole."""
    have = len(data) - at
    if have < 2:
        return None
    size, start = data[at + 1], at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if have < 2 + width:
            return None
        size, start = int.from_bytes(data[start : start + width]), start + width
    return (data[at] & 15, start, start + size) if start + size <= len(data) else None


async def main(path: str) -> None:
    crowd = Crowd(**json.loads(Path(path).read_text()))
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(AT_ONCE)

    async def connect(cookie: str) -> None:
        async with gate:
            joined: asyncio.Future[None] = loop.create_future()
            _, client = await loop.create_connection(lambda: Client(crowd, cookie, joined), crowd.host, crowd.port)
            crowd.clients.append(client)
            await asyncio.wait_for(joined, 60)

    await asyncio.gather(*(connect(cookie) for cookie in crowd.cookies))
    print("ready", flush=True)
    while asked := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        print(json.dumps(arrived(crowd) if asked == "arrived" else report(crowd)), flush=True)
    os._exit(0)  # a thousand goodbyes are nothing to measure


def report(crowd: Crowd) -> dict[str, int]:
    return {
        "heard": sum(client.heard for client in crowd.clients),
        "frames": sum(client.frames for client in crowd.clients),
        "least": min(client.last for client in crowd.clients),
        "lost": sum(client.lost for client in crowd.clients),
        "closed": sum(client.closed for client in crowd.clients),
    }


def arrived(crowd: Crowd) -> dict[int, list[float]]:
    """When each change came, once per browser."""
    return {mark: list(times) for mark, times in crowd.arrived.items()}


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
