"""Texts of rules in which labels and values are looked up. Pure: nothing is evaluated, whoever wrote them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

_PLACE = re.compile(r"\{\{-?(?P<inside>[^{}]*?)-?\}\}|\{(?P<bare>\w+)\}")
_ATOM = re.compile(r"\$value|\.Value|(?:\$labels|\.Labels)(?:\.\w+)?|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|\||[A-Za-z]\w*|\S")
_VERB = re.compile(r"%%|%(?P<how>[-+]?\d{0,2}(?:\.\d{1,2})?)(?P<verb>[fegsv])|%")
"""Width and precision have two digits at most, so that no text fills the memory."""
_ESCAPED = {r"\"": '"', r"\\": "\\", r"\n": "\n", r"\t": "\t"}

Value = str | float


class _Unknown(Exception):
    """The text between the braces is not one that is looked up."""


def fill(text: str, labels: Mapping[str, str], value: float | None = None) -> str:
    """Replace `{name}`, and of Prometheus' templates the plain look-ups: `{{ $labels.name }}`, `{{ $labels }}` and
    `{{ $value }}`, each passed on, if need be, to humanize, humanize1024, humanizePercentage, humanizeDuration,
    humanizeTimestamp, toUpper, toLower, title or `printf "%.2f"`.

    A look-up, not a template language: what is put in is not looked at again, and whatever is not one of these, or
    names what does not exist, stays as it is written.
    """

    def look_up(match: re.Match[str]) -> str:
        if match["bare"] is not None:
            return labels.get(match["bare"], match[0])
        try:
            return _shown(_piped(match["inside"], labels, value))
        except _Unknown:
            return match[0]

    return _PLACE.sub(look_up, text)


def left_literal(text: str) -> list[str]:
    """The templates in a text that `fill` would leave as they are, whatever the labels."""
    found = []
    for match in _PLACE.finditer(text):
        if match["bare"] is None:
            names = re.findall(r"(?:\$labels|\.Labels)\.(\w+)", match["inside"])
            try:
                _piped(match["inside"], dict.fromkeys(names, "1"), 1.0)
            except _Unknown:
                found.append(match[0])
    return found


def _piped(inside: str, labels: Mapping[str, str], value: float | None) -> Value:
    """`$value | humanize`, `humanize $value`, `printf "%.1f" $value`: the result of the last part of the pipe."""
    result: Value | None = None
    for part in _parts(inside):
        result = _call(part, result, labels, value)
    if result is None:
        raise _Unknown
    return result


def _parts(inside: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for atom in _ATOM.findall(inside):
        if atom == "|":
            parts.append([])
        else:
            parts[-1].append(atom)
    return parts


def _call(part: list[str], piped: Value | None, labels: Mapping[str, str], value: float | None) -> Value:
    if not part:
        raise _Unknown
    name, given = part[0], [_operand(atom, labels, value) for atom in part[1:]]
    arguments = given if piped is None else [*given, piped]
    if name == "printf" and len(arguments) > 1:
        return _printf(arguments[0], arguments[1:])
    if name in _FUNCTIONS and len(arguments) == 1:
        return _FUNCTIONS[name](arguments[0])
    if not arguments:
        return _operand(name, labels, value)
    raise _Unknown


def _operand(atom: str, labels: Mapping[str, str], value: float | None) -> Value:
    if atom in ("$value", ".Value"):
        if value is None:
            raise _Unknown
        return value
    if atom in ("$labels", ".Labels"):
        return f"map[{' '.join(f'{name}:{labels[name]}' for name in sorted(labels))}]"
    if atom.startswith(("$labels.", ".Labels.")):
        name = atom.rpartition(".")[2]
        if name not in labels:
            raise _Unknown
        return labels[name]
    if atom[0] in '"`':
        return atom[1:-1] if atom[0] == "`" else re.sub(r"\\.", lambda m: _ESCAPED.get(m[0], m[0]), atom[1:-1])
    raise _Unknown


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _number(value: Value) -> float:
    try:
        return float(value)
    except ValueError:
        raise _Unknown from None


def _printf(form: Value, values: list[Value]) -> str:
    left = list(values)

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        if match["verb"] is None or not left:
            raise _Unknown
        value = left.pop(0)
        if match["verb"] in "sv":
            return f"%{match['how']}s" % _shown(value)
        return match[0] % _number(value)

    text = _VERB.sub(one, _shown(form))
    if left:
        raise _Unknown
    return text


def _humanize(value: Value) -> str:
    """Metric prefixes: 1.2M, 20m."""
    number = _number(value)
    if number == 0 or not math.isfinite(number):
        return f"{number:.4g}"
    if abs(number) >= 1:
        return _scaled(number, 1000, ("", *"kMGTPEZY"))
    power = min(math.ceil(-math.log10(abs(number)) / 3), 8)
    return f"{number * 1000**power:.4g}{'munpfazy'[power - 1]}"


def _humanize1024(value: Value) -> str:
    """Binary prefixes: 1.5Gi."""
    number = _number(value)
    if abs(number) <= 1 or not math.isfinite(number):
        return f"{number:.4g}"
    return _scaled(number, 1024, ("", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"))


def _scaled(number: float, base: int, prefixes: tuple[str, ...]) -> str:
    """Divided until it is below the base, with the prefix that says so."""
    place = 0
    while abs(number) >= base and place < len(prefixes) - 1:
        number, place = number / base, place + 1
    return f"{number:.4g}{prefixes[place]}"


def _duration(value: Value) -> str:
    """1h 30m 0s; 20ms."""
    number = _number(value)
    if not math.isfinite(number):
        return f"{number:.4g}"
    if abs(number) < 1:
        return f"{_humanize(number)}s"
    sign, whole = "-" if number < 0 else "", int(abs(number))
    days, hours, minutes, seconds = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if whole < 60:
        return f"{number:.4g}s"
    parts = [f"{days}d"] if days else []
    parts += [f"{hours}h"] if days or hours else []
    return sign + " ".join([*parts, f"{minutes}m", f"{seconds}s"])


def _timestamp(value: Value) -> str:
    try:
        return f"{datetime.fromtimestamp(_number(value), UTC):%Y-%m-%d %H:%M:%S} +0000 UTC"
    except (ValueError, OverflowError, OSError):
        raise _Unknown from None


_FUNCTIONS: Mapping[str, Callable[[Value], str]] = {
    "humanize": _humanize,
    "humanize1024": _humanize1024,
    "humanizePercentage": lambda value: f"{_number(value) * 100:.4g}%",
    "humanizeDuration": _duration,
    "humanizeTimestamp": _timestamp,
    "toUpper": lambda value: _shown(value).upper(),
    "toLower": lambda value: _shown(value).lower(),
    "title": lambda value: _shown(value).title(),
}
