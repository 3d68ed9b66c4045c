"""A real Prometheus for unit tests: on a port of this machine only, in a folder that is gone afterwards.

It is filled by remote write, so that hand-written series may have gaps and end. Formats: protobuf's wire format and
snappy's block format, both of which a few lines can write. https://prometheus.io/docs/concepts/remote_write_spec/
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from remediation.exceptions import ConfigurationError
from remediation.series import Labels

VARIABLE = "HOMEOSTAT_PROMETHEUS_BIN"
START_S = 30.0
STALE_NAN = 0x7FF0000000000002
"""The NaN by which Prometheus marks the end of a series."""

Write = tuple[Labels, float, float | None]
"""Labels with the name, seconds since the epoch, and the value; None ends the series."""


@dataclass(frozen=True)
class Store:
    url: str
    session: requests.Session

    def write(self, samples: Iterable[Write]) -> None:
        body = b"".join(_message(1, _series(*sample)) for sample in samples)
        if not body:
            return
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        answer = self.session.post(f"{self.url}/api/v1/write", data=_snappy(body), headers=headers, timeout=30)
        if not answer.ok:
            raise ConfigurationError(f"the Prometheus of the test refuses these series: {answer.text.strip()[:300]}")


def binary() -> str:
    """Raises ConfigurationError that says how to get one."""
    chosen = os.environ.get(VARIABLE, "")
    found = shutil.which(chosen or "prometheus")
    if found is None:
        where = f"{VARIABLE} names {chosen!r}, which cannot be run" if chosen else "it is not on the PATH"
        raise ConfigurationError(
            f"Unit tests of rules need the program prometheus to answer their queries, and {where}. Install it, or "
            f"name it: {VARIABLE}=/path/to/prometheus. `manage.py rules check` needs nothing."
        )
    return found


@contextmanager
def running() -> Iterator[Store]:
    """An empty Prometheus that scrapes nothing; ended and forgotten when the block is left."""
    program = binary()
    with tempfile.TemporaryDirectory(prefix="homeostat-rules-") as name:
        folder = Path(name)
        (folder / "prometheus.yml").write_text("global: {}\n")
        address = f"127.0.0.1:{_free_port()}"
        arguments = [
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={address}",
            "--web.enable-remote-write-receiver",
            "--log.level=error",
        ]
        log = folder / "log"
        with log.open("wb") as output, requests.Session() as session:
            session.trust_env = False  # no proxy stands between us and our own port
            process = subprocess.Popen([program, *arguments], stdout=output, stderr=output)
            try:
                store = Store(f"http://{address}", session)
                _await(store, process, log)
                yield store
            finally:
                process.kill()
                process.wait()


def _await(store: Store, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if store.session.get(f"{store.url}/-/ready", timeout=2).ok:
                return
        except requests.RequestException:
            pass  # it is not there yet
        time.sleep(0.05)
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    raise ConfigurationError(f"The Prometheus of the test did not start: {' '.join(last) or 'it said nothing'}")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _series(labels: Labels, at: float, value: float | None) -> bytes:
    """A TimeSeries with one sample. Labels are sorted, as the receiver demands."""
    pairs = (_message(1, _text(1, name) + _text(2, labels[name])) for name in sorted(labels) if labels[name])
    number = struct.pack("<Q", STALE_NAN) if value is None else struct.pack("<d", value)
    sample = b"\x09" + number + b"\x10" + _varint(round(at * 1000))
    return b"".join(pairs) + _message(2, sample)


def _message(field: int, body: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(body)) + body


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _varint(number: int) -> bytes:
    """Seven bits a byte; negative numbers as their two's complement of 64 bits."""
    number &= 0xFFFFFFFFFFFFFFFF
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _snappy(body: bytes) -> bytes:
    """Not compressed: one literal."""
    return _varint(len(body)) + b"\xfc" + struct.pack("<I", len(body) - 1) + body
