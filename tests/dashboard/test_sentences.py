"""Every line of history that the code can write has a sentence: the code is read for them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from dashboard.pages.sentences import SAYS
from dashboard.pages.story import sentence
from dashboard.pages.words import tone
from remediation.decide import again, approval
from remediation.models import Breaker, Remediation, Transition
from remediation.states import Autonomy, IncidentState, Outcome, RemediationState, Verdict

ROOT = Path(__file__).resolve().parents[2]
NAMED: dict[str, Iterable[str]] = {
    "ASKED": {again.ASKED},
    "REFUSED": {approval.REFUSED},
    "RemediationState.PLANNED": {RemediationState.PLANNED},
    "row.state": set(RemediationState),
    "to": set(RemediationState) | set(IncidentState) | set(Breaker.State),
    "what": {"added", "changed", "deleted", "signed in", "bad password", "locked"},
    "words[enabled]": {"enabled", "disabled"},
    "GOOD if found else BAD": {"signed in", "bad password"},
    "LOCKED": {"locked"},
}
"""What is not written down where it is written: the values that it may have."""
FAMILIES = {"verdict ": Verdict, "decided: ": Outcome, "autonomy ": Autonomy}
ELSEWHERE = {"remediation/models/transition.py"}


def written() -> Iterator[tuple[str, ast.expr]]:
    """Where a line of history is written, and what happened according to it."""
    for folder in ("remediation", "dashboard"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if "migrations" in name or name in ELSEWHERE:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and len(node.args) >= 2:
                    called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                    keywords = {one.arg for one in node.keywords}
                    of_a_page = called == "_record" and ast.unparse(node.args[0]) == "request"
                    if of_a_page or (called in ("record", "_write") and "now" in keywords):
                        yield f"{name}:{node.lineno}", node.args[2 if of_a_page else 1]


def values_of(node: ast.expr) -> set[str]:
    """Every text that the expression may be. Raises KeyError for one that nobody listed here."""
    match node:
        case ast.Constant(value=str() as text):
            return {text}
        case ast.IfExp(body=ast.Constant(value=str() as one), orelse=ast.Constant(value=str() as other)):
            return {one, other}
        case ast.JoinedStr(values=[ast.Constant(value=str() as start), _]):
            return {f"{start}{end}" for end in FAMILIES[start]}
    return {str(one) for one in NAMED[ast.unparse(node)]}


def said() -> set[str]:
    return {state for kind in SAYS.values() for state in kind}


def test_whatever_the_code_writes_has_a_sentence() -> None:
    found = {where: values_of(node) for where, node in written()}
    assert len(found) > 25
    missing = {where: sorted(values - said()) for where, values in found.items() if values - said()}
    assert missing == {}


def test_states_of_remediations_and_incidents_all_have_one() -> None:
    assert set(RemediationState) <= SAYS["remediation"].keys()
    assert set(IncidentState) <= SAYS["incident"].keys()
    assert set(Breaker.State) <= SAYS["breaker"].keys()


@pytest.mark.parametrize(("kind", "state"), [(kind, state) for kind, states in SAYS.items() for state in states])
def test_sentences_are_whole(kind: str, state: str) -> None:
    remediation = Remediation(verb="failover", plan={"targets": [{"name": "app-1"}]})
    for facts in ({}, {"service": "web", "target": "app-1"}):
        row = Transition(kind=kind, to_state=state, facts=facts)
        for of in (remediation, None):
            text = sentence(row, of)
            assert not set("{}_") & set(text), text
            assert text[0].isupper() and len(text) < 120


@pytest.mark.parametrize(("kind", "state"), [(kind, state) for kind, states in SAYS.items() for state in states])
def test_only_what_is_not_known_looks_unknown(kind: str, state: str) -> None:
    assert (tone(state) == "unknown") == (state in ("unknown", "verdict unknown", "inconclusive"))


def test_a_line_of_a_later_version_is_still_readable() -> None:
    assert sentence(Transition(kind="comet", to_state="seen_twice"), None) == "Comet: seen twice"
    assert "seen twice" in sentence(Transition(kind="remediation", to_state="seen_twice"), None).lower()
