"""What of `make invariants` is in the fast suite: a few broken products, and that everything it names is there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.broken import page, proof
from tests.broken.clauses import CLAUSES
from tests.broken.plugin import FOUND_OUT, PASSES, what_came
from tests.broken.variant import Clause, DoesNotFit, Variant, edit, instead

QUICK = [variant.name for clause in CLAUSES for variant in clause.variants if variant.quick]


def test_a_bounded_part_is_found_out() -> None:
    asked = proof.chosen(CLAUSES, variants=QUICK)
    lines = proof.prove(asked, processes=1)
    assert [(line.clause.node, line.variant, line.outcome) for line in lines if not line.holds] == []
    assert len(lines) == len(asked) + len(QUICK)


def test_a_product_that_is_not_broken_is_not_found_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The proof itself: a clause of a broken product that is none, and of a patch that does not fit."""
    node = "tests/test_numbers.py::test_two_is_two"
    broken = Variant(name="two is three", breaks=instead("math:tau", 3))
    sound = Variant(name="two is two all the same", breaks=instead("math:tau", 2))
    stale = Variant(name="two is gone", breaks=instead("math:gone", 2))
    clause = Clause(number=1, says="", held_by=(), node=node, variants=(broken, sound, stale))
    results = [
        {"node": node, "variant": "", "outcome": PASSES, "seconds": 0.1},
        {"node": node, "variant": "two is three", "outcome": FOUND_OUT, "seconds": 0.1},
        {"node": node, "variant": "two is two all the same", "outcome": PASSES, "seconds": 0.1},
    ]
    lines = proof.lines_of(clause, results)
    assert [(line.outcome, line.holds) for line in lines] == [
        (PASSES, True),
        (FOUND_OUT, True),
        ("survives", False),
        (proof.NOT_RUN, False),
    ]
    assert proof.report(lines, seconds=1.0) == 1
    assert "1 invariants, 1 tests, 3 broken products: 2 not as it should be" in capsys.readouterr().out
    assert proof.report(lines[:2], seconds=1.0) == 0


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        ([], PASSES),
        ([("call", AssertionError("no"))], FOUND_OUT),
        ([("call", pytest.fail.Exception("DID NOT RAISE"))], FOUND_OUT),
        ([("call", BaseExceptionGroup("several", [AssertionError("one"), AssertionError("two")]))], FOUND_OUT),
        ([("setup", AssertionError("no"))], "AssertionError in its setup: no"),
        ([("call", TypeError("bad patch"))], "TypeError in its call: bad patch"),
        ([("call", DoesNotFit("gone"))], "DoesNotFit in its call: gone"),
    ],
)
def test_only_an_assertion_of_the_test_finds_out(raised: list[tuple[str, BaseException]], outcome: str) -> None:
    assert what_came(raised) == outcome


def test_an_edit_changes_a_function_and_takes_it_back() -> None:
    """Under whatever name it was imported."""
    kept = proof.chosen
    broken = edit("tests.broken.proof:chosen", "found = []", "found = [None]")
    with pytest.MonkeyPatch.context() as patch:
        broken(patch)
        assert kept([]) == [None]
    assert kept([]) == []
    with pytest.MonkeyPatch.context() as patch, pytest.raises(DoesNotFit, match="has 0 times: lost = "):
        edit("tests.broken.proof:chosen", "lost = []", "")(patch)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(DoesNotFit, match="there is no function"):
        edit("tests.broken.proof:gone", "lost = []", "")(patch)


@pytest.mark.django_db
@pytest.mark.parametrize("clause", CLAUSES, ids=lambda one: f"{one.number} {one.says}")
def test_what_a_clause_names_is_there(clause: Clause) -> None:
    """Its test, the files that hold it, and what its broken products patch."""
    file, _, name = clause.node.partition("[")[0].partition("::")
    functions = [one.name for one in ast.parse((page.ROOT / file).read_text()).body if isinstance(one, ast.FunctionDef)]
    assert name in functions
    assert [path for path in clause.held_by if not (page.ROOT / path).exists()] == []
    assert clause.variants != ()
    for variant in clause.variants:
        with pytest.MonkeyPatch.context() as patch:
            variant.breaks(patch)


def test_each_invariant_has_its_clauses_and_each_broken_product_its_name() -> None:
    assert {clause.number for clause in CLAUSES} == set(range(1, 21)) == set(page.INVARIANTS)
    names = [variant.name for clause in CLAUSES for variant in clause.variants]
    assert sorted(names) == sorted(set(names))


def test_the_page_is_what_the_table_says() -> None:
    """`.venv/bin/python -m tests.broken --page` writes it anew."""
    assert page.PATH.read_text() == page.text()
    linked = [Path("docs/extending.md"), Path("README.md")]
    assert [path for path in linked if "invariants.md" not in (page.ROOT / path).read_text()] == []
