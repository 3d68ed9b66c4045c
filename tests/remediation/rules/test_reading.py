"""YAML from outside: what is refused, and at which line that is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.rules.reading import MAX_DEPTH, Unreadable, read, typed


def refused(text: str) -> str:
    with pytest.raises(Unreadable) as caught:
        read(text, file="a.yml")
    return str(caught.value)


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a: 1\nb: !!python/object/apply:f []",
            "a.yml:2: the tag !!python/object/apply:f is refused",
        ),
        ("a: !thing 1", "a.yml:1: the tag !thing is refused"),
        ("a: !!binary aGk=", "a.yml:1: the tag !!binary is refused"),
        ("a: ]", "a.yml:1: this is no YAML"),
        ("a:\n  b: 1\n c: 2", "a.yml:3: this is no YAML"),
        ("a: 1\nb: 2\na: 3", "a.yml:3: a is there twice"),
        ("a: *nobody", "a.yml:1: this is no YAML: found undefined alias"),
        ("a: &a [*a]", "a.yml:1: an alias refers to what it is part of"),
        ("[" * 2000, f"a.yml:1: nested deeper than {MAX_DEPTH} levels"),
        ("a: \x00", "a.yml: this is no YAML"),
        ("x" * 5_000_000, "a.yml: larger than 4 MB; divide it"),
        ("? [a, b]\n: 1", "a.yml:1: a key must be a text"),
        ("<<: 1", "a.yml:1: << takes a mapping"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_refused(text: str, said: str) -> None:
    assert refused(text).startswith(said)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    assert "it holds more than 200000 values" in refused(bomb(9))
    assert len(read(bomb(4), file="a.yml")[0]["a3"]) == 10


def test_scalars_are_texts_that_know_their_lines() -> None:
    (found,) = read("port: 8080\non: yes\nexpr: |\n  up\n", file="a.yml")
    assert dict(found) == {"port": "8080", "on": "yes", "expr": "up\n"}
    assert found.lines == {"port": 1, "on": 2, "expr": 3} and found["expr"].body == 4


def test_parameters_have_types_unless_they_are_quoted() -> None:
    (found,) = read("a: 6.5\nb: '6.5'\nc: true\nd: [1, {e: null}]", file="a.yml")
    assert typed(found) == {"a": 6.5, "b": "6.5", "c": True, "d": [1, {"e": None}]}


def test_merge_keys_come_after_what_is_written() -> None:
    (found,) = read("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", file="a.yml")
    assert dict(read("b: 1", file="b")[0]) == {"b": "1"} and dict(found["b"]) == {"y": "3", "x": "1"}


@given(st.text(alphabet="ab:-[]{}&*!|>'\"\n #,?0", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text, file="a.yml")
    except Unreadable as error:
        assert str(error).startswith("a.yml")
