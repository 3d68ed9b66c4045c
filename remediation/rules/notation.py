"""Series as unit tests write them: `up{job="a"}` with `1 1 0x3 _ stale 5+10x2`. From: promtool's test files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from remediation import matchers
from remediation.exceptions import ConfigurationError
from remediation.series import Labels

MAX_SAMPLES = 1_000_000


class Mark(Enum):
    MISSING = "_"
    STALE = "stale"


Sample = float | Mark

_DIGITS = r"(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[iI]nf|[nN]a[nN])"
_ITEM = re.compile(
    rf"(?P<mark>_|stale)(?:x(?P<gaps>\d{{1,9}}))?"
    rf"|(?P<first>[+-]?{_DIGITS})(?P<step>[+-]{_DIGITS})?(?:x(?P<times>\d{{1,9}}))?"
)
_SERIES = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?P<labels>\{.*\})?", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Given:
    """One hand-written series, with its name under `__name__`; a sample each interval from the start on."""

    labels: Labels
    samples: tuple[Sample, ...]


def given(series: str, values: str) -> Given:
    """Raises ConfigurationError."""
    return Given(labels=labels_of(series), samples=samples_of(values))


def labels_of(series: str) -> dict[str, str]:
    match = _SERIES.fullmatch(series.strip())
    if match is None or not series.strip():
        raise ConfigurationError(f'{series!r} is no series; write it like up{{job="cart"}}')
    asked = matchers.parse(match["labels"] or "{}")
    if any(item.op != "=" for item in asked):
        raise ConfigurationError(f"{series!r} is no series: its labels must be equal to something")
    return ({"__name__": match["name"]} if match["name"] else {}) | {item.name: item.value for item in asked}


def samples_of(values: str) -> tuple[Sample, ...]:
    """`a+bxn` is a, then n times b more; `axn` is a and n times a again; `_xn` is n times nothing."""
    found: list[Sample] = []
    for item in values.split():
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ConfigurationError(f"{item!r} is no value; write 5, 0+10x3, _, stale or NaN")
        count = int(match["gaps"] or match["times"] or (1 if match["mark"] else 0))
        if len(found) + count > MAX_SAMPLES:
            raise ConfigurationError(f"{item!r} is more than {MAX_SAMPLES} samples")
        if match["mark"]:
            found += [Mark(match["mark"])] * count
        else:
            first, step = float(match["first"]), float(match["step"] or 0)
            found += [first + step * turn for turn in range(count + 1)]
    return tuple(found)
