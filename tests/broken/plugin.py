"""For pytest: runs each test once for each broken variant that it has to notice, and then as the product is.

Loaded by `-p tests.broken.plugin`; `--broken` names the variants, or says `all`. What came of each run is written to
`--broken-results`, one line of JSON each. A run that is broken never counts as a failure of pytest's own.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.broken.variant import Clause, Variant

LASTS_S = 30
"""A broken product may never come to an end; then nobody has found out anything."""
BROKEN_BY = pytest.StashKey[Variant | None]()
RAISED = pytest.StashKey[list[tuple[str, BaseException]]]()
PASSES, FOUND_OUT = "passes", "found out"


class NeverEnds(BaseException):
    """The broken product took too long."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--broken", default="", help="names of variants, separated by ';', or: all")
    parser.addoption("--broken-results", default="", help="a file for what came of each run")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--broken"):
        config.pluginmanager.register(Breaking(config), "breaking")


def key_of(nodeid: str, node: str) -> bool:
    """Whether a collected test is what a clause names: exactly, or all parameters of it."""
    return node in (nodeid, nodeid.partition("[")[0])


class Breaking:
    """Registered only where something is to be broken."""

    def __init__(self, config: pytest.Config) -> None:
        from tests.broken.clauses import CLAUSES  # noqa: PLC0415 - only now Django is set up, and models can be imported

        self.clauses: tuple[Clause, ...] = CLAUSES
        names = str(config.getoption("--broken"))
        self.wanted = None if names == "all" else set(names.split(";"))
        self.results = Path(str(config.getoption("--broken-results") or "/dev/null"))
        self.found_out: set[tuple[str, str]] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        mine = [clause for clause in self.clauses if key_of(item.nodeid, clause.node)]
        for clause in mine:
            for variant in clause.variants:
                if self._is_asked(clause.node, variant):
                    # The parent stands for the next test: this one is taken down, what it shares with others stays.
                    self._run(item, clause.node, variant, log=False, nextitem=item.parent)
        # As it is comes last, with what follows, for pytest to count.
        self._run(item, mine[0].node if mine else item.nodeid, None, log=True, nextitem=nextitem)
        return True

    def _is_asked(self, node: str, variant: Variant) -> bool:
        """Whether it was named, and no other parameter of the test has found it out already."""
        named = self.wanted is None or variant.name in self.wanted
        return named and (node, variant.name) not in self.found_out

    def _run(self, item: pytest.Item, node: str, variant: Variant | None, *, log: bool, nextitem: Any) -> None:
        name = variant.name if variant else ""
        _anew(item, variant)
        began = time.monotonic()
        runtestprotocol(item, log=log, nextitem=nextitem)
        outcome = what_came(item.stash[RAISED])
        if outcome == FOUND_OUT:
            self.found_out.add((node, name))
        line = {"node": node, "test": item.nodeid, "variant": name, "outcome": outcome}
        with self.results.open("a") as file:
            file.write(json.dumps(line | {"seconds": round(time.monotonic() - began, 2)}) + "\n")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        variant = item.stash.get(BROKEN_BY, None)
        with pytest.MonkeyPatch.context() as patch, _bounded():
            if variant is not None:
                variant.breaks(patch)
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
        if call.excinfo is not None:
            item.stash[RAISED].append((call.when, call.excinfo.value))
        return (yield)


def _anew(item: pytest.Item, variant: Variant | None) -> None:
    assert isinstance(item, pytest.Function)
    item._initrequest()  # fixtures anew, as pytest does before the first run
    item.stash[BROKEN_BY] = variant
    item.stash[RAISED] = []


@contextmanager
def _bounded() -> Iterator[None]:
    def end(*_: object) -> None:
        raise NeverEnds(f"not over after {LASTS_S} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(LASTS_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def what_came(raised: list[tuple[str, BaseException]]) -> str:
    """PASSES; FOUND_OUT when the test itself said that something does not hold; otherwise what broke."""
    if not raised:
        return PASSES
    when, error = raised[0]
    if when == "call" and all(isinstance(one, (AssertionError, pytest.fail.Exception)) for one in _leaves(error)):
        return FOUND_OUT
    return f"{type(error).__name__} in its {when}: {error}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
