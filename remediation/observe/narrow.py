"""A query of which one series is wanted, written so that the source reads no more than that series needs.

Only where the answer is provably the same for that series; any other query stays as it is. What is allowed makes each
series of its answer from series with the very same labels (functions of one series, arithmetic, comparisons and set
operators that match on all labels), or from all that agree with it in its labels (aggregations `by` labels, which
give no series a label of which its members differ; histogram_quantile, apart from the label of the buckets). So what
the wanted series rests on has all of its labels, down to the selectors, and a matcher for each of them leaves that
there. Leaving out a matcher is always safe.
"""

from __future__ import annotations

import re

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
OTHER_WORDS = {"offset", "inf", "nan"}
MARKS = set("()+-*/%^<>=!,@")
BUCKETS = {"le", "vmrange"}
"""Labels that histogram_quantile takes together; they are never asked for."""
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERAND_AFTER = set("(+-*/%^<>=,") | OPERATORS


def narrowed(query: str, labels: Labels) -> str:
    """The query with matchers in it, or as it is. labels: of the series in its answer that is wanted."""
    if "__name__" in labels or "#" in query or not all(map(_LABEL.fullmatch, labels)):
        return query
    if not _is_clear(tokens_of(query)):
        return query
    wanted = {name: labels[name] for name in sorted(set(labels) - BUCKETS)}
    result, done = "", 0
    for item in selectors(query):
        result += query[done : item.start] + _matched(query[item.start : item.end], wanted)
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


def _is_clear(tokens: list[Token]) -> bool:
    """Whether all of it is known to be harmless."""
    place = 0
    while place < len(tokens):
        token = tokens[place]
        word, following = token.text.lower() if token.kind == "name" else "", text_at(tokens, place + 1).lower()
        if token.text == "{":
            last = _inside_braces(tokens, place)
        elif token.text == "[":
            last = closed_at(tokens, place, "[", "]")
        elif word == "by":
            last = _labels(tokens, place)
        elif word in ("start", "end") and following == "(" and place and tokens[place - 1].text == "@":
            last = place + 2
        else:
            last = place if _is_harmless(tokens, place, word, following) else -1
        if last < 0:
            return False
        place = last + 1
    return True


def _is_harmless(tokens: list[Token], place: int, word: str, following: str) -> bool:
    token, before = tokens[place], tokens[place - 1].text.lower() if place else "("
    if not word:
        return token.kind == "number" or (token.kind == "mark" and token.text in MARKS)
    if word in OPERATORS | OTHER_WORDS:
        return True
    if word in AGGREGATIONS and following == "by":
        return True
    return word in PER_SERIES | AGGREGATIONS if following == "(" else before in _OPERAND_AFTER


def _inside_braces(tokens: list[Token], place: int) -> int:
    """The place of the brace that closes; -1 where it is unclear. VictoriaMetrics knows alternatives within, where a
    matcher fits one only."""
    before = tokens[place - 1] if place else None
    if before is not None and before.kind != "name" and before.text not in _OPERAND_AFTER:
        return -1
    last = closed_at(tokens, place, "{", "}")
    alternatives = any(token.text.lower() == "or" for token in tokens[place:last])
    return -1 if alternatives or tokens[last].text != "}" else last


def _labels(tokens: list[Token], place: int) -> int:
    """The place of the bracket that closes the labels of an aggregation, which its name or its arguments stand
    before; -1 where it is unclear."""
    before = tokens[place - 1].text.lower() if place else ""
    if text_at(tokens, place + 1) != "(" or not (before in AGGREGATIONS or before == ")"):
        return -1
    last = closed_at(tokens, place + 1, "(", ")")
    plain = all(token.kind == "name" or token.text == "," for token in tokens[place + 2 : last])
    return last if plain else -1
