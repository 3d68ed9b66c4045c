"""Alertmanager's matcher syntax, read as Alertmanager reads it."""

from __future__ import annotations

import time

import pytest

from remediation.exceptions import MatcherError
from remediation.matchers import matches, parse

LABELS = {"severity": "critical", "service": "cart", "path": 'a"b\\c'}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ("{}", True),
        ('severity="critical"', True),
        ("severity=critical", True),
        ('{severity="critical", service=~"cart|pay"}', True),
        ('service=~"car"', False),  # anchored
        ('service!~"car"', True),
        ('service!="cart"', False),
        ('missing=""', True),
        ('missing!=""', False),
        ('path="a\\"b\\\\c"', True),
        ('severity="critical",service="pay",', False),
    ],
)
def test_matcher_fits(text: str, fits: bool) -> None:
    assert matches(text, LABELS) is fits


@pytest.mark.parametrize("text", ["severity", "=x", 'a="b" c="d"', 'a=~"("', 'a="b', "1a=b", "a==b=c d"])
def test_text_that_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(MatcherError):
        parse(text)


def test_printed_matcher_reads_back() -> None:
    text = 'path="a\\"b\\\\c"'
    assert parse(str(parse(text)[0])) == parse(text)


def test_exploding_expression_is_stopped() -> None:
    started = time.monotonic()
    with pytest.raises(MatcherError, match="takes too long"):
        matches('a=~"(x+x+)+y"', {"a": "x" * 5000})
    assert time.monotonic() - started < 2
