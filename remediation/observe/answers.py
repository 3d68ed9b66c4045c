"""The answers of Prometheus' HTTP API, checked before anything believes them. Raises ObserveError throughout:
SourceFailed for what no source answers, so that one rule's unusable answer does not count against the source.

Format: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, TypeVar

import numpy as np
import orjson

from remediation.exceptions import ObserveError
from remediation.observe.wording import error_class, excerpt, not_understood
from remediation.series import Floats, Labels

T = TypeVar("T")

LARGE = 1_000_000
"""Bytes from which the garbage collector is paused while parsing: half the time, and nothing here is garbage yet."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """One series: times (N,) in seconds since the epoch, ascending; values (N,), NaN and infinities as they came."""

    labels: Labels
    times: Floats
    values: Floats


@dataclass(frozen=True, kw_only=True)
class Answer:
    """kind: vector, matrix or scalar (one series without labels). A warning means that something is missing."""

    kind: str
    series: tuple[Samples, ...]
    warnings: tuple[str, ...] = ()


def envelope(body: bytes, content_type: str, origin: str) -> dict[str, Any]:
    """The outer object of an answer with HTTP status 200; `status` is success."""
    try:
        with _unhurried(len(body)):
            found = orjson.loads(body)
    except ValueError:
        raise not_understood(origin, content_type) from None
    if not isinstance(found, dict) or found.get("status") not in ("success", "error"):
        raise not_understood(origin, content_type)
    if found["status"] == "error":
        raise error_class(found.get("errorType"))(excerpt(found.get("error", "an error without words")))
    return found


def part(answer: dict[str, Any], name: str, kind: type[T], origin: str) -> T:
    """`data`, or one field of it, of the type it must have."""
    found = answer.get("data")
    if name:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, kind):
        raise not_understood(origin)
    return found


def read(answer: dict[str, Any], origin: str) -> Answer:
    """The series of a query's answer."""
    kind = part(answer, "resultType", str, origin)
    result = part(answer, "result", list, origin)
    if kind == "string":
        raise ObserveError("the query gives a text; ask for numbers")
    with reading(origin):
        warnings = tuple(excerpt(text) for text in answer.get("warnings") or ())
        if kind == "scalar":
            return Answer(kind=kind, series=_samples([{}], [[result]]), warnings=warnings)
        if kind not in ("vector", "matrix"):
            raise not_understood(origin)
        if any("histogram" in item or "histograms" in item for item in result):
            raise ObserveError("the query gives native histograms; ask for numbers, as with histogram_quantile()")
        points = [item["values"] for item in result] if kind == "matrix" else [[item["value"]] for item in result]
        series = _samples([_storable(item["metric"]) for item in result], points)
        return Answer(kind=kind, series=series, warnings=warnings)


def labels(found: object) -> Labels:
    """A label set, both sides texts. Raises TypeError."""
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise TypeError("labels")
    return found


def _storable(found: object) -> Labels:
    """The labels of a series, which become rows: PostgreSQL keeps no NUL in a text, and no JSON answer that has passed
    `envelope` holds a lone surrogate. Raises TypeError, ObserveError."""
    sound = labels(found)
    if "\0" in "".join(sound) or "\0" in "".join(sound.values()):
        raise ObserveError("a label of a series holds a NUL character, which cannot be stored; leave it out")
    return sound


@contextmanager
def reading(origin: str) -> Iterator[None]:
    """Whatever has another shape than documented is a SourceFailed."""
    try:
        yield
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        raise not_understood(origin) from None


def _samples(labels: list[Labels], points: list[list[Any]]) -> tuple[Samples, ...]:
    """points: of each series, [seconds, "number"] each. All series at once: most answers are many short ones, where an
    array of its own for each would cost more than the rest."""
    every = list(chain.from_iterable(points))
    if set(map(len, every)) - {2}:
        raise ValueError("points")
    flat = list(chain.from_iterable(every))
    if set(map(type, flat[1::2])) - {str}:
        raise TypeError("values")
    times = np.array(flat[0::2], dtype=np.float64)
    values = np.fromiter(map(float, flat[1::2]), np.float64, len(every))
    ends = list(accumulate(map(len, points)))
    return tuple(
        Samples(labels=one, times=times[begin:end], values=values[begin:end])
        for one, begin, end in zip(labels, [0, *ends], ends, strict=False)
    )


@contextmanager
def _unhurried(size: int) -> Iterator[None]:
    paused = size > LARGE and gc.isenabled()
    if paused:
        gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()
