"""What an alerting expression of Prometheus means to us: a value and a limit, an absence, or the expression itself.

Where it can be taken apart the detector sees good values too: it can draw them, and a repair can be proved by them.
What it means stays what it means in Prometheus, where a series that is not returned is well, unless the file says that
a missing series is unknown.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from remediation import matchers
from remediation.exceptions import MatcherError
from remediation.observe import promql

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[a-zA-Z0-9_]*)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<mark>==|!=|<=|>=|=~|!~|.)""",
    re.VERBOSE | re.DOTALL,
)
_COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_FILTERS = {"and", "unless", "absent", "absent_over_time", "topk", "bottomk", "limitk", "limit_ratio", "count_values"}
"""Words after which a series may be missing although nothing is wrong with what it is made of."""

_VANISHING = {"ALERTS", "ALERTS_FOR_STATE"}
"""Series that Prometheus itself ends when all is well."""

_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a rule asks, and the detector that judges the answer."""

    query: str
    detector: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Token:
    kind: str
    text: str
    start: int
    depth: int  # brackets around it; those of a matcher list count 1000, since its marks compare nothing

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def word(self) -> str:
        return self.text.lower() if self.kind == "name" else ""


def of_expression(expression: str, *, split: bool = True, missing: str = "ok") -> Meaning:
    """The meaning of an alerting rule's `expr`; without `split` always the expression itself.

    missing: "unknown" makes a comparison the detector threshold, where that is safe.
    """
    found = (_absence(expression) or _comparison(expression, missing=missing)) if split else None
    return found or Meaning(query=expression, detector="expression")


def compares(expression: str) -> bool:
    """Whether its outermost operation leaves out series by a comparison; with `bool` it keeps them all."""
    tokens = _inside(_tokens(expression))
    floor = tokens[0].depth if tokens else 0
    words = [token.word for token in tokens[1:]] + [""]
    return any(
        token.depth == floor and token.text in _COMPARISONS and after != "bool"
        for token, after in zip(tokens, words[: len(tokens)], strict=True)
    )


def to_expression(meaning: Meaning, *, missing: str = "ok") -> str | None:
    """The `expr` that means the same to Prometheus, and from which of_expression makes this; None: there is none."""
    if meaning.detector == "absent":
        text: str | None = f"absent({meaning.query})"
    elif meaning.detector in ("threshold", "expression"):
        text = _compared(meaning) if meaning.params else meaning.query
    else:
        text = None
    return text if text is not None and of_expression(text, missing=missing) == meaning else None


def _compared(meaning: Meaning) -> str | None:
    if set(meaning.params) != {"op", "value"} or not isinstance(meaning.params["value"], (int, float)):
        return None
    return f"{meaning.query} {meaning.params['op']} {_number(meaning.params['value'])}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def _comparison(expression: str, *, missing: str) -> Meaning | None:
    """`query op number`; a threshold where the query keeps its series when all is well."""
    tokens = _inside(_tokens(expression))
    floor = tokens[0].depth if tokens else 0
    top = [place for place, token in enumerate(tokens) if token.depth == floor]
    compares = [place for place in top if tokens[place].text in _COMPARISONS]
    if len(compares) != 1 or any(tokens[place].word in ("and", "or", "unless") for place in top):
        return None
    left, op, right = tokens[: compares[0]], tokens[compares[0]].text, tokens[compares[0] + 1 :]
    limit = _constant(right)
    if limit is None:
        limit, left, op = _constant(left), right, _TURNED[op]
    if limit is None or not left:
        return None
    query = expression[left[0].start : left[-1].end]
    if not promql.selectors(query):
        return None
    detector = "threshold" if missing == "unknown" and _steady(left) else "expression"
    return Meaning(query=query, detector=detector, params={"op": op, "value": limit})


def _steady(tokens: list[_Token]) -> bool:
    """Whether the query keeps its series when all is well: nothing in it filters."""
    for place, token in enumerate(tokens):
        follower = tokens[place + 1].word if place + 1 < len(tokens) else ""
        if token.text in _COMPARISONS and token.depth < 1000 and follower != "bool":
            return False
        if token.word in _FILTERS and token.depth < 1000:
            return False
        if token.text in _VANISHING or token.text.strip("\"'`") in _VANISHING:
            return False
    return True


def _absence(expression: str) -> Meaning | None:
    """`absent(query)`, which here also asks whether the source holds anything at all."""
    tokens = _inside(_tokens(expression))
    if len(tokens) < 4 or tokens[0].word != "absent" or tokens[1].text != "(" or _closing(tokens, 1) != len(tokens) - 1:
        return None
    query = expression[tokens[2].start : tokens[-2].end]
    return Meaning(query=query, detector="absent", params=_labels(query))


def _labels(query: str) -> dict[str, Any]:
    """The labels that Prometheus gives to an absence: those that a lone selector asks for by equality, once."""
    found = promql.selectors(query)
    if len(found) != 1 or (found[0].start, found[0].end) != (0, len(query)) or "{" not in query:
        return {}
    try:
        asked = matchers.parse(query[query.index("{") :])
    except MatcherError:
        return {}
    names = [matcher.name for matcher in asked]
    labels = {item.name: item.value for item in asked if item.op == "=" and names.count(item.name) == 1}
    labels.pop("__name__", None)
    return {"labels": labels} if labels else {}


def _constant(tokens: list[_Token]) -> float | None:
    """The number that these tokens come to: numbers, + - * / and brackets. None: something else is among them."""
    try:
        reader = _Arithmetic([token.text for token in tokens])
        value = reader.sum()
    except (ValueError, IndexError, ZeroDivisionError, RecursionError):
        return None
    return value if reader.done and math.isfinite(value) else None


class _Arithmetic:
    """Numbers with + - * / and brackets, worked out as Prometheus does."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.at = 0

    @property
    def done(self) -> bool:
        return self.at == len(self.texts)

    def sum(self) -> float:
        value = self.product()
        while not self.done and self.texts[self.at] in "+-":
            value = _ARITHMETIC[self.take()](value, self.product())
        return value

    def product(self) -> float:
        value = self.single()
        while not self.done and self.texts[self.at] in "*/":
            value = _ARITHMETIC[self.take()](value, self.single())
        return value

    def single(self) -> float:
        text = self.take()
        if text in ("+", "-"):
            return _ARITHMETIC[text](0.0, self.single())
        if text != "(":
            return float(text) if text[0].isdigit() or text[0] == "." else float("nan")
        value = self.sum()
        if self.take() != ")":
            raise ValueError(text)
        return value

    def take(self) -> str:
        self.at += 1
        return self.texts[self.at - 1]


def _tokens(text: str) -> list[_Token]:
    found, depth = list[_Token](), 0
    for match in _TOKEN.finditer(text):
        kind, mark = match.lastgroup or "", match[0]
        if kind == "space":
            continue
        if kind == "mark" and mark in ")]}":
            depth -= 1000 if mark == "}" else 1
        found.append(_Token(kind=kind, text=mark, start=match.start(), depth=depth))
        if kind == "mark" and mark in "([{":
            depth += 1000 if mark == "{" else 1
    return found


def _inside(tokens: list[_Token]) -> list[_Token]:
    """Without brackets around the whole."""
    while len(tokens) > 2 and tokens[0].text == "(" and _closing(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _closing(tokens: list[_Token], place: int) -> int:
    """The place of the bracket that closes the one at `place`; -1 where there is none."""
    depth = tokens[place].depth
    return next((at for at in range(place + 1, len(tokens)) if tokens[at].depth == depth), -1)
