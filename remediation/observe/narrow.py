"""A query of which one series is wanted, written so that the source reads no more than that series needs.

Only where the answer is provably the same for that series; any other query stays as it is. What is allowed gives each
series of its answer from series with the same labels (selectors, functions of one series, arithmetic and comparisons
that match on all labels), or from all series of its own group (an aggregation `by` labels). So a matcher for each of
the wanted series' labels in a selector leaves everything there that its answer rests on, inside an aggregation for
those labels only that it groups by. Leaving out a matcher is always safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from remediation.observe.promql import Token, closed_at, selectors, text_at, tokens_of
from remediation.series import Labels

LONGEST = 8000
"""Characters. What would be longer stays as it is: sources refuse long questions."""

PER_SERIES = {
    *("rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear", "changes", "resets"),
    *(f"{name}_over_time" for name in ("avg", "min", "max", "sum", "count", "quantile", "stddev", "stdvar", "last")),
    *("present_over_time", "abs", "ceil", "floor", "round", "clamp", "clamp_min", "clamp_max", "sgn", "sqrt", "exp"),
    *("ln", "log2", "log10", "histogram_quantile"),
}
AGGREGATIONS = {"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile"}
OPERATORS = {"and", "or", "unless", "bool", "atan2"}
OTHER_WORDS = {"by", "offset", "inf", "nan"}
MARKS = set("()+-*/%^<>=!,@")
BUCKETS = {"le", "vmrange"}
"""Labels that histogram_quantile takes together; they are never asked for."""
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERAND_AFTER = set("(+-*/%^<>=,") | OPERATORS


class _Unclear(Exception):
    """Something that is not known to leave the answer the same."""


@dataclass(frozen=True, kw_only=True)
class _Group:
    """What one aggregation takes together: the place of its arguments in the text, and the labels it keeps."""

    start: int
    end: int
    by: frozenset[str]


def narrowed(query: str, labels: Labels) -> str:
    """The query with matchers in it, or as it is. labels: of the series in its answer that is wanted."""
    if "__name__" in labels or "#" in query or not all(map(_LABEL.fullmatch, labels)):
        return query
    try:
        groups = list(_groups(tokens_of(query)))
    except _Unclear:
        return query
    result, done = "", 0
    for item in selectors(query):
        names = set(labels) - BUCKETS
        around = [group.by for group in groups if group.start < item.start < group.end]
        if around:
            names = set(frozenset.intersection(*around)) - BUCKETS
        bare = query[item.start : item.end]
        result += query[done : item.start] + _matched(bare, {name: labels.get(name, "") for name in sorted(names)})
        done = item.end
    result += query[done:]
    return result if len(result) <= LONGEST else query


def _matched(selector: str, wanted: Labels) -> str:
    if not wanted:
        return selector
    text = ",".join(f'{name}="{_escaped(value)}"' for name, value in wanted.items())
    if not selector.endswith("}"):
        return f"{selector}{{{text}}}"
    before = selector[:-1].rstrip()
    return f"{before}{'' if before.endswith(('{', ',')) else ','}{text}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _groups(tokens: list[Token]) -> Iterator[_Group]:
    """The aggregations. Raises _Unclear for anything that is not known to be harmless."""
    place = 0
    while place < len(tokens):
        token = tokens[place]
        word, following = token.text.lower() if token.kind == "name" else "", text_at(tokens, place + 1).lower()
        if word in AGGREGATIONS and following in ("(", "by"):
            yield _group(tokens, place)
        elif word in ("start", "end") and place and text_at(tokens, place - 1) == "@" and following == "(":
            place += 2
        elif token.text == "{":
            place = _inside_braces(tokens, place)
        elif token.text == "[":
            place = closed_at(tokens, place, "[", "]")
        elif word == "by":
            place = _after_by(tokens, place)
        elif not _is_harmless(tokens, place, word, following):
            raise _Unclear
        place += 1


def _is_harmless(tokens: list[Token], place: int, word: str, following: str) -> bool:
    token, before = tokens[place], text_at(tokens, place - 1).lower() if place else "("
    if not word:
        return token.kind == "number" or (token.kind == "mark" and token.text in MARKS)
    if word in OPERATORS | OTHER_WORDS:
        return True
    return word in PER_SERIES if following == "(" else before in _OPERAND_AFTER


def _inside_braces(tokens: list[Token], place: int) -> int:
    """The place of the brace that closes. VictoriaMetrics knows alternatives within, where a matcher fits one only."""
    before = tokens[place - 1] if place else None
    named = before is not None and before.kind == "name"
    if not named and before is not None and before.text.lower() not in _OPERAND_AFTER:
        raise _Unclear
    last = closed_at(tokens, place, "{", "}")
    if tokens[last].text != "}" or any(token.text.lower() == "or" for token in tokens[place:last]):
        raise _Unclear
    return last


def _group(tokens: list[Token], place: int) -> _Group:
    """`sum by (a, b) (…)` and `sum (…) by (a, b)`."""
    opening, by = place + 1, frozenset[str]()
    if text_at(tokens, opening).lower() == "by":
        by = _names(tokens, opening + 1)
        opening = closed_at(tokens, opening + 1, "(", ")") + 1
    if text_at(tokens, opening) != "(":
        raise _Unclear
    last = closed_at(tokens, opening, "(", ")")
    if text_at(tokens, last + 1).lower() == "by":
        by = _names(tokens, last + 2)
    return _Group(start=tokens[opening].start, end=tokens[last].start, by=by)


def _names(tokens: list[Token], opening: int) -> frozenset[str]:
    inner = tokens[opening + 1 : closed_at(tokens, opening, "(", ")")] if text_at(tokens, opening) == "(" else []
    if any(token.kind != "name" and token.text != "," for token in inner):
        raise _Unclear
    return frozenset(token.text for token in inner if token.kind == "name")


def _after_by(tokens: list[Token], place: int) -> int:
    """Behind the labels of an aggregation, which its name or its arguments stand before."""
    before = text_at(tokens, place - 1).lower() if place else ""
    if text_at(tokens, place + 1) != "(" or not (before in AGGREGATIONS or before == ")"):
        raise _Unclear
    return closed_at(tokens, place + 1, "(", ")")
