"""Secrets never reach what is stored or shown; everything else stays as it is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation import secrets
from remediation.redact import HIDDEN, redact, redacted_facts
from tests.remediation.world import World, make_playbook, make_rule, make_service

HIDDEN_IN = [
    ("Authorization: Bearer abc.def-123", "abc.def-123"),
    ('{"Authorization": "Basic dXNlcjpwYXNz"}', "dXNlcjpwYXNz"),
    ("sent bearer 0123456789abcdef to it", "0123456789abcdef"),
    ("password=hunter2 next=1", "hunter2"),
    ("DB_PASSWORD: hunter2", "hunter2"),
    ("'api_key': 'k-123'", "k-123"),
    ('"client_secret": "with space"', "with space"),
    ("mysql --password hunter2 -u root", "hunter2"),
    ("--token=t0p", "t0p"),
    ("postgres://user:hunter2@db/name failed", "hunter2"),
    ("redis://:hunter2@cache:6379", "hunter2"),
    ("Set-Cookie: session=abc; Path=/", "session=abc"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nzzz\n-----END RSA PRIVATE KEY-----", "MIIE"),
    ("-----BEGIN PRIVATE KEY-----\nMIIE and it was cut", "MIIE"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is the token", "eyJhbGciOiJIUzI1NiJ9"),
    ("PGPASSWORD=hunter2 psql", "hunter2"),
    ('{"accessToken":"hunter2"}', "hunter2"),
    ("DB_PASS=hunter2", "hunter2"),
    ('mysql --password "hunter2 and more"', "more"),
    ("mysql --password 'hunter2'", "hunter2"),
    ('{"password": "a\\"hunter2"}', "hunter2"),
    ('{"body": "{\\"password\\": \\"hunter2\\"}"}', "hunter2"),
    ('{"token": 12345678}', "12345678"),
    ("'password' => 'hunter2'", "hunter2"),
    ('password = "hunter2 and it was cut', "hunter2"),
    ("postgres://user:p@ss/hunter2@db/name", "hunter2"),
    ("curl -u admin:hunter2 https://host", "hunter2"),
    ("<password>hunter2</password>", "hunter2"),
    ("remote: ghp_0123456789abcdefghijABCDEFGHIJ0123 expired", "ghp_"),
]
SECRETS = [text for text, _ in HIDDEN_IN]


@pytest.mark.parametrize(("text", "hidden"), HIDDEN_IN)
def test_what_looks_like_a_secret_is_hidden(text: str, hidden: str) -> None:
    assert hidden not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "restarted, pid 101",
        "http://127.0.0.1:9090/api says 3 tokens left",
        "the secretary passed the keyboard",
        "no password was asked for",
        "user@host: connection refused",
        "at 12:00: 3 run; 2 did before, 3 should",
        "http://10.0.0.1:9090/api/@scope says: passed: 3",
    ],
)
def test_what_does_not_look_like_one_stays(text: str) -> None:
    assert redact(text) == text


def test_value_of_a_reference_that_was_resolved_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "plain-word-nobody-suspects")
    assert redact("it said plain-word-nobody-suspects") == "it said plain-word-nobody-suspects"
    secrets.resolve("env:SOME_TOKEN")
    assert redact("it said plain-word-nobody-suspects") == f"it said {HIDDEN}"


@pytest.mark.parametrize("written", ['p\\"w/d wXyz', "p%22w%2Fd%20wXyz", "p%22w%2Fd+wXyz"])
def test_value_of_a_reference_is_hidden_as_it_stands_in_json_and_in_a_url(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("SOME_TOKEN", 'p"w/d wXyz')
    secrets.resolve("env:SOME_TOKEN")
    assert redact(f"it said {written}") == f"it said {HIDDEN}"


def test_facts_are_redacted_however_deep() -> None:
    facts = {"a": ["password=x1y2", {"accessToken": "zzz", "n": 3}], "ok": True}
    assert redacted_facts(facts) == {"a": [f"password={HIDDEN}", {"accessToken": HIDDEN, "n": 3}], "ok": True}


def test_long_text_is_cut_and_says_so() -> None:
    assert redact("x" * 100, limit=10) == "x" * 10 + "\n… cut here"
    assert redact("x" * 10, limit=10) == "x" * 10


@pytest.mark.parametrize(
    "piece",
    [
        "password=",
        "a_",
        "://",
        "Bearer ",
        "-----BEGIN PRIVATE KEY-----",
        "eyJ",
        "token ",
        'token="\\\\',
        "://a:a",
        "--a-a",
    ],
)
def test_hostile_text_takes_no_time(piece: str) -> None:
    began = time.process_time()
    redact(piece * 200_000)
    assert time.process_time() - began < 2.0


@given(st.text(max_size=300))
def test_whatever_the_text_it_never_breaks_and_redacting_twice_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_output_and_reason_of_an_effect_are_stored_without_secrets(world: World) -> None:
    make_rule(make_service())
    make_playbook()
    world.set({"app-1": 1})
    world.tick()
    world.set({"app-1": 0})
    world.ledger.says = "told postgres://user:hunter2@db/x, password=hunter2"
    world.tick()
    row = world.remediation()
    assert "hunter2" not in row.output + str(list(row.incident.transitions.values_list("facts", "reason")))
    assert HIDDEN in row.output
    assert HIDDEN in row.holds.get().output
