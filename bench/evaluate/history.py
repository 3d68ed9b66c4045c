"""Writes past samples of many series into a Prometheus, by remote write: an hour of history in a second.

Formats: protobuf's wire format (https://prometheus.io/docs/concepts/remote_write_spec/), in snappy's block format
without compression.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.evaluate.server import local
from remediation.series import Floats, Labels

SERIES_A_REQUEST = 500
STRETCH_S = 1500
"""Prometheus takes samples at most an hour older than the newest one it has, so time goes before series."""


def write(url: str, labels: Sequence[Labels], times: Floats, values: Floats) -> None:
    """times (T,) in seconds since the epoch, ascending; values (S, T); labels of the S series, with __name__.
    Raises OSError."""
    first = 0
    while first < len(times):
        last = int(np.searchsorted(times, times[first] + STRETCH_S, side="right"))
        for start in range(0, len(labels), SERIES_A_REQUEST):
            some = slice(start, start + SERIES_A_REQUEST)
            _post(url, _body(labels[some], times[first:last], values[some, first:last]))
        first = last


def _body(labels: Sequence[Labels], times: Floats, values: Floats) -> bytes:
    samples = _samples(times, values)
    return b"".join(_message(1, _pairs(one) + row.tobytes()) for one, row in zip(labels, samples, strict=True))


def _pairs(labels: Labels) -> bytes:
    """Labels are sorted, as the receiver demands."""
    return b"".join(
        _message(1, _message(1, name.encode()) + _message(2, labels[name].encode())) for name in sorted(labels)
    )


def _samples(times: Floats, values: Floats) -> NDArray[np.uint8]:
    """(S, T, 18): a Sample each, as field 2 of its series: a double, and the milliseconds in six bytes."""
    found = np.empty((*values.shape, 18), dtype=np.uint8)
    found[..., 0], found[..., 1] = 0x12, 16
    found[..., 2] = 0x09
    found[..., 3:11] = np.ascontiguousarray(values, dtype="<f8").view(np.uint8).reshape(*values.shape, 8)
    found[..., 11] = 0x10
    stamps = np.rint(times * 1000).astype(np.int64)
    assert stamps.min() >= 1 << 35, "a time that takes fewer than six bytes"
    assert stamps.max() < 1 << 42, "a time that takes more than six bytes"
    for place in range(6):
        more = 0x80 if place < 5 else 0
        found[..., 12 + place] = (stamps >> 7 * place & 0x7F | more).astype(np.uint8)
    return found


def _message(field: int, body: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _post(url: str, body: bytes) -> None:
    literal = _varint(len(body)) + b"\xfc" + (len(body) - 1).to_bytes(4, "little") + body
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    local.post(f"{url}/api/v1/write", data=literal, headers=headers, timeout=60).raise_for_status()
