"""Reads as much of a PromQL text as is needed: where its selectors are, and how far back they look.

No parser: the server judges the query. Whatever cannot be read here is left as it is. Grammar:
https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from remediation.conf import parse_duration

FIXED_TIME_REACH_S = 1e10
"""How far back a query looks that names a fixed time (`@ 1609746000`): for ever, as far as freshness goes."""

_TOKEN = re.compile(
    r"""(?P<space>[\s]+|\#[^\n\r]*)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<number>[0-9.][0-9a-zA-Z_.]*)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_OTHER_WORDS = {"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"}
_CLOSED_BY = {"(": ")", "[": "]", "{": "}"}
_LABELS_FROM_SELECTOR = {"absent", "timestamp"}
"""Functions that look at the selector itself, not only at its samples."""


@dataclass(frozen=True, kw_only=True)
class Selector:
    """One vector selector. start, end: its place in the text without what follows; tail: the end of offset and @.
    range_s: None for an instant selector. inside: the function it is the only argument of."""

    start: int
    end: int
    tail: int
    range_s: float | None
    inside: str


@dataclass(frozen=True, kw_only=True)
class Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@lru_cache(maxsize=10_000)
def reach_s(query: str, *, lookback_s: float) -> float:
    """Seconds that one point of the answer may look back: the longest selector, and all subqueries and offsets.

    Conservative: a query that looks back in two places counts the sum of its subqueries and offsets. What a recording
    rule behind the query looked back is not seen.
    """
    tokens = tokens_of(query)
    leaves = [lookback_s if item.range_s is None else item.range_s for item in selectors(query)]
    extra = 0.0
    for place, token in enumerate(tokens):
        after = tokens[place + 1 : place + 3]
        if token.text == "[" and ":" in (inner := _until(query, token.start, "]")):
            extra += _seconds(inner.partition(":")[0])
        elif token.text.lower() == "offset" and after and after[0].kind == "number":
            extra += _seconds(after[0].text)
        elif token.text == "@" and after and after[0].text.lower() not in ("start", "end"):
            return FIXED_TIME_REACH_S
    return max(leaves, default=0.0) + extra


@lru_cache(maxsize=10_000)
def fresh(query: str, *, stale_after_s: float) -> str:
    """The query, whose instant selectors leave out samples older than stale_after_s.

    For servers that do not know `lookback_delta`. `x` becomes `(x and last_over_time(x[30s]))`: as fresh, same labels,
    same values. Selectors inside absent() and timestamp() stay, since those would mean something else.
    """
    result, done = "", 0
    for item in selectors(query):
        if item.range_s is not None or item.inside in _LABELS_FROM_SELECTOR:
            continue
        whole, tail = query[item.start : item.tail], query[item.end : item.tail]
        bare = query[item.start : item.end]
        result += query[done : item.start]
        result += f"({whole} and last_over_time({bare}[{max(round(stale_after_s * 1000), 1)}ms]{tail}))"
        done = item.tail
    return result + query[done:]


@lru_cache(maxsize=10_000)
def recent(query: str, *, stale_after_s: float) -> str:
    """The query, whose selector gives the newest sample of the last stale_after_s: `last_over_time(x[30s])`.

    Costs the source half of what `fresh` does and lasts longer: a series that has ended is given for stale_after_s
    more. For counting what is well; nothing is concluded from one that is missing. So that one that has ended changes
    no other's value, only one selector with nothing but arithmetic around it is rewritten: a sum is left as it is."""
    found, tokens = selectors(query), tokens_of(query)
    called = any(
        token.kind == "name" and text_at(tokens, place + 1).lower() in ("(", "by", "without")
        for place, token in enumerate(tokens)
    )
    if called or len(found) != 1 or found[0].range_s is not None or any(token.text == "[" for token in tokens):
        return query
    only = found[0]
    bare, tail = query[only.start : only.end], query[only.end : only.tail]
    newest = f"last_over_time({bare}[{max(round(stale_after_s * 1000), 1)}ms]{tail})"
    return query[: only.start] + newest + query[only.tail :]


@lru_cache(maxsize=10_000)
def is_whole(query: str) -> bool:
    """Whether the text can stand between brackets without reaching beyond them: they match, and no quote is left."""
    awaited: list[str] = []
    for token in tokens_of(query):
        if token.text in _CLOSED_BY:
            awaited.append(_CLOSED_BY[token.text])
        elif token.text in _CLOSED_BY.values() and token.kind == "mark":
            if not awaited or awaited.pop() != token.text:
                return False
        elif token.kind == "mark" and token.text in "\"'`":
            return False
    return bool(query.strip()) and not awaited


def selectors(query: str) -> list[Selector]:
    """All vector selectors, in the order of the text."""
    return list(_selectors(query, tokens_of(query)))


def _selectors(query: str, tokens: list[Token]) -> Iterator[Selector]:
    place = 0
    while place < len(tokens):
        token, following = tokens[place], text_at(tokens, place + 1)
        word = token.text.lower() if token.kind == "name" else ""
        if word in _GROUPING and following == "(":
            place = closed_at(tokens, place + 1, "(", ")")
        elif token.text == "[":
            place = closed_at(tokens, place, "[", "]")
        elif token.text == "{" or (word and not _is_word(word, following)):
            last = place if token.text == "{" or following != "{" else place + 1
            last = closed_at(tokens, last, "{", "}") if tokens[last].text == "{" else last
            yield _selector(query, tokens, place, last)
            place = last
        place += 1


def _is_word(word: str, following: str) -> bool:
    """A name that is no metric: a function, an aggregation, an operator or a modifier."""
    return following == "(" or following.lower() in ("by", "without") or word in _GROUPING | _OTHER_WORDS


def _selector(query: str, tokens: list[Token], first: int, last: int) -> Selector:
    start, end = tokens[first].start, tokens[last].end
    range_s = None
    after = last + 1
    if text_at(tokens, after) == "[":
        inner = _until(query, tokens[after].start, "]")
        if ":" not in inner:
            range_s, after = _seconds(inner), closed_at(tokens, after, "[", "]") + 1
    tail = _tail(tokens, after, end)
    called = first >= 2 and tokens[first - 1].text == "(" and tokens[first - 2].kind == "name"
    return Selector(
        start=start, end=end, tail=tail, range_s=range_s, inside=tokens[first - 2].text.lower() if called else ""
    )


def _tail(tokens: list[Token], place: int, end: int) -> int:
    """Where the offset and @ modifiers behind a selector end."""
    while (word := text_at(tokens, place).lower()) in ("offset", "@"):
        place += 1
        if text_at(tokens, place) in ("-", "+"):
            place += 1
        if word == "@" and text_at(tokens, place + 1) == "(":
            place = closed_at(tokens, place + 1, "(", ")")
        if place >= len(tokens):
            break
        end = tokens[place].end
        place += 1
    return end


def tokens_of(query: str) -> list[Token]:
    found = (Token(kind=match.lastgroup or "", text=match[0], start=match.start()) for match in _TOKEN.finditer(query))
    return [token for token in found if token.kind != "space"]


def text_at(tokens: list[Token], place: int) -> str:
    return tokens[place].text if place < len(tokens) else ""


def closed_at(tokens: list[Token], place: int, opening: str, closing: str) -> int:
    """The place of the mark that closes the one at `place`; the last place where it is missing."""
    depth = 0
    for at in range(place, len(tokens)):
        depth += (tokens[at].text == opening) - (tokens[at].text == closing)
        if depth == 0:
            return at
    return len(tokens) - 1


def _until(query: str, start: int, mark: str) -> str:
    end = query.find(mark, start)
    return query[start + 1 : end if end >= 0 else len(query)]


def _seconds(text: str) -> float:
    """Seconds of a duration, or of the plain number that Prometheus 3 also takes; 0 where it is neither."""
    try:
        return parse_duration(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return 0.0
